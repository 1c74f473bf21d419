"""Pictures shared by several processes: the same files and summary as with one process."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from support import films, forks, picture_files as files, ranks
from vmambair_arch import save_network
from vmambair_arch.commands import sharing
from vmambair_arch.commands.train import launch

WHAT = {  # the commands, and their numbers of processes
    1: ("restore", "compare", "prepare", "film"),
    2: ("restore", "again", "compare", "prepare", "refused"),
    4: ("restore", "film"),
}


FRAMES = 101  # frames of a film in two parts
TORCHRUN = ("--standalone", "--nproc-per-node", "4", "-m", "vmambair_arch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the results of one, two and four processes."""
    root = tmp_path_factory.mktemp("shared")
    for number in range(5):
        for place, size in (("in", 8), ("gt", 32)):
            pixels = files.noise("RGB", height=size, width=size) // (number + 1)
            (root / place).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(root / place / f"{number}.png")
    shutil.copytree(root / "in", root / "lq", ignore=shutil.ignore_patterns("4.png"))
    (root / "in/4.png").write_bytes(b"no picture")
    (root / "gt/4.png").unlink()
    save_network(files.identity(4), root / "x4.safetensors")
    save_network(files.identity(1), root / "same.safetensors")
    films.write(root / "film.mkv", sizes=((16, 24),) * FRAMES)
    runs = []
    for name, many in (("one", 1), ("two", 2), ("four", 4)):
        restore = ["restore", "in", "-o", name, "-m", "x4.safetensors"]
        compare = ["compare", "gt", "--lq", "lq", "--model", "x4.safetensors", "-o", f"c{name}"]
        described = {
            "restore": restore,
            "again": [*restore, "--skip-existing"],
            "compare": compare,
            "prepare": ["prepare", "in", f"p{name}", "--scale", "2", "--processes", "1"],
            "refused": restore,
            "film": ["restore", "film.mkv", "-o", f"{name}.mp4", "-m", "same.safetensors"],
        }
        for what in WHAT[many]:
            runs.append({"name": f"{what}_{name}", "arguments": [described[what]] * many})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        codes = ranks.codes(runs)
    named = dict(zip([run["name"] for run in runs], codes, strict=True))
    (root / "codes.json").write_text(json.dumps(named))
    return root


def said(folder: Path, name: str) -> str:
    return "".join(path.read_text() for path in sorted(folder.glob(f"{name}.*.out")))


def test_the_exit_codes_are_those_of_one_process(folder):
    codes = json.loads((folder / "codes.json").read_text())
    expected = {"restore": 1, "again": 1, "compare": 0, "prepare": 1, "refused": 2, "film": 0}
    for name, found in codes.items():
        assert set(found) == {expected[name.partition("_")[0]]}, name


def test_all_processes_restore_one_film_into_the_file_that_one_process_makes(folder):
    assert (folder / "four.mp4").read_bytes() == (folder / "one.mp4").read_bytes()
    assert said(folder, "film_four").count(f"{FRAMES} frames restored") == 1


@pytest.mark.parametrize(
    ("name", "launcher", "before", "after"),
    [
        ("nproc", "vmambair", (), ("--nproc", "2")),
        ("torchrun", "torchrun", TORCHRUN, ("--launcher", "pytorch")),
    ],
)
def test_the_examples_of_the_docs_run(folder, monkeypatch, name, launcher, before, after):
    """torchrun itself, which --nproc starts; its ranks are forks."""
    monkeypatch.chdir(folder)
    command = ["restore", "film.mkv", "-o", f"{name}.mp4", "-m", "same.safetensors"]
    code = f"from support import forked_launch; forked_launch.{launcher}()"
    assert forks.run(code, *before, *command, *after) == 0, Path("err.txt").read_text()
    assert (folder / f"{name}.mp4").read_bytes() == (folder / "one.mp4").read_bytes()


def test_four_processes_restore_the_pictures_of_one(folder):
    one, four = ({p.name: p.read_bytes() for p in (folder / n).iterdir()} for n in ("one", "four"))
    assert one == four
    assert said(folder, "restore_four").count("4 of 5 pictures restored") == 1


def test_each_picture_is_restored_once_and_there_is_one_summary(folder):
    one, two = ({p.name: p.read_bytes() for p in (folder / n).iterdir()} for n in ("one", "two"))
    assert one == two and len(two) == 4
    told = [(folder / f"restore_two.{rank}.out").read_text() for rank in (0, 1)]
    assert [text.count("8 x 8 to 32 x 32 pixels") for text in told] == [2, 2]
    assert told[0].count("4 of 5 pictures restored") == 1 and "of 5 pictures" not in told[1]
    assert said(folder, "restore_two").count("4.png: ") == 1
    assert "0 of 1 pictures restored" in said(folder, "again_two")


def test_a_comparison_has_the_same_rows_and_leaves_no_outputs(folder):
    one, two = (json.loads((folder / f"c{n}/report.json").read_text()) for n in ("one", "two"))
    assert one["rows"] == two["rows"] and len(two["rows"]) == 4
    assert sorted(p.name for p in (folder / "ctwo").iterdir()) == sorted(
        p.name for p in (folder / "cone").iterdir()
    )


def test_a_prepared_folder_is_that_of_one_process_and_its_record_is_whole(folder):
    one, two = (
        {p.relative_to(folder / n): p.read_bytes() for p in (folder / n).rglob("*.png")}
        for n in ("pone", "ptwo")
    )
    assert one == two and len(two) == 8
    records = [(folder / n / "prepare.jsonl").read_text().splitlines() for n in ("pone", "ptwo")]
    assert sorted(records[0][1:]) == sorted(records[1][1:]) and len(records[1]) == 6
    assert said(folder, "prepare_two").count("1 images could not be used") == 1


def test_errors_are_reported_once(folder):
    assert said(folder, "refused_two").count("exists already (4 of 5 do)") == 1


def test_nproc_starts_the_same_command_once_more(monkeypatch):
    started = []
    monkeypatch.setattr(launch, "run", lambda given, **how: started.append((given, how)) or 0)
    from vmambair_arch import cli

    command = ["restore", "in", "-o", "out", "--nproc", "2"]
    assert cli.vmambair(command) == 0
    ((given, how),) = started
    assert given == [*command, "--nproc", "0"] and how["processes"] == 2
    assert cli.vmambair([*command, "--launcher", "slurm"]) == 2


def test_a_share_is_every_nth():
    shares = [sharing.Share(rank, 3).of(range(8)) for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]
