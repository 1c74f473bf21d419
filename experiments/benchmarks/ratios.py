"""Measure the times by which the CPU code is judged, each in proportion to another one.

    python experiments/benchmarks/ratios.py experiments/benchmarks/ratios.json

takes six minutes on an idle machine with two cores, and writes and prints the figures: of the
fastest calls of each thing, in one process. What is compared is called in turn, so that slow
minutes of a shared host fall on all of it. With

    NUMBA_CPU_NAME=x86-64-v3 NUMBA_CPU_FEATURES= ATEN_CPU_CAPABILITY=avx2 \
        ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2

before it, a processor with AVX-512 uses no more than AVX2.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from torch import Tensor, nn

from vmambair_arch import inference, load_network
from vmambair_arch.commands.bench import cases, measure
from vmambair_arch.commands.bench.cases import Case
from vmambair_arch.networks import presets
from vmambair_arch.networks.vmambair import VmambaIR
from vmambair_arch.system import machine, threads

ROOT = Path(__file__).parents[2]
SCAN, PASSES = "planar_scan/numba", (cases.FORWARD, cases.BACKWARD)
SCANS = ((64, 48), (64, 96), (16, 16), (8, 384), (8, 128))  # height and width, and channels
SIDES = (64, 256, 512)  # of maps whose times are compared
STEPS = {"demo": 16, "tiny_x4": 32}  # height and width of the eight crops of a training step
BUSY = "while True: pass"
ENVIRONMENT = ("NUMBA_CPU_NAME", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS")

Call = Callable[[], Any]
Key = TypeVar("Key")


def fastest(calls: dict[Key, Call], seconds: float) -> dict[Key, float]:
    """Seconds of the fastest call of each, in turn, after one that compiles and allocates."""
    for call in calls.values():
        call()
    times: dict[Key, float] = {}
    rounds, end = 0, time.perf_counter() + seconds
    while rounds < 3 or time.perf_counter() < end:
        rounds += 1
        for key, call in calls.items():
            start = time.perf_counter()
            call()
            taken = time.perf_counter() - start
            times[key] = min(taken, times.get(key, taken))
    return times


def networks() -> dict[str, nn.Module]:
    """The networks by their names: the preset, its rival, and two small ones."""
    options = yaml.safe_load((ROOT / "options/demo_vmambair_x4.yml").read_text())["network_g"]
    del options["type"]
    tiny = load_network(ROOT / "vmambair_arch/weights/tiny_x4.safetensors").float()
    return {
        "realsr_x4": presets.build("realsr_x4"),
        "RRDBNet": cases.network("RRDBNet"),
        "tiny_x4": tiny,
        "demo": VmambaIR(**options),
    }


def forward(network: nn.Module, x: Tensor, count: int) -> Call:
    """A forward pass with so many threads."""

    def call() -> None:
        torch.set_num_threads(count)
        with torch.no_grad():
            inference.run(network, x)

    return call


def step(network: nn.Module, x: Tensor, count: int) -> Call:
    """A training step with so many threads: forward, backward and Adam, as trainings build it."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)

    def call() -> None:
        torch.set_num_threads(count)
        optimizer.zero_grad()
        inference.run(network, x).mean().backward()
        optimizer.step()

    return call


def of_scans() -> dict[str, float]:
    """Nanoseconds for a pixel, channel, direction and state; one thread."""
    found = {}
    for size, channels in SCANS:
        both = {passes: Case(SCAN, size, passes, channels=channels) for passes in PASSES}
        calls = {key: measure.scan_step(case, size, "cpu")[0] for key, case in both.items()}
        ahead, back = fastest(calls, 4.0).values()
        states = size**2 * channels * 4 * measure.STATES
        what = f"planar_scan, {channels} channels, {size} x {size}"
        found[f"{what}: ns a state"] = ahead / states * 1e9
        found[f"{what}: backward to forward"] = back / ahead
    return found


def of_forward_passes(nets: dict[str, nn.Module]) -> dict[str, float]:
    """Forward passes with one thread and two."""
    sizes = {"realsr_x4": 64, "RRDBNet": 64, "tiny_x4": 256}
    maps = {name: torch.rand(1, 3, size, size) for name, size in sizes.items()}
    calls = {
        (name, count): forward(nets[name].eval(), x, count)
        for name, x in maps.items()
        for count in (1, 2)
    }
    taken = fastest(calls, 90.0)
    found = {}
    for count, words in ((1, "one thread"), (2, "two threads")):
        ours, rival = taken["realsr_x4", count], taken["RRDBNet", count]
        found[f"realsr_x4 to RRDBNet, 64 x 64, {words}"] = ours / rival
        found[f"tiny_x4, seconds a megapixel of input, {words}"] = (
            taken["tiny_x4", count] / 0.065536
        )
    for name in sizes:
        found[f"{name}, two threads to one"] = taken[name, 2] / taken[name, 1]
    calls = {size: forward(nets["realsr_x4"], torch.rand(1, 3, size, size), 1) for size in SIDES}
    small, *others = fastest(calls, 0.0).items()
    for size, seconds in others:
        found[f"realsr_x4, {size} x {size} to 64 x 64"] = seconds / small[1]
    return found


def of_steps(nets: dict[str, nn.Module]) -> dict[str, float]:
    """Training steps of eight crops with one thread, with two, and beside other programs."""
    found = {}
    for name, size in STEPS.items():
        net, x = nets[name].train(), torch.rand(8, 3, size, size)
        calls = {"forward": forward(net, x, 1), 1: step(net, x, 1), 2: step(net, x, 2)}
        taken = fastest(calls, 15.0)
        found[f"{name}, step to forward, one thread"] = taken[1] / taken["forward"]
        found[f"{name}, step, two threads to one"] = taken[2] / taken[1]
        quiet = min(taken[1], taken[2])
        found[f"{name}, step beside two busy processes to the quiet step"] = beside(net, x) / quiet
    return found


def beside(net: nn.Module, x: Tensor) -> float:
    """Mean seconds of a step beside two busy processes, with the threads that ``auto`` takes."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2)]
    try:
        time.sleep(1)
        work = sum(p.numel() for p in net.parameters()) * x.numel() / 3
        call = step(net, x, threads.choose(work).number)
        call()
        start, count = time.perf_counter(), 0
        while time.perf_counter() < start + 10:
            call()
            count += 1
        return (time.perf_counter() - start) / count
    finally:
        for other in others:
            other.kill()
            other.wait()


def main(file: str) -> None:
    """Measure everything, and write it with the facts about the machine."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    load, start, nets, figures = os.getloadavg()[0], time.monotonic(), networks(), {}
    parts = (of_scans, lambda: of_forward_passes(nets), lambda: of_steps(nets))
    for part in parts:
        for what, value in part().items():
            figures[what] = float(f"{value:.3g}")
            print(f"{figures[what]:8} {what}", flush=True)
    report = {
        "date": date.today().isoformat(),
        "command": f"python experiments/benchmarks/ratios.py {file}",
        "machine": machine.facts(),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "load_before": load,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "figures": figures,
    }
    Path(file).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
