"""vmambair bench --rivals measures each network in a process of its own, or says why not."""

import math
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from support import forks
from support.patience import PATIENCE
from vmambair_arch import cli, reporting
from vmambair_arch.commands.bench.rivals import entrants, judging, process, report, session
from vmambair_arch.commands.bench.rivals.entrants import BICUBIC, ENTRANTS, Entrant
from vmambair_arch.data.imresize import imresize
from vmambair_arch.system import memory

pytest.importorskip("skimage")
MEBIBYTE = 2**20


def nearest(folder: Path) -> Path:
    """A network that repeats every pixel four times each way, as an .onnx file."""
    from onnx import TensorProto, helper

    of = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, f"{name} h", f"{name} w"])
        for name in ("image", "restored")
    ]
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1.0, 1.0, 4.0, 4.0])
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    node = helper.make_node("Resize", ["image", "", "scales"], ["restored"], mode="nearest", **how)
    graph = helper.make_graph([node], "nearest", of[:1], of[1:], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "nearest.onnx").write_bytes(model.SerializeToString())
    return folder / "nearest.onnx"


def damaged(folder: Path) -> Path:
    (folder / "damaged.onnx").write_bytes(b"no network")
    return folder / "damaged.onnx"


def task(picture: np.ndarray, folder: Path, **other) -> dict:
    np.save(folder / "picture.npy", picture)
    return {
        **{"runner": "Pillow", "model": "", "threads": 1, "picture": folder / "picture.npy"},
        **{"limit": math.inf, "seconds": 0, "judged": [], "outputs": [], **other},
    }


@pytest.fixture
def made_up(monkeypatch) -> list[dict]:
    """Replaces the processes by a result: a microsecond and 64 bytes a pixel; their tasks."""
    tasks = []

    def result(task: dict) -> dict:
        tasks.append(task)
        side = int(Path(task["picture"]).stem)
        times = dict.fromkeys(("seconds", "seconds_min", "cpu_seconds"), 1e-6 * side**2)
        return {**times, "peak_mib": 64 * side**2 / MEBIBYTE, "file_mb": 1.0, "scale": 4}

    monkeypatch.setattr(session, "in_a_process", result)
    monkeypatch.setattr(session.judging, "write_inputs", lambda folder: [folder / "input.npy"])
    monkeypatch.setattr(report.rivals, "draw", lambda report: None)
    monkeypatch.setattr(session.threads, "cores", lambda: 2)
    return tasks


