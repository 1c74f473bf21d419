"""make compare-x4 and compare-derain, in miniature: what they train, write and do not repeat."""

import runpy
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from skimage import data

from support.pages import ROOT
from vmambair_arch import reporting
from vmambair_arch.commands.bench import session
from vmambair_arch.training import step_time

SCRIPTS = ROOT / "experiments/comparisons"
SECONDS = 3
VM = {"type": "VmambaIR", "dim": 2, "num_blocks": [1, 0, 0, 0], "d_state": 1}
TINY = {"num_refinement_blocks": 0, **VM}
RIVAL = {"dim": 2, "num_blocks": [1, 0, 0, 0], "num_refinement_blocks": 0}
NETWORKS = {
    "x4": {
        "VmambaIR": {**TINY, "scale": 4},
        "Restormer": {**RIVAL, "type": "RestormerSR", "scale": 4, "heads": [1, 1, 1, 1]},
        "unknown": {"type": "NobodysNetwork"},
    },
    "derain": {
        "VmambaIR": {**TINY, "scale": 1},
        "U-Net": {**RIVAL, "type": "PlainUNet", "scale": 1},
    },
}


@pytest.fixture(scope="module")
def compare():
    """The script's main, as if it were run."""
    path = list(sys.path)
    yield runpy.run_path(str(SCRIPTS / "compare.py"))["main"]
    sys.path[:] = path


@pytest.fixture
def contest(tmp_path, monkeypatch):
    """Photographs, and the shipped file of a task with networks of a few parameters.

    A step takes a second, and nothing else does.
    """
    monkeypatch.chdir(tmp_path)
    for place in ("train", "val", "test/first", "test/second"):
        Path("photos", place).mkdir(parents=True)
        picture = data.astronaut()[:48, 200:264] if place == "train" else data.coffee()[:48, :64]
        Image.fromarray(picture).save(Path("photos", place, "one.png"))
        Image.fromarray(picture[::-1]).save(Path("photos", place, "two.png"))

    class Clock:
        seconds = 0

        @classmethod
        def process_time(cls) -> float:
            cls.seconds += 1
            return float(cls.seconds)

    timed = []

    def process(case, device):
        timed.append(case)
        size = {"seconds": 0.1, "seconds_min": 0.1, "repeats": 1, "peak_mib": 9.0, "peak_by": "-"}
        return {**size, "parameters": 10}

    monkeypatch.setattr(step_time, "time", Clock)
    monkeypatch.setattr(session, "_in_a_process", process)

    def write(task: str) -> str:
        found = yaml.safe_load((SCRIPTS / f"{task}.yml").read_text())
        found["networks"] = {n: {"network_g": given} for n, given in NETWORKS[task].items()}
        found["sub_images"] = {"size": 40, "step": 24}
        train = found["options"]["datasets"]["train"]
        train.update(gt_size=32, batch_size_per_gpu=1)
        found["options"]["val"]["val_freq"] = 2
        found["options"]["train"]["warmup_iter"] = -1
        if "ablations" in found:
            found["ablations"] = {"one direction": {"directions": 1}}
        found |= {"ablation_share": 0.7, "seeds": 2, "close": 0.0}
        Path(f"{task}.yml").write_text(yaml.safe_dump(found))
        return f"{task}.yml"

    return write


def trained(folder: Path) -> dict[str, list]:
    """The iterations at which every training was validated."""
    return {
        path.stem: [row["iter"] for row in reporting.read(path).rows]
        for path in sorted(folder.glob("metrics/*.jsonl"))
    }


def test_x4_in_miniature(compare, contest, capsys):
    out, again = Path("out"), ["photos", "--output", "out", "--seconds"]
    task = contest("x4")
    assert compare([task, *again, str(SECONDS)]) == 0
    assert "unknown is left out: no package registers it" in capsys.readouterr().out
    runs = {"Restormer": [2, 3], "VmambaIR": [2, 3], "one_direction_ablation": [2]}
    assert trained(out) == runs
    for name in ("first", "second"):
        report = reporting.read(out / name / "report.json")
        assert {row["method"] for row in report.rows} == {"bicubic", "VmambaIR", "Restormer"}
        for picture in ("best", "worst", "quality_over_speed"):
            assert (out / name / f"{picture}.png").is_file()
    page, tex = (out / "README.md").read_text(), (out / "tables.tex").read_text()
    for title in ("At equal time: 3 s", "At equal iterations: 2,", "VmambaIR after 2 iterations"):
        assert title in page and title in tex
    assert "| one direction |" in page and "unknown is missing" in page
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.suffix in (".pth", ".json")}
    assert compare([task, *again, str(SECONDS)]) == 0
    assert before == {p: p.stat().st_mtime_ns for p in before}
    assert compare([task, *again, str(SECONDS + 1)]) == 0
    assert trained(out)["VmambaIR"] == [2, 3, 4]


def test_derain_in_miniature_with_seeds_where_networks_are_close(compare, contest):
    task = Path(contest("derain"))
    task.write_text(task.read_text().replace("close: 0.0", "close: 99"))
    assert compare([str(task), "photos", "--output", "out", "--seconds", "2"]) == 0
    assert sorted(trained(Path("out"))) == ["U_Net", "U_Net_seed1", "VmambaIR", "VmambaIR_seed1"]
    report = reporting.read(Path("out/first/report.json"))
    assert {row["method"] for row in report.rows} == {"input", "VmambaIR", "U-Net"}
    first, other = (
        yaml.safe_load(Path("out/options", f"VmambaIR{seed}.yml").read_text())
        for seed in ("", "_seed1")
    )
    assert (first.pop("manual_seed"), other.pop("manual_seed")) == (0, 1)
    assert {**first, "name": ""} == {**other, "name": ""}
    assert "| U-Net" in Path("out/README.md").read_text()


@pytest.mark.parametrize("given", ["", "nowhere", "photos/train"])
def test_a_folder_of_data_is_asked_for_in_a_sentence(compare, contest, given, capsys):
    assert compare([contest("x4"), given]) == 2
    error = capsys.readouterr().err
    assert "give a folder with train/ and val/ (photographs) and test/NAME/" in error
    assert error.count("\n") == 1
