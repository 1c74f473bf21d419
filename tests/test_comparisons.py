"""make compare-x4 and compare-derain, in miniature: what they train, write and do not repeat."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from skimage import data

from support.pages import ROOT
from vmambair_arch import reporting
from vmambair_arch.commands import command_line, plugins
from vmambair_arch.commands.bench import session
from vmambair_arch.networks import cost
from vmambair_arch.option_files import plugin_files, yaml_lines, yaml_values
from vmambair_arch.system import machine
from vmambair_arch.training import step_time

from basicsr.utils.registry import ARCH_REGISTRY  # isort: skip

SCRIPTS = ROOT / "experiments/comparisons"
SECONDS = 3
VM = {"type": "VmambaIR", "dim": 2, "num_blocks": [1, 0, 0, 0], "d_state": 1}
TINY = {"num_refinement_blocks": 0, **VM}
VM_GIVEN = {"network_g": VM}
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


def photographs(h: int, w: int) -> None:
    """Write a folder of them, of a size."""
    for place in ("train", "val", "test/first", "test/second"):
        Path("photos", place).mkdir(parents=True, exist_ok=True)
        picture = (data.astronaut() if place == "train" else data.coffee())[:h, 200 : 200 + w]
        Image.fromarray(picture).save(Path("photos", place, "one.png"))
        Image.fromarray(picture[::-1]).save(Path("photos", place, "two.png"))


@pytest.fixture
def contest(tmp_path, monkeypatch):
    """Photographs, and the shipped file of a task with networks of a few parameters.

    A step takes a second, and nothing else does.
    """
    monkeypatch.chdir(tmp_path)
    photographs(48, 64)

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


def test_speed_is_measured_again_on_another_processor(compare, contest, monkeypatch):
    run = [contest("derain"), "photos", "--output", "out", "--seconds", "1"]
    assert compare(run) == 0
    monkeypatch.setattr(machine, "processor", lambda: "another")
    assert compare(run) == 0
    assert reporting.read(Path("out/bench.json")).machine["processor"] == "another"
    assert "one core of: another" in Path("out/README.md").read_text()


def test_networks_of_installed_plugins_are_registered(compare, contest, monkeypatch):
    loaded = []
    monkeypatch.setattr(plugins, "load", lambda: loaded.append(True))
    assert compare([contest("x4"), "nowhere"]) == 2 and loaded


def test_reports_name_the_script_that_made_them(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["experiments/comparisons/compare.py", "x4", "my photos"])
    assert (
        command_line.current_command() == "python experiments/comparisons/compare.py x4 'my photos'"
    )
    monkeypatch.setattr(sys, "argv", ["/usr/bin/vmambair", "bench"])
    assert command_line.current_command() == "vmambair bench"


@pytest.mark.parametrize("given", ["", "nowhere", "photos/train"])
def test_a_folder_of_data_is_asked_for_in_a_sentence(compare, contest, given, capsys):
    assert compare([contest("x4"), given]) == 2
    error = capsys.readouterr().err
    assert "give a folder with train/ and val/ (photographs) and test/NAME/" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("close"), "x4.yml:1: close: is missing; give it as"),
        (lambda c: c.pop("networks"), "networks: give networks, each with its network_g"),
        (lambda c: c["options"]["train"].pop("ema_decay"), "options.train.ema_decay: is missing"),
        (lambda c: c["networks"].update(mine={}), "networks.mine.network_g.type: is missing"),
        (lambda c: c.update(of="unknown"), "of is unknown, which is not among the networks that"),
        (lambda c: c.update(seeds="three"), "seeds is 'three'; give a whole number above"),
        (lambda c: c.update(close=True), "close is True; give a number of dB, 0 or more"),
        (lambda c: c.update(ablation_share="half"), "is 'half'; give a share of the time, 0 to 1"),
        (lambda c: c.update(ablations=["GELU"]), "ablations is ['GELU']; give names, each with"),
        (lambda c: c.update(sub_images=160), "sub_images is 160; give a size and a step in pixels"),
        (
            lambda c: c["networks"].update({"Vm/aIR": VM_GIVEN, "Vm-aIR": VM_GIVEN}),
            "networks.Vm/aIR: would be trained in the folder of Vm-aIR; give it a name that",
        ),
        (lambda c: c["networks"].pop("Restormer"), "only VmambaIR is registered; give another too"),
    ],
)
def test_what_a_file_of_a_task_lacks_is_said_before_anything_is_made(
    compare, contest, change, message, capsys
):
    path = Path(contest("x4"))
    found = yaml.safe_load(path.read_text())
    change(found)
    path.write_text(yaml.safe_dump(found))
    assert compare([str(path), "photos"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not Path("x4").exists()


def test_a_network_that_has_changed_is_not_taken_for_the_trained_one(compare, contest, capsys):
    task = Path(contest("derain"))
    assert compare([str(task), "photos", "--seconds", "1"]) == 0
    page = Path("derain/README.md").read_text()  # beside the file, not among the shipped results
    task.write_text(task.read_text().replace("d_state: 1", "d_state: 2"))
    capsys.readouterr()
    assert compare([str(task), "photos", "--seconds", "1"]) == 2
    said = "VmambaIR was trained in derain/runs/VmambaIR with another network_g; give it another"
    assert said in capsys.readouterr().err
    assert Path("derain/README.md").read_text() == page


def shipped(task: str) -> tuple[dict, dict]:
    """The shipped file of a task, and its networks by name, built."""
    nothing = yaml_lines.OptionFile("", {}, yaml_values.Place(""))
    plugin_files.load(nothing, [str(SCRIPTS / "rivals.py")])
    found = yaml.safe_load((SCRIPTS / f"{task}.yml").read_text())
    networks = {}
    for name, given in found["networks"].items():
        options = dict(given["network_g"])
        kind = options.pop("type")
        if kind in ARCH_REGISTRY:  # MambaIR comes by a plugin
            networks[name] = ARCH_REGISTRY.get(kind)(**options)
    return found, networks


def test_the_shipped_sizes_of_one_width_take_about_the_same_arithmetic(compare):
    _, networks = shipped("sizes")
    x = torch.rand(1, 3, 32, 32)
    work = {n: cost.count(lambda f=f: f(x)).multiply_adds for n, f in networks.items()}
    assert len(work) == 11
    work = {name: count for name, count in work.items() if "channels" not in name}
    assert max(work.values()) < 1.1 * min(work.values()), work


@pytest.mark.parametrize("task", ["x4", "derain"])
def test_the_shipped_networks_can_be_built_and_have_one_size(compare, task):
    found, networks = shipped(task)
    sizes = {n: sum(p.numel() for p in network.parameters()) for n, network in networks.items()}
    assert len(sizes) == {"x4": 5, "derain": 3}[task]
    assert max(sizes.values()) < 1.05 * min(sizes.values()), sizes
    for options in found.get("ablations", {}).values():
        network = {**found["networks"][found["of"]]["network_g"], **options}
        ARCH_REGISTRY.get(network.pop("type"))(**network)


@pytest.mark.long
@pytest.mark.parametrize("task", ["x4", "derain"])
def test_the_shipped_networks_are_trained_for_a_step_each(compare, contest, task):
    photographs(160, 160)
    assert compare([task, "photos", "--output", "out", "--seconds", "1"]) == 0
    steps = trained(Path("out"))
    assert set(map(tuple, steps.values())) == {(1,)}
    found = yaml.safe_load((SCRIPTS / f"{task}.yml").read_text())
    assert len(steps) >= len(found["networks"]) - (task == "x4") + len(found.get("ablations", {}))
