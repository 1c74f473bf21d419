"""vmambair plot makes pictures and tables of every kind of report, or says why not."""

import io
import json
import math
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.text import Text

from vmambair_arch import cli, reporting
from vmambair_arch.commands.bench.report import COLUMNS
from vmambair_arch.commands.bench.rivals.report import COLUMNS as RIVALS
from vmambair_arch.reporting import Report, tables
from vmambair_arch.reporting.columns import METRICS
from vmambair_arch.reporting.plots import (
    attributions,
    crops,
    curves,
    dots,
    drawing,
    labels,
    letters,
    logarithmic,
    scaling,
    tradeoff,
)

BEGINNINGS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
MACHINE = {"processor": "a CPU"}


def comparison(title: str = "Set5", rise: float = 0.0) -> Report:
    columns = {name: METRICS[name] for name in ("psnr", "ssim")}
    rows = [
        {"image": image, "method": method, "psnr": psnr + number + rise, "ssim": 0.9}
        for method, psnr in (("bicubic", 28.0), ("ours", 30.0))
        for number, image in enumerate(("baby", "bird"))
    ]
    about = {"title": title, "command": "vmambair compare", "machine": MACHINE}
    return Report(kind="comparison", columns=columns, rows=rows, **about)


def benchmark() -> Report:
    rows = [
        {
            **{"name": name, "size": size, "passes": passes, "batch": 1, "threads": threads},
            **{"channels": channels, "seconds": size * 1e-3, "peak_mib": None if size == 64 else 9},
        }
        for name, channels in (("realsr_x4", 0), ("RRDBNet", 0), ("planar_scan/numba", 48))
        for size in (64, 128)
        for passes in scaling.PASSES
        for threads in (1, 2)
    ]
    about = {"title": "a CPU", "command": "vmambair bench", "machine": MACHINE}
    return Report(kind="benchmark", columns=COLUMNS, rows=rows, **about)


def rivals() -> Report:
    """Three networks; the last was not measured at the larger size, and has no quality."""
    names = (("ours", "PyTorch", 30.0), ("ours", "ncnn", 30.0), ("other", "ncnn", None))
    rows = [
        {
            **{"name": name, "runner": runner, "size": size, "threads": threads, "scale": 4},
            **{
                "seconds_per_megapixel": 64.0 / threads,
                "peak_mib": size,
                "psnr": psnr,
                "file_mb": 2,
            },
        }
        for name, runner, psnr in names
        for size in ((64, 128) if psnr else (64,))
        for threads in (1, 2)
    ]
    about = {"title": "a CPU", "command": "vmambair bench --rivals", "machine": MACHINE}
    return Report(kind="rivals", columns=RIVALS, rows=rows, **about)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Reports of every kind, in the working directory."""
    monkeypatch.chdir(tmp_path)
    reporting.write(comparison(), Path("report.json"))
    reporting.write(comparison("Set14", -2.0), Path("set14.json"))
    reporting.write(benchmark(), Path("bench.json"))
    reporting.write(rivals(), Path("rivals.json"))
    for number, run in enumerate(("first", "second")):
        Path(run).mkdir()
        lines = [{"iter": i, "dataset": "Set5", "time": 0, "psnr": 20 + i + number} for i in (1, 2)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        Path(run, "metrics.jsonl").write_text(text)
    return tmp_path


def plot(*arguments: str) -> int:
    return cli.vmambair(["plot", *arguments])


@pytest.mark.parametrize("suffix", BEGINNINGS)
@pytest.mark.parametrize(
    "reports",
    [
        ["report.json", "set14.json"],
        ["bench.json"],
        ["first/metrics.jsonl", "second/metrics.jsonl"],
    ],
)
def test_every_kind_of_report_becomes_every_kind_of_picture(folder, reports, suffix, capsys):
    assert plot(*reports, f"out{suffix}") == 0
    assert Path(f"out{suffix}").read_bytes().startswith(BEGINNINGS[suffix])
    assert capsys.readouterr().out == f"out{suffix}\n"


def test_dollars_in_names_are_drawn_as_dollars(tmp_path):
    """Two of them would begin one of Matplotlib's formulas, and few names are one."""
    name = "r$a_$x^"
    compared = comparison(name)
    for row in compared.rows:
        row["method"] = name
    measured = benchmark()
    for row in measured.rows:
        row["name"] = name
    beside = rivals()
    for row in beside.rows:
        row["name"] = name
    panels = [crops.Panel(name, np.zeros((8, 8, 3), np.uint8))] * 2
    square = np.ones((8, 8))
    explained = [attributions.Explained(name, square, square, (0, 0, 4))]
    figures = [
        *(drawing.draw([report]) for report in (compared, measured, beside)),
        drawing.draw([compared, measured]),
        curves.draw({name: [{"iter": 1, "dataset": name, name: 1.0}], "b": []}),
        crops.draw(panels, crops.Box(0, 0, 4, 4)),
        attributions.draw(panels[0].pixels, explained),
    ]
    for number, figure in enumerate(figures):
        figure.savefig(tmp_path / "out.svg", metadata={"Date": None})
        assert any(r"r\$a_\$x^" in text.get_text() for text in figure.findobj(Text)), number


