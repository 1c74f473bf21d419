"""Reports survive writing and reading, are refused when damaged, and become tables."""

import json
import math
import re

import pytest

from vmambair_arch import reporting
from vmambair_arch.errors import InputError
from vmambair_arch.reporting import Column, Report, html, latex, markdown, tables
from vmambair_arch.reporting.columns import METRICS
from vmambair_arch.reporting.tables import Cell, Table

LPIPS = {"lpips": METRICS["lpips"]}


def comparison(values: dict, *, title: str = "Set5", columns=None) -> Report:
    """A comparison of methods by the values of their images, one metric or several."""
    columns = columns or {"psnr": METRICS["psnr"]}
    rows = []
    for method, images in values.items():
        for number, given in enumerate(images):
            given = given if isinstance(given, tuple) else (given,)
            measured = dict(zip(columns, given, strict=True))
            rows.append({"image": f"{number}", "method": method, **measured})
    about = {"command": "vmambair compare", "machine": {"cores": 2}}
    return Report(kind="comparison", title=title, columns=columns, rows=rows, **about)


def ranks(table: Table) -> list[list[int]]:
    return [[cell.rank for cell in cells] for _, cells in table.rows]


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of a Markdown table by the first of each line."""
    lines = [
        [cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in text.split("\n")
    ]
    return {line[0]: line[1:] for line in lines}


# The format.


def test_a_report_survives_writing_and_reading(tmp_path):
    report = comparison({"Bär": [30.5, math.inf, None], "B": [1 / 3, 0.1, 2]}, title="Größe")
    reporting.write(report, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert reporting.read(tmp_path / "report.json") == report
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["format"] == "vmambair report" and content["version"] == 1
    assert [row["psnr"] for row in content["rows"][:3]] == [30.5, "inf", None]
    assert text.count('\n  {"image"') == 6  # a line for each row


def test_a_report_cannot_hold_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        reporting.write(comparison({"A": [math.nan]}), tmp_path / "report.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "damaged, it is not JSON (Expecting"),
        ({"format": "other"}, "not a report: give the report.json of vmambair comp"),
        ({"version": 2}, "a report of version 2, and this package reads version 1; update it"),
        ({"kind": "poem"}, "damaged (kind: Input should be 'comparison', 'benchmark',"),
        ({"rows": [{"image": "0"}]}, "damaged (row 1 has None as its method); make it again"),
        ({"rows": [{"image": "0", "method": "A", "psnr": "x"}]}, "row 1 has 'x' as its psnr"),
        ({"rows": [[]]}, "damaged (rows.0: Input should be a valid dictionary)"),
        ({"columns": {"psnr": {"label": 1}}}, "damaged (columns.psnr.label: Input should be"),
        ({"more": 1}, "damaged (more: Extra inputs are not permitted)"),
    ],
)
def test_a_damaged_or_foreign_file_is_one_sentence(change, message, tmp_path):
    path = tmp_path / "report.json"
    reporting.write(comparison({"A": [1.0]}), path)
    content = path.read_text()
    whole = json.loads(content)
    path.write_text(content[:-9] if change is None else json.dumps({**whole, **change}))
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        reporting.read(path)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\xff", b"[1]", b"null", b"", b"[" * 9999])
@pytest.mark.parametrize("name", ["report.json", "metrics.jsonl"])
def test_a_file_of_another_kind_is_one_sentence(name, content, tmp_path):
    (tmp_path / name).write_bytes(content or b"\0")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / name))):
        reporting.read(tmp_path / name)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file or directory; correct the"):
        reporting.read(tmp_path / "report.json")


def test_the_lines_of_a_training_are_the_rows_of_its_report(tmp_path):
    lines = [
        {"iter": 500, "dataset": "Set5", "time": 1.5, "psnr": 24.03, "fancy": None},
        {"iter": 1000, "dataset": "Set5", "time": 2.5, "psnr": 27.13, "fancy": 1.0},
    ]
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = reporting.read(path)
    assert (report.kind, report.title, report.rows) == ("training", "run", lines)
    assert report.columns == {"psnr": METRICS["psnr"], "fancy": Column(label="fancy", decimals=4)}


# Tables.


def test_the_best_is_bold_and_the_second_underlined():
    values = {"A": [29.0, 31.0], "B": [32.0, 32.0], "C": [30.5, 30.5]}
    table = tables.table([comparison(values)])
    found = rows_of(markdown.render(table))
    assert found["method"] == ["PSNR (dB)"]
    assert [found[name] for name in "ABC"] == [["30.00"], ["**32.00**"], ["30.50"]]
    text = latex.render(table)
    assert r"A & 30.00 \\" in text
    assert r"B & \textbf{32.00} \\" in text and r"C & \underline{30.50} \\" in text


def test_the_least_lpips_is_the_best():
    table = tables.table([comparison({"A": [0.1], "B": [0.2], "C": [0.3]}, columns=LPIPS)])
    assert ranks(table) == [[1], [2], [0]]


def test_values_that_are_displayed_alike_have_the_same_rank():
    table = tables.table([comparison({"A": [30.001], "B": [30.004], "C": [29.0], "D": [28.0]})])
    assert ranks(table) == [[1], [1], [2], [0]]


def test_one_method_alone_is_not_the_best_and_of_two_none_is_the_second():
    assert ranks(tables.table([comparison({"A": [30.0]})])) == [[0]]
    assert ranks(tables.table([comparison({"A": [30.0], "B": [31.0]})])) == [[0], [1]]


def test_infinite_and_missing_values_are_shown():
    table = tables.table([comparison({"A": [math.inf], "B": [None], "C": [30.0]})])
    found = rows_of(markdown.render(table))
    assert [found[name] for name in "ABC"] == [["**∞**"], ["–"], ["30.00"]]
    assert r"A & \textbf{$\infty$} \\" in latex.render(table)
    assert r"B & -- \\" in latex.render(table)


def test_a_mean_over_fewer_images_than_anothers_has_a_note_and_no_rank():
    table = tables.table([comparison({"A": [35.0, None], "B": [29.0, 31.0], "C": [28.0, 30.0]})])
    assert ranks(table) == [[0], [1], [0]]
    assert rows_of(markdown.render(table))["A"] == ["35.00 of 1"]
    assert r"A & 35.00 {\scriptsize of 1} \\" in latex.render(table)
    assert "35.00 <small>of 1</small>" in html.render(table, attributes="", caption="")


def test_every_renderer_marks_the_same_cells():
    """With values that are displayed alike, missing, infinite and incomplete."""
    values = {"A": [30.001, 30.0], "B": [30.004, 30.0], "C": [math.inf, 1.0], "D": [None, None]}
    table = tables.table([comparison({**values, "E": [29.0, 28.0], "F": [None, 40.0]})])
    assert ranks(table) == [[2], [2], [1], [0], [0], [0]]
    for text, best, second in (
        (latex.render(table), r"\textbf", r"\underline"),
        (html.render(table, attributes="", caption=""), "<b>", "<u>"),
        (markdown.render(table), "**", None),
    ):
        lines = [
            line for line in text.splitlines() if re.match(r"(\| |<tr><th[^>]*>)?[A-F]\b", line)
        ]
        assert [best in line for line in lines] == [rank == 1 for (rank,) in ranks(table)]
        if second:
            assert [second in line for line in lines] == [rank == 2 for (rank,) in ranks(table)]


def test_data_sets_are_groups_of_columns():
    two = {"psnr": METRICS["psnr"], "ssim": METRICS["ssim"]}
    first = comparison({"A": [(30.0, 0.9)], "B": [(31.0, 0.8)]}, columns=two)
    second = comparison({"B": [27.0], "C": [26.0]}, title="Set14")
    table = tables.table([first, second])
    found = rows_of(markdown.render(table))
    assert found["method"] == ["Set5 PSNR (dB)", "Set5 SSIM", "Set14 PSNR (dB)"]
    assert found["A"] == ["30.00", "**0.9000**", "–"]
    assert found["B"] == ["**31.00**", "0.8000", "**27.00**"]
    text = latex.render(table)
    assert r" & \multicolumn{2}{c}{Set5} & \multicolumn{1}{c}{Set14} \\" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-4}" in text
    assert r"\begin{tabular}{lrrr}" in text


def test_reports_of_one_data_set_are_merged_and_must_not_contradict():
    table = tables.table([comparison({"A": [30.0]}), comparison({"A": [30.0], "B": [31.0]})])
    assert [name for name, _ in table.rows] == ["A", "B"] and len(table.groups) == 1
    with pytest.raises(InputError, match="two reports have A on Set5, with different means"):
        tables.table([comparison({"A": [30.0]}), comparison({"A": [30.1]})])


def test_the_pipes_of_a_markdown_table_are_aligned():
    text = markdown.render(tables.table([comparison({"A|B": [30.0], "_long_ *name*": [9.0]})]))
    lines = text.splitlines()
    places = [[m.start() for m in re.finditer(r"(?<!\\)\|", line)] for line in lines]
    assert all(place == places[0] for place in places)
    assert r"A\|B" in text and r"\_long\_ \*name\*" in text
    assert re.fullmatch(r"\| -+ \| -+: \|", lines[1])


def test_latex_prints_names_unchanged():
    name = r"a_b & 50% $x^2$ #1 {c} ~ \n <d> |e| [f]* `g` --h"
    text = latex.escaped(name)
    assert text == (
        r"a\_b \& 50\% \$x\textasciicircum{}2\$ \#1 \{c\} \textasciitilde{}"
        r" \textbackslash{}n \textless{}d\textgreater{} \textbar{}e\textbar{} {[}f{]}{*}"
        r" \textasciigrave{}g\textasciigrave{} -{}-h"
    )
    row = Table("method", [("Set_5", [METRICS["psnr"]])], [(name, [Cell(1.0)])])
    assert f"{text} & 1.00 \\\\" in latex.render(row)


def test_a_name_of_two_lines_stays_in_its_row():
    assert latex.escaped("a\nb") == markdown.escaped("a\n b") == "a b"


def test_the_table_of_a_training_has_its_last_validations():
    rows = [
        {"iter": 1, "dataset": "Set5", "psnr": 20.0},
        {"iter": 2, "dataset": "Set5", "psnr": 21.0},
        {"iter": 2, "dataset": "Set14", "psnr": 19.0},
    ]
    columns = {"psnr": METRICS["psnr"]}
    about = {"kind": "training", "command": "", "machine": {}, "columns": columns}
    runs = [Report(title="first", rows=part, **about) for part in (rows, rows[:1])]
    found = rows_of(markdown.render(tables.table(runs)))
    assert found["run"] == ["Set5 PSNR (dB)", "Set14 PSNR (dB)"]
    assert found["first"] == ["**21.00**", "19.00"]
    assert found["first (2)"] == ["20.00", "–"]
