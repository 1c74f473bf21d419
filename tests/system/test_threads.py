"""Threads follow the idle cores and the work, are reported, and sleep soon when idle."""

import os
import subprocess
import sys

import pytest
import torch

from vmambair_arch.system import openmp, threads

BUSY, IDLE = "cpu{} 100 0 50 0 0 0 0 0 0 0", "cpu{} 100 0 50 {} 0 0 0 0 0 0"


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch, tmp_path):
    """No environment variable or quota is set, nothing sleeps, and torch's setting is restored."""
    before = torch.get_num_threads()
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(threads, "STATISTICS", tmp_path / "stat")
    monkeypatch.setattr(threads, "SAMPLE", 0)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of eight cores; the process may use some of them, and some are busy."""

    def make(*, bound=range(8), busy=(), load=None):
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(bound), raising=False)
        readings = iter((0, 100))

        def ticks():
            spent = next(readings)
            work = {core: spent if core in busy else 0 for core in bound}
            return {core: [work[core], 0, 0, spent - work[core], 0, 0, 0, 0] for core in bound}

        monkeypatch.setattr(threads, "_ticks", ticks if load is None else lambda: {})
        if load is not None:
            monkeypatch.setattr(os, "getloadavg", lambda: load, raising=False)

    return make


def test_an_idle_machine_gets_a_thread_per_core(machine):
    machine()
    assert threads.choose()[:2] == (8, "8 cores to use, other programs keep 0.0 busy")


def test_busy_cores_are_left_alone_but_one_thread_remains(machine):
    machine(busy={0, 1, 2})
    assert threads.choose().number == 5
    machine(bound={0, 1}, busy={0, 1})
    assert threads.choose()[:2] == (1, "2 cores to use, other programs keep 2.0 busy")


def test_cores_that_the_process_may_not_use_do_not_count(machine):
    machine(bound={4, 5}, busy={0, 1, 2, 3})
    assert threads.choose().number == 2


def test_a_quota_limits_the_threads(machine):
    for quota, number in (("150000 100000", 2), ("max 100000", 8), ("50000 100000", 1)):
        machine()
        threads.QUOTA.write_text(quota)
        assert threads.choose().number == number


def test_outside_linux_the_lasting_load_counts(machine):
    machine(load=(6.0, 2.2, 0.0))  # a command has just ended
    assert threads.choose().number == 6


def test_without_load_figures_every_core_is_used(machine, monkeypatch):
    machine(load=(0, 0, 0))
    monkeypatch.delattr(os, "getloadavg")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert threads.choose()[:2] == (8, "8 cores to use")


def test_little_work_takes_few_threads(machine):
    for work, number in ((threads.WORK / 2, 1), (threads.WORK * 3, 3), (threads.WORK * 99, 8)):
        machine()
        assert threads.choose(work).number == number


def test_openmps_variables_are_respected(machine, monkeypatch):
    machine(busy=range(8))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    assert str(threads.choose()) == "3 threads on the CPU: OMP_NUM_THREADS is 3"


def test_a_given_number_is_used(machine):
    machine(busy=range(8))
    assert str(threads.use(1)) == "1 thread on the CPU: as was asked for"
    assert torch.get_num_threads() == 1


def test_a_core_is_as_busy_as_its_ticks_say(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3}, raising=False)
    rows = ["cpu  9 9", BUSY.format(0), IDLE.format(1, 50), IDLE.format(3, 0), "intr 5", ""]
    threads.STATISTICS.write_text("\n".join(rows))
    assert threads._ticks() == {1: [100, 0, 50, 50, 0, 0, 0, 0], 3: [100, 0, 50, 0, 0, 0, 0, 0]}
    assert threads._share([100, 0, 50, 50, 0], [110, 0, 60, 120, 10]) == pytest.approx(0.2)
    assert threads._share([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == 0


def test_idle_openmp_threads_sleep_soon_unless_configured_otherwise():
    chosen = {"GOMP_SPINCOUNT": "7"}
    code = (
        "import os, vmambair_arch; from vmambair_arch.system.openmp import POLICIES as p;"
        "print({name: os.environ[name] for name in p if name in os.environ})"
    )
    others = {k: v for k, v in os.environ.items() if k not in openmp.POLICIES}
    for environment, expected in (({}, openmp.WAITS), (chosen, chosen)):
        command, whole = [sys.executable, "-c", code], {**others, **environment}
        done = subprocess.run(command, env=whole, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(expected)
