"""What make gpu does on a machine with a GPU, in miniature on the CPU."""

import importlib
import json
import sys

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


@pytest.mark.parametrize("part", ["correctness", "layouts", "scans", "precisions", "restoring"])
def test_each_part_finds_something_and_nothing_wrong(script, part):
    assert list(script.PARTS) == NAMES
    found = list(importlib.import_module(f"parts.{part}").results("cpu"))
    assert found and not any(result.get("wrong") for result in found)
    assert any(result["value"] is not None for result in found)
    for result in found:
        assert result["value"] is not None or "CUDA" in result["note"] or "not" in result["note"]
        assert result["name"] in script.row({"part": part, **json.loads(json.dumps(result))})


@pytest.mark.long
@pytest.mark.parametrize("part", ["networks", "trainings"])
def test_the_longer_parts_run_too(script, part):
    test_each_part_finds_something_and_nothing_wrong(script, part)


def test_a_part_runs_in_a_process_and_its_findings_are_kept(script, tmp_path):
    limits = {"layouts": 300.0, "scans": 0.01}
    results = script.run("cpu", ["layouts", "scans"], 9, tmp_path, limits)
    assert [result["value"] for result in results] == [0, 0, None]
    assert results[-1]["note"] == "its 0 s were over; what follows was not measured"
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["results"] == results and written["machine"]["versions"]["torch"]
    assert len((tmp_path / "table.txt").read_text().splitlines()) == 4


def test_all_parts_together_stay_below_eight_minutes(script, tmp_path):
    assert sum(script.PARTS.values()) < 8 * 60
    results = script.run("cpu", NAMES, 0, tmp_path)
    assert {result["note"] for result in results} == {"no time is left"}
