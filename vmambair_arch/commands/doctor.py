"""vmambair doctor: what this machine can run: versions, devices, the scans' backends, a test."""

import argparse
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from ..networks.compilation import COMPILERS
from ..ops import channel, dispatch, planar, selective, self_test
from ..system import machine, terminal, threads

OPERATIONS = {"planar": planar.BACKENDS, "selective": selective.BACKENDS}
ON_GPU = {**OPERATIONS, "channel": ("triton",)}  # elsewhere selective_scan runs channel scans
SCANS = {
    "planar": planar.planar_scan,
    "selective": selective.selective_scan,
    "channel": channel.channel_scan,
}
SECONDS = 1.0  # of timing per device and operation
DRIVER = Path("/proc/driver/nvidia/version")


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "show what this machine can run: versions, devices, backends, a self-test"
    command = commands.add_parser("doctor", help=description, description=description)
    command.set_defaults(run=_print)


def _print(arguments: argparse.Namespace) -> int:
    return 0 if report(terminal.say) else 1


def report(say: Callable[[str], None]) -> bool:
    """Describe the machine, and test the backends that ``auto`` would try on each device.

    Args:
        say: called with each line as soon as it is known.
    Returns: whether every self-test passed.
    """
    for line in (*_versions(), *_devices()):
        say(line)
    passed = True
    for device in dict.fromkeys((_accelerator(), "cpu")):
        operations = ON_GPU if device == "cuda" else OPERATIONS
        for operation, names in operations.items():
            passed = _operation(operation, names, device, say) and passed
    return passed


def _accelerator() -> str:
    """The kind of device that ``auto`` takes."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found else "cpu"


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()} on {platform.platform()}"
    for package in machine.PACKAGES:
        yield f"  {package} {machine.installed(package)}"
    compiler = next(filter(None, map(shutil.which, COMPILERS)), "none (torch.compile needs one)")
    yield f"C++ compiler: {compiler}"


def _devices() -> Iterator[str]:
    capability = torch.backends.cpu.get_cpu_capability()
    yield f"CPU: {machine.processor()}, {os.cpu_count()} cores, {capability}"
    yield f"  torch and the scans would take {threads.choose()}"
    driver = DRIVER.read_text().splitlines()[0] if DRIVER.exists() else "no NVIDIA driver"
    yield f"CUDA: torch is built for {torch.version.cuda or 'none'}; {driver}"
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        memory = gpu.total_memory / 2**30
        yield f"GPU {index}: {gpu.name}, {memory:.0f} GiB, sm_{gpu.major}{gpu.minor}"
    if (kind := _accelerator()) == "cpu":
        yield f"GPU: none that torch can use: {_why_no_gpu()}"
    elif kind != "cuda":
        yield f"GPU: {kind}, for restoring; training uses the CPU"


def _why_no_gpu() -> str:
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # the latter where torch has no CUDA
        return str(error).splitlines()[0]
    return "torch finds no device"


def _operation(
    operation: str, names: tuple[str, ...], device: str, say: Callable[[str], None]
) -> bool:
    """Test an operation's backends until one passes; returns whether no test failed."""
    x = torch.ones(1, device=device)
    say(f"{operation}_scan on {device}:")
    failed = found = False
    for name in names:
        if reason := dispatch.excluded_from_auto(operation, name, x):
            say(f"  {name}: not here: {reason}")
        elif found:
            say(f"  {name}: can run")
        else:
            wrong, verdict = _self_test(operation, name, x.device)
            say(f"  {name}: self-test {'FAILED' if wrong else 'passed'}: {verdict}")
            failed, found = failed or wrong, not wrong
    if found:
        chosen = dispatch.fastest(operation, names, x, gradients=_has_gradients(operation))
        say(f"  auto takes {chosen}: {_milliseconds(operation, x.device):.2f} ms per call")
    return not failed


def _self_test(operation: str, name: str, device: torch.device) -> tuple[bool, str]:
    """Compare a backend with the float64 reference; returns whether it is wrong, and a summary."""
    module, dtype, start = dispatch.load(operation, name), torch.float32, time.perf_counter()
    try:
        gradients = _has_gradients(operation)
        errors = self_test.errors(operation, module, device, dtype, gradients)
    except Exception as error:  # a backend may raise anything, and this test reports it
        return True, f"{type(error).__name__}: {error}"
    if wrong := self_test.too_large(errors, dtype):
        return True, ", ".join(wrong)
    seconds = time.perf_counter() - start  # mostly compilation, the first time
    worst = [error for name, error in errors.items() if name[0] == "d"]
    of_gradients = f", of gradients {max(worst):.1e}" if worst else ""
    return False, f"relative error {errors['y']:.1e}{of_gradients}; {seconds:.1f} s"


def _has_gradients(operation: str) -> bool:
    return operation != "channel"


@torch.no_grad()
def _milliseconds(operation: str, device: torch.device) -> float:
    problem = self_test.problems(operation)[0]
    inputs = {name: tensor.to(device) for name, tensor in problem.items()}
    scan: Callable = SCANS[operation]
    scan(**inputs)  # warms up: the very first call loads half of torch
    runs, start = 0, time.perf_counter()
    while not runs or time.perf_counter() - start < SECONDS:
        scan(**inputs)
        if device.type != "cpu":
            torch.accelerator.synchronize()
        runs += 1
    return (time.perf_counter() - start) / runs * 1e3