def test_who_can_run_is_measured_and_of_the_others_it_is_told_why_not(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(session, "SECONDS", 0)
    monkeypatch.setattr(session, "THREADS", (1,))
    others = [
        Entrant("nearest", "onnxruntime", trained=BICUBIC, file=nearest),
        Entrant("absent", "PyTorch", needs=("no_such_package",)),
        Entrant("damaged", "onnxruntime", file=damaged),
    ]
    lines = list(session.run(tmp_path, sizes=[64, 128], entrants=others))
    found = reporting.read(tmp_path / "rivals.json")
    assert [(row["name"], row["size"], row["scale"]) for row in found.rows] == [
        ("nearest", 64, 4),
        ("nearest", 128, 4),
    ]
    assert (tmp_path / "rivals.png").read_bytes().startswith(b"\x89PNG")
    quality = [row["psnr"] for row in found.rows]
    assert quality == 2 * [pytest.approx(psnr_of_nearest())]
    assert found.rows[0]["file_mb"] == nearest(tmp_path).stat().st_size / 1e6
    assert 0 < found.rows[0]["peak_mib"] < 150  # of a process without torch
    reasons = {(c["name"], c["size"]): c["reason"] for c in found.details["skipped"]}
    assert reasons.keys() == {(name, size) for name in ("absent", "damaged") for size in (64, 128)}
    assert reasons["absent", 64] == (
        "no_such_package is not installed: pip install 'vmambair-arch[rivals]'"
    )
    assert reasons["damaged", 128].startswith("it failed: ")
    assert sum("skipped" in line for line in lines) == 2  # each is told once


def psnr_of_nearest() -> float:
    def psnr(name: str) -> float:
        truth = judging.truth(name)
        small = imresize(truth.astype(np.float32) / 255, 1 / 4)
        large = np.round(255 * small.clip(0, 1)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
        return judging.fidelity.psnr(large, truth, border=4, rgb=False)

    return sum(map(psnr, judging.JUDGED)) / len(judging.JUDGED)


@pytest.mark.parametrize("runner", ["onnxruntime", "OpenVINO"])
def test_programs_give_what_the_file_computes(runner, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip(runner.lower())
    picture = np.random.default_rng(0).random((1, 3, 16, 24), np.float32)
    run, bytes_ = process.RUNNERS[runner](str(nearest(tmp_path)), 1)
    assert np.array_equal(run(picture), picture.repeat(4, 2).repeat(4, 3))
    assert bytes_ == nearest(tmp_path).stat().st_size


def test_the_bicubic_of_pillow_is_in_its_scale(tmp_path):
    picture = np.full((1, 3, 80, 72), 0.2, np.float32)
    outputs = [tmp_path / "output.npy"]
    given = task(picture, tmp_path, judged=[tmp_path / "picture.npy"], outputs=outputs)
    result = process.main(given)
    assert (result["scale"], result["file_mb"], result["repeats"]) == (4, 0, 1)
    np.testing.assert_allclose(np.load(outputs[0]), np.full((1, 3, 320, 288), 0.2), atol=1e-6)


def test_a_pass_that_would_take_too_long_is_refused(tmp_path):
    result = process.main(task(np.zeros((1, 3, 128, 128), np.float32), tmp_path, limit=-1))
    assert result["refused"].startswith("it would take about 0 s")


def test_a_pass_of_minutes_is_measured_once(monkeypatch):
    monkeypatch.setattr(process, "SLOW", 0)
    result = process.timed(lambda picture: picture, np.zeros(1), 60)
    assert result["repeats"] == 1


def test_small_pictures_come_first_and_quality_is_judged_once(made_up, monkeypatch, tmp_path):
    monkeypatch.setattr(session.judging, "psnr", lambda outputs: 30.0)
    found = [Entrant("bicubic", "Pillow", trained=BICUBIC), Entrant("Restormer", "PyTorch")]
    list(session.run(tmp_path, sizes=[128, 64], entrants=found))
    order = [(Path(t["picture"]).stem, t["runner"], t["threads"]) for t in made_up]
    assert order == [
        (size, runner, count)
        for size in ("64", "128")
        for runner in ("Pillow", "PyTorch")
        for count in (1, 2)
    ]
    assert [len(t["judged"]) for t in made_up] == [1] + 7 * [0]
    rows = reporting.read(tmp_path / "rivals.json").rows
    assert {(row["name"], row["psnr"], row["trained"]) for row in rows} == {
        ("bicubic", 30.0, BICUBIC),
        ("Restormer", None, "random weights"),
    }


def test_a_stopped_run_tells_where_what_it_measured_is(made_up, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session.judging, "psnr", lambda outputs: 30.0)
    measured = session.in_a_process

    def process(task: dict) -> dict:
        if len(made_up) == 2:
            raise KeyboardInterrupt
        return measured(task)

    monkeypatch.setattr(session, "in_a_process", process)
    arguments = ["bench", "--rivals", "--only", "bicubic", "RRDBNet, PyTorch", "--sizes", "64"]
    assert cli.vmambair(arguments) == 130
    path = Path("experiments/benchmarks/rivals-stopped.json")
    assert f"stopped: what was measured until then is in {path}\n" in capsys.readouterr().out
    assert [row["threads"] for row in reporting.read(path).rows] == [1, 2]
    assert not path.with_name("rivals.json").exists()


def test_a_network_can_be_chosen_in_one_of_its_programs(made_up, tmp_path):
    found = [Entrant("ours", runner) for runner in ("onnxruntime", "OpenVINO")]
    list(session.run(tmp_path, sizes=[64], only=["ours, OpenVINO"], entrants=found))
    assert {task["runner"] for task in made_up} == {"OpenVINO"}


def test_what_does_not_fit_is_skipped_with_the_reason(made_up, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "free", lambda device: 100 * 64**2)
    list(session.run(tmp_path, sizes=[64, 128], only=["Restormer"]))
    skipped = reporting.read(tmp_path / "rivals.json").details["skipped"]
    assert [(c["size"], c["threads"]) for c in skipped] == [(128, 1), (128, 2)]
    assert skipped[0]["reason"] == "it would need about 0.0 GiB, and 0.0 are free"
    list(session.run(tmp_path, sizes=[64], only=["Restormer"], minutes=1e-9))
    skipped = reporting.read(tmp_path / "rivals.json").details["skipped"]
    assert {c["reason"] for c in skipped} == {"the time for the whole run is used up"}
    monkeypatch.setattr(session.threads, "cores", lambda: 1)
    lines = list(session.run(tmp_path, sizes=[64], only=["Restormer"]))
    assert lines[-1].endswith("2 threads: skipped: this process may use 1 core(s)")


def test_an_export_that_fails_is_told_with_its_last_words(made_up, monkeypatch, tmp_path):
    def fails(folder: Path) -> Path:
        raise session.subprocess.CalledProcessError(2, "export", stderr="first\nvmambair: no\n")

    found = [Entrant("ours", "onnxruntime", file=fails)]
    lines = list(session.run(tmp_path, sizes=[64], entrants=found))
    assert lines[1:] == [
        "ours, onnxruntime, 64 x 64, 1 thread: skipped: it cannot be exported: vmambair: no"
    ]


def test_a_network_is_exported_once_for_all_that_run_its_file(monkeypatch, tmp_path):
    def export(command: list[str], **options) -> None:
        commands.append(command[3:])
        Path(command[5]).touch()

    commands = []
    monkeypatch.setattr(entrants.subprocess, "run", export)
    monkeypatch.setattr(entrants, "network", lambda name: torch.nn.Identity())
    files = [entrants.onnx_file("ours", "parallel", tmp_path) for _ in range(2)]
    assert files[0] == files[1] and files[0].exists()
    saved = str(tmp_path / "ours.pth")
    assert commands == [["export", saved, str(files[0]), "--scan", "parallel"]]
    assert torch.load(saved) == {}


SLEEPING = """
import sys
from vmambair_arch import cli
from vmambair_arch.commands.bench import arguments, fresh_process

SLEEP = "import os, time; print(os.getpid(), file=open('child', 'w')); time.sleep(600)"
arguments._of_rivals = lambda given: [fresh_process.run(["-c", SLEEP], threads=1, limit=600.0)]
sys.exit(cli.vmambair(["bench", "--rivals"]))
"""


def test_sigterm_ends_the_process_that_measures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    process = forks.start(SLEEPING)
    child = int(forks.line("child"))
    os.kill(process.pid, signal.SIGTERM)
    process.join(PATIENCE)
    assert process.exitcode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_every_network_is_named_once_for_each_program():
    names = [str(entrant) for entrant in ENTRANTS]
    assert len(set(names)) == len(names)
    assert {entrant.runner for entrant in ENTRANTS} == process.RUNNERS.keys()
    assert ENTRANTS[1].file is not None  # the bundled network
    assert ENTRANTS[1].file(Path()).stat().st_size > 0
    assert type(entrants.network("Restormer")).__name__ == "Restormer"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "tiny_x4"], "--rivals measures networks of its own; leave --model and --plugin"),
        (
            ["--only", "ResNet"],
            "nothing to measure is called 'ResNet': choose from bicubic, tiny_x4",
        ),
        (["--sizes", "100"], "size is 100; it must be a positive multiple of 8"),
        (["--minutes", "0"], "minutes is 0; it must be a number above 0"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.vmambair(["bench", "--rivals", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_scikit_image_is_told_with_the_extra_that_has_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert cli.vmambair(["bench", "--rivals", "-o", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "bench --rivals needs skimage" in message and "vmambair-arch[rivals]" in message


def test_a_row_without_a_known_peak_has_a_question_mark():
    told = {"name": "a", "runner": "b", "size": 64, "threads": 1, "seconds_min": 1.0, "psnr": None}
    line = report.row({**told, "seconds_per_megapixel": 1.0, "peak_mib": None, "file_mb": 1.0})
    assert line.split()[-2:] == ["?", "1.0"]
