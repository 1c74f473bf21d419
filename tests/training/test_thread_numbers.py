"""The number of threads of a training: asked for, from a resumed state, or by the work."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vmambair_arch.system import threads
from vmambair_arch.training import thread_numbers

MODEL = SimpleNamespace(device=torch.device("cpu"), net_g=nn.Linear(1000, 1000))
OPT = {
    "is_train": True,
    "rank": 0,
    "scale": 4,
    "datasets": {
        "train": {"phase": "train", "type": "Any", "gt_size": 64, "batch_size_per_gpu": 4}
    },
    "num_gpu": 0,
    "dist": False,
    "world_size": 1,
}


@pytest.fixture(autouse=True)
def eight_idle_cores(monkeypatch):
    before = torch.get_num_threads()
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.setattr(threads, "busy", lambda: 0.0)
    yield
    torch.set_num_threads(before)


def settled(state=None, **options) -> str:
    return thread_numbers.settle({**OPT, **options}, state, MODEL)


def written_with(number: int) -> dict:
    return {"processes": [{"threads": number}]}


def test_a_run_uses_as_many_threads_as_its_work_is_worth():
    weights = 1000 * 1000 + 1000
    expected = int(weights * 4 * 16 * 16 // threads.WORK)
    assert settled().startswith(f"{expected} threads on the CPU: 8 cores to use")
    assert torch.get_num_threads() == expected


def test_a_run_resumes_with_the_states_number():
    line = "5 threads on the CPU: as in the state that training resumes from"
    assert settled(written_with(5)) == line
    assert torch.get_num_threads() == 5


def test_a_number_asked_for_overrides_the_states():
    assert settled(written_with(5), threads=3) == "3 threads on the CPU: as was asked for"
    assert torch.get_num_threads() == 3


def test_a_state_of_a_larger_machine_resumes_with_the_threads_of_this_one():
    assert settled(written_with(64)).endswith(
        "little work in a step; the state was written with 64"
    )


def test_a_test_uses_every_idle_core():
    line = settled(is_train=False, datasets={"test": {"phase": "test"}})
    assert line.startswith("8 threads on the CPU: 8 cores to use")


def test_a_state_without_a_number_has_no_effect():
    assert settled({"processes": [{}]}) == settled({"processes": None}) == settled()