def test_every_kind_of_report_becomes_a_table(folder):
    assert plot("report.json", "set14.json", "two.md") == 0
    assert (
        "| ours    |      **30.50** | **0.9000** |       **28.50** | **0.9000** |"
        in Path("two.md").read_text()
    )
    assert plot("bench.json", "bench.md") == 0
    lines = Path("bench.md").read_text().splitlines()
    assert lines[0].split(" | ")[1:] == [
        "64 x 64 s",
        "64 x 64 MiB",
        "128 x 128 s",
        "128 x 128 MiB |",
    ]
    assert len(lines) == 2 + 3 * 2
    assert "planar_scan/numba, forward, 48 channels" in lines[6]
    assert plot("first/metrics.jsonl", "second/metrics.jsonl", "runs.tex") == 0
    assert r"first & 22.00 \\" in Path("runs.tex").read_text()
    assert r"second & \textbf{23.00} \\" in Path("runs.tex").read_text()


def test_a_benchmarks_table_has_its_networks_costs_if_it_contains_them():
    report = benchmark()
    costs = {"multiply_adds": 17.41e9, "products": 15.54e9, "published": 19.47e9}
    report.rows[0].update(parameters=10_497_813, activations=129_205_888, **costs)
    made = tables.table([report])
    assert made.groups[-1][0] == "of 64 x 64"
    shown = {name: [cell.value for cell in cells[-5:]] for name, cells in made.rows}
    assert shown["realsr_x4, forward"] == pytest.approx(
        [10.5, 17.41, 15.54, 19.47, 129.2], rel=1e-3
    )
    assert shown["RRDBNet, forward"] == [None] * 5


def test_several_runs_are_curves_in_one_picture():
    rows = [{"iter": i, "dataset": "Set5", "time": 0, "psnr": 20.0 + i} for i in (1, 2)]
    figure = curves.draw({"first": rows, "second": rows})
    assert figure is not None
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["first", "second"]
    assert axes.get_ylabel() == "psnr, Set5"
    other = [{**row, "dataset": "Set14"} for row in rows]
    figure = curves.draw({"first": rows, "second": other})
    assert figure is not None
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["first, Set5", "second, Set14"]
    alone = curves.draw({"": rows})
    assert alone is not None and alone.axes[0].lines[0].get_label() == "Set5"


def test_curves_can_be_drawn_over_the_seconds_of_training():
    rows = [{"iter": i, "dataset": "Set5", "seconds": 9.0 * i, "psnr": 20.0 + i} for i in (1, 2)]
    old = [{"iter": 1, "dataset": "Set5", "time": 0, "psnr": 20.0}]
    figure = curves.draw({"first": rows, "old": old}, over="seconds")
    assert figure is not None
    (line,) = figure.axes[0].lines
    assert list(line.get_xdata()) == [9, 18] and figure.axes[0].get_xlabel().startswith("seconds")


def test_a_comparison_and_a_benchmark_are_quality_over_speed(folder):
    names = {"realsr_x4": "ours", "RRDBNet": "other"}
    report = benchmark()
    for row in report.rows:
        row.update(name=names.get(str(row["name"]), row["name"]), scale=4)
    figure = tradeoff.draw(comparison(), report)
    assert figure is not None
    psnr = figure.axes[0].lines
    assert len(psnr) == 1  # bicubic was not timed, the other network not compared
    assert psnr[0].get_ydata()[0] == pytest.approx(30.5)
    assert psnr[0].get_xdata()[0] == pytest.approx(0.128 / (4 * 128) ** 2 * 1e6)
    reporting.write(report, Path("named.json"))
    assert plot("report.json", "named.json", "out.png") == 0
    assert plot("report.json", "bench.json", "none.png") == 2


@pytest.fixture
def fonts(monkeypatch):
    """The system's fonts, which a test writes."""
    found = []
    monkeypatch.setattr(letters, "findSystemFonts", lambda: found)
    monkeypatch.setattr(letters.fontManager, "ttflist", [*letters.fontManager.ttflist])
    yield found
    letters._families.cache_clear()


