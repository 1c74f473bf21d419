"""What make gpu does on a machine with a GPU, in miniature on the CPU."""

import contextlib
import importlib
import json
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch

from support.pages import ROOT

HERE = ROOT / "experiments/gpu"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def script(monkeypatch):
    """The script as a module, with its folder importable."""
    monkeypatch.syspath_prepend(str(HERE))
    yield importlib.import_module("run")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("parts", "measuring")]:
        del sys.modules[name]
    del sys.modules["run"]


NAMES = ["correctness", "layouts", "scans", "networks", "trainings", "precisions", "restoring"]


@pytest.mark.parametrize("part", NAMES)
def test_each_part_finds_something_and_nothing_wrong(script, part):
    assert list(script.PARTS) == NAMES
    found = list(importlib.import_module(f"parts.{part}").results("cpu"))
    assert found and not any(result.get("wrong") for result in found)
    assert any(result["value"] is not None for result in found)
    for result in found:
        assert result["value"] is not None or "CUDA" in result["note"] or "not" in result["note"]
        assert result["name"] in script.row({"part": part, **json.loads(json.dumps(result))})


@pytest.fixture
def card(script, monkeypatch):
    """Imports a part, which takes the CPU for a card, and times nothing."""
    for name in ("synchronize", "set_sync_debug_mode", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 2**30)

    def once(call, *_, **__):
        call()
        return 1e-3

    def part(name):
        module = importlib.import_module(f"parts.{name}")
        monkeypatch.setattr(module, "on_gpu", lambda device: True)
        for timed in ("seconds", "replayed_seconds"):
            monkeypatch.setattr(module, timed, once, raising=False)
        return module

    return part


@contextlib.contextmanager
def profile(activities):
    """Two kernels of 1 and 2 us within 4 us, and something on the processor."""

    def event(name, kind, start, end):
        span = SimpleNamespace(start=start, end=end, elapsed_us=lambda: end - start)
        return SimpleNamespace(name=name, device_type=kind, time_range=span)

    kinds = torch.autograd.DeviceType
    events = [event("a", kinds.CUDA, 0, 1), event("b", kinds.CUDA, 2, 4)]
    yield SimpleNamespace(events=lambda: [*events, event("c", kinds.CPU, 0, 9)])


def test_networks_on_a_card(card, monkeypatch):
    networks = card("networks")
    network = networks.presets.build("realsr_x4", **networks.SMALL)
    replaced = {"SIZES": (8,), "compile_network": lambda network: None, "profile": profile}
    for name, value in replaced.items():
        monkeypatch.setattr(networks, name, value)
    monkeypatch.setattr(networks.presets, "build", lambda name: network)
    found = {result["name"]: result["value"] for result in networks.results("cpu")}
    assert found["realsr_x4 8x8 bf16: kernels"] == 2
    assert found["realsr_x4 8x8 bf16: share of the time without a kernel"] == 0.25
    assert found["realsr_x4 8x8 fp32 as a graph"] == found["realsr_x4 8x8 fp32 compiled"] == 1


def test_every_recipe_is_trained_on_a_card(card, monkeypatch):
    trainings = card("trainings")
    monkeypatch.setattr(trainings, "PRECISIONS", ("fp32",))
    monkeypatch.setattr(trainings, "is_small", lambda device: True)
    found = list(trainings.results("cpu"))
    assert len(found) == 3 * len(trainings.RECIPES)
    assert sum(result.get("unit") == "it/s" for result in found) == len(trainings.RECIPES)


def test_waits_for_a_card_are_told_with_their_lines(card):
    def step():
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    (found,) = card("trainings").waits("tiny_x4", step, "SRModel", "cuda")
    assert found["value"] == 1 and found["note"].startswith("test_gpu_script.py:")


def test_a_part_runs_in_a_process_and_its_findings_are_kept(script, tmp_path):
    limits = {"layouts": 300.0, "scans": 0.01}
    results = script.run("cpu", ["layouts", "scans"], 9, tmp_path, limits)
    assert [result["value"] for result in results] == [0, 0, None]
    assert results[-1]["note"] == "its 0 s were over; what follows was not measured"
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["results"] == results and written["machine"]["versions"]["torch"]
    assert len((tmp_path / "table.txt").read_text().splitlines()) == 4


def test_another_run_keeps_what_was_found_of_other_parts_on_the_same_machine(script, tmp_path):
    script.run("cpu", ["scans", "layouts"], 9, tmp_path, {"layouts": 300.0, "scans": 0.01})
    script.run("cpu", ["scans", "layouts"], 0, tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    notes = [(result["part"], result.get("note")) for result in found["results"]]
    over = "no time is left"
    assert notes == [("layouts", ""), ("layouts", ""), ("layouts", over), ("scans", over)]
    found["machine"]["processor"] = "another"
    (tmp_path / "results.json").write_text(json.dumps(found))
    script.run("cpu", ["scans"], 0, tmp_path)
    (only,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert only["part"] == "scans"


def test_all_parts_together_stay_below_eight_minutes(script, tmp_path):
    assert sum(script.PARTS.values()) < 8 * 60
    results = script.run("cpu", NAMES, 0, tmp_path)
    assert {result["note"] for result in results} == {"no time is left"}