def font_of(path: Path, family: str, characters: str) -> str:
    """The file of a font in which every letter is the same box."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0)), pen.lineTo((500, 0)), pen.lineTo((500, 500)), pen.closePath()
    names = [".notdef", *(f"letter{ord(c)}" for c in characters)]
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder(names)
    made.setupCharacterMap(dict(zip(map(ord, characters), names[1:], strict=True)))
    made.setupGlyf(dict.fromkeys(names, pen.glyph()))
    made.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": family, "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.save(path)
    return str(path)


def drawn(characters: str) -> tuple[Figure, list]:
    """A figure with names beside points, and the warnings of drawing it."""
    figure = Figure()
    axes = figure.add_subplot()
    with warnings.catch_warnings(record=True) as raw:
        warnings.simplefilter("always")
        labels.label(axes, {f"ours {characters}": (0.0, 1.0)})
        for form in ("png", "svg", "pdf"):
            letters.save(figure, io.BytesIO(), format=form)
    return figure, raw


def test_letters_that_the_usual_font_lacks_are_drawn_by_installed_ones(fonts, tmp_path, caplog):
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    fonts += [
        str(tmp_path / "damaged.ttf"),
        font_of(tmp_path / "boxes.ttf", ".LastResort", "\u65e5\ud55c"),
        font_of(tmp_path / "one.ttf", "One", "\u65e5"),
        font_of(tmp_path / "other.ttf", "Other", "\ud55c"),
    ]
    figure, raw = drawn("\u65e5\ud55c")
    (text,) = figure.axes[0].texts
    assert text.get_fontfamily()[1:] == ["One", "Other"]
    assert not raw and not caplog.records


def test_a_font_that_matplotlib_refuses_is_passed_over(fonts, tmp_path, monkeypatch):
    fonts += [font_of(tmp_path / f"{name}.ttf", name, "\u65e5") for name in ("bad", "good")]
    add = letters.fontManager.addfont

    def refuse(path: str) -> None:
        if "bad" in path:
            raise NotImplementedError("Non-scalable fonts are not supported")
        add(path)

    monkeypatch.setattr(letters.fontManager, "addfont", refuse)
    figure, raw = drawn("\u65e5")
    assert figure.axes[0].texts[0].get_fontfamily()[1:] == ["good"] and not raw


def test_letters_that_no_font_has_are_named_once(fonts, caplog):
    _, raw = drawn("\u65e5\ud55c")
    (record,) = caplog.records
    assert record.getMessage().startswith("no font here can draw \u65e5\ud55c, so there are boxes")
    assert not raw


def test_an_infinite_mean_is_not_drawn_and_every_other_name_is_at_its_own_point():
    compared, measured = comparison(), benchmark()
    names = ["realsr_x4", "realsr_x4", "RRDBNet", "RRDBNet"]
    for row, name in zip(compared.rows, names, strict=True):
        row.update(method=name, psnr=math.inf if name == "realsr_x4" else 30.0)
    figure = drawing.draw([compared, measured])
    psnr, ssim = figure.axes
    assert [text.get_text() for text in psnr.texts] == ["RRDBNet"] and len(psnr.lines) == 1
    assert [text.get_text() for text in ssim.texts] == ["realsr_x4", "RRDBNet"]


@pytest.mark.parametrize("ends", [(31, 39), (24, 45), (14, 430), (25, 240), (0.011, 9), (1e-3, 90)])
def test_numbers_along_a_logarithmic_axis_do_not_touch(ends):
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    logarithmic.over(axes, "seconds")
    axes.set_xlim(*ends)
    figure.draw_without_rendering()
    labels = [*axes.get_xticklabels(minor=False), *axes.get_xticklabels(minor=True)]
    inside = [t for t in labels if t.get_text() and ends[0] <= t.get_position()[0] <= ends[1]]
    boxes = [text.get_window_extent() for text in inside]
    assert len(boxes) >= 2
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_rivals_are_a_row_for_each_network_and_program(folder):
    assert plot("rivals.json", "rivals.md") == 0
    head, _, *rows = Path("rivals.md").read_text().splitlines()
    places = [f"{size} x {size}, {n} thread{'s' * (n > 1)}" for size in (64, 128) for n in (1, 2)]
    labels = [f"{place} {label}" for place in places for label in ("s per megapixel", "MiB")]
    cells = [cell.strip() for cell in head.strip("|").split("|")]
    assert cells == ["network", *labels, "PSNR (dB)", "file, MB"]
    assert [row.split("|")[1].strip() for row in rows] == [
        "ours, x4, PyTorch",
        "ours, x4, ncnn",
        "other, x4, ncnn",
    ]
    other = [cell.strip() for cell in rows[2].strip("|").split("|")]
    assert other[1:] == ["64.00", "64", "32.00", "64", *5 * ["–"], "2.0"]


def test_names_of_close_points_do_not_cover_each_other():
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    points = {f"network {n}": (10 + n % 3 / 10, 30 + n / 100) for n in range(9)}
    axes.plot(*zip(*points.values(), strict=True), "o")
    axes.set(xlim=(1, 100), ylim=(25, 35), xscale="log")
    labels.label(axes, points)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == list(points)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_more_curves_than_colours_differ_in_their_line():
    rows = [{"dataset": "val", "iter": i, "psnr": 30 + i} for i in range(2)]
    figure = curves.draw({f"run {n}": rows for n in range(11)})
    assert figure is not None
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 11


def test_rivals_are_drawn_with_the_picture_that_most_have_and_fewest_threads():
    figure = drawing.draw([rivals()])
    assert figure.get_suptitle() == "a CPU, 1 thread, a photograph of 64 x 64"
    quality, times = figure.axes
    joined, *points = [(*line.get_xdata(), *line.get_ydata()) for line in quality.lines]
    assert joined == (64, 64, 30, 30) and points == 2 * [(64, 30)]
    assert [text.get_text() for text in quality.texts] == ["ours"]
    names = [text.get_text() for text in times.get_yticklabels()]
    assert sorted(names) == ["other, x4", "ours, x4", "ours, x4"]


def test_a_comparison_has_a_panel_for_each_metric_and_a_dot_for_each_image():
    figure = dots.draw([comparison(), comparison("Set14")])
    assert [axes.get_xlabel() for axes in figure.axes] == ["PSNR (dB)", "SSIM"]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["bicubic", "ours"]
    images = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert len(images) == 4 and list(images[1].get_xdata()) == [30, 31]


def test_a_benchmark_draws_one_image_and_one_thread_of_the_networks():
    figure = scaling.draw(benchmark().rows)
    assert figure is not None
    time, memory = figure.axes[:2]
    assert [line.get_label() for line in time.lines] == ["realsr_x4", "RRDBNet"]
    assert list(time.lines[0].get_xdata()) == [64**2, 128**2]
    assert list(memory.lines[0].get_xdata()) == [128**2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report.json", "out.jpg"], "out.jpg: give a picture (.png, .svg, .pdf) or a table (.md,"),
        (["report.json", "out"], "out: give a picture (.png, .svg, .pdf) or a table (.md, .tex)"),
        (["no.json", "out.png"], "no.json: cannot be read: No such file or directory; correct"),
        (["report.json", "bench.json", "out.md"], "reports of a comparison and a benchmark do not"),
        (["bench.json", "bench.json", "out.png"], "only one benchmark fits in a picture; give"),
        (["bench.json", "bench.json", "out.tex"], "only one benchmark fits in a table; give"),
        (["rivals.json", "rivals.json", "out.md"], "only one run of rivals fits in a table; give"),
        (["rivals.json", "rivals.json", "out.png"], "only one run of rivals fits in a picture;"),
        (["report.json", "there.md"], "there.md exists already; give another name or --overwrite"),
        (["report.json", "no/out.md"], "no/out.md: cannot be written: No such file or directory"),
        (["test.jsonl", "out.png"], "is a test, which has no curves; give a training's metrics"),
        (
            ["report.json", "rgb.json", "out.png"],
            "two reports have bicubic on Set5, with different",
        ),
        (
            ["first/metrics.jsonl", "out.png", "--over", "seconds"],
            "first has no seconds of training",
        ),
        (
            ["report.json", "bench.json", "out.png"],
            "no method of Set5 has the name of a network in",
        ),
        (["a.png", "out.png"], "a.png: a picture needs --crop X Y W H; or give a report"),
        (["none.jsonl", "out.png"], "none.jsonl: no metric in it, nothing was measured; leave it"),
        (["empty.json", "out.png"], "empty.json: has no rows, nothing was measured; leave it out"),
    ],
)
def test_invalid_requests_are_one_sentence(folder, arguments, message, capsys):
    Path("there.md").write_text("")
    Path("test.jsonl").write_text('{"iter": "a test", "dataset": "Set5", "psnr": 1.0}\n')
    Path("none.jsonl").touch()
    reporting.write(comparison().model_copy(update={"rows": []}), Path("empty.json"))
    reporting.write(comparison(rise=-2.0), Path("rgb.json"))
    before = sorted(folder.iterdir())
    assert plot(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(folder.iterdir()) == before and Path("there.md").read_text() == ""


def test_a_file_is_only_overwritten_on_request(folder):
    Path("out.md").write_text("")
    assert plot("report.json", "out.md", "--overwrite") == 0
    assert Path("out.md").read_text()
