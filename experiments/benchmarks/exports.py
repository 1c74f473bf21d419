"""Measure exported files: their export, their size, and their time beside the network's.

    python experiments/benchmarks/exports.py > experiments/benchmarks/exports.jsonl

prints two kinds of lines. "export": the seconds that ``vmambair export`` takes for a file of any
size, the peak memory of its process, the file's MB and the largest relative L2 difference of its
output. "run": the fastest processor time of a file's passes and of the network's, in turn in one
process, on one thread; and the peak memory of a process that only runs the file. OpenVINO is
skipped where it is not installed.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vmambair_arch import Restorer, inference, presets, save_network
from vmambair_arch.commands.bench.rivals import process
from vmambair_arch.commands.export import verified_export
from vmambair_arch.exporting.regions import load
from vmambair_arch.system import machine

SMALL = "tiny_x4"
SIDES = (64, 128, 256)  # of the input; presets are run at the first only
FORMS = {"sequential": ".onnx", "parallel": ".onnx", "program": ".pt2"}
LONG = 4.0  # seconds of passes
ONNX = {"onnxruntime": process.onnxruntime, "OpenVINO": process.openvino}
# OpenVINO cannot compile the sequential scan.
RUNNERS = {
    "sequential": ("onnxruntime",),
    "parallel": ("onnxruntime", "OpenVINO"),
    "program": ("PyTorch", "PyTorch with this package's scans"),
}
Run = Callable[[np.ndarray], Any]


def main() -> None:
    """Print the lines."""
    about = {"processor": machine.processor(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as folder:
        for name in (SMALL, *presets.PRESETS):
            model = name if name == SMALL else _write(name, Path(folder))
            for form in FORMS if name == SMALL else ("sequential",):
                file = Path(folder, f"{name}_{form}").with_suffix(FORMS[form])
                row = {"network": name, "form": form}
                made = _in_a_process("export", model, str(file), form)
                print(json.dumps({"export": row | made | about}), flush=True)
                for runner in RUNNERS[form]:
                    if runner == "OpenVINO" and find_spec("openvino") is None:
                        continue
                    for side in SIDES if name == SMALL else SIDES[:1]:
                        found = _in_a_process("time", model, str(file), runner, str(side))
                        found |= _held(file, runner, side)
                        run = row | {"runner": runner, "side": side}
                        print(json.dumps({"run": run | found | about}), flush=True)


def export(model: str, file: str, form: str) -> dict[str, Any]:
    """Export a network."""
    start, scan = time.perf_counter(), None if form == "program" else form
    compared = verified_export.run(model, Path(file), scan=scan)
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "peak_mib": _peak(),
        "file_mb": round(Path(file).stat().st_size / 1e6, 2),
        "difference": max(each.error for each in compared),
    }


def time_(model: str, file: str, runner: str, side: str) -> dict[str, Any]:
    """Time a file beside its network."""
    network = Restorer(model, device="cpu").network
    runs = {"file": _runner(file, runner), "network": lambda x: _of(network, x)}
    x = torch.rand(1, 3, int(side), int(side)).numpy()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        process.clocked(run, x)  # compiles and allocates
    while len(seconds["file"]) < 3 or sum(map(sum, seconds.values())) < LONG:
        for name, run in runs.items():
            seconds[name].append(process.clocked(run, x)[1])
    least = {name: min(each) for name, each in seconds.items()}
    ratio = round(least["file"] / least["network"], 3)
    return {"seconds": least["file"], "network_seconds": least["network"], "ratio": ratio}


def memory(file: str, runner: str, side: str) -> dict[str, Any]:
    """The seconds to load a .pt2 file, and the peak memory of this process after a pass."""
    start = time.perf_counter()
    run = _runner(file, runner)
    loaded = time.perf_counter() - start
    run(torch.rand(1, 3, int(side), int(side)).numpy())
    return {"load_seconds": loaded, "peak_mib": _peak()}


def _held(file: Path, runner: str, side: int) -> dict[str, Any]:
    """The seconds to load a file, and the peak memory of a process that does nothing else."""
    if runner in ONNX:  # without torch
        picture = file.with_name(f"{side}.npy")
        np.save(picture, torch.rand(1, 3, side, side).numpy())
        task = {"runner": runner, "model": str(file), "threads": 1, "picture": str(picture)}
        task |= {"limit": math.inf, "seconds": 0.0, "judged": [], "outputs": []}
        found = _in_a_process(json.dumps(task), script=process.__file__)
    else:
        found = _in_a_process("memory", str(file), runner, str(side))
    kept = {"load_seconds": 2, "peak_mib": 0}  # and their decimals
    return {name: round(found[name], decimals) for name, decimals in kept.items()}


def _runner(file: str, runner: str) -> Run:
    if runner in ONNX:
        return ONNX[runner](file, 1)[0]
    program = load(file) if "package" in runner else torch.export.load(file)
    module = program.module()
    return lambda x: module(torch.from_numpy(x))


def _of(network: torch.nn.Module, x: np.ndarray) -> torch.Tensor:
    return inference.run(network, torch.from_numpy(x))


def _peak() -> float:
    """The peak memory of this process in MiB; only Linux says it."""
    peak = process.peak_bytes()
    return math.nan if peak is None else round(peak / 2**20, 1)


def _write(preset: str, folder: Path) -> str:
    """A preset with random weights."""
    torch.manual_seed(0)
    file = folder / f"{preset}.safetensors"
    save_network(presets.build(preset), file)
    return str(file)


def _in_a_process(*arguments: str, script: str = __file__) -> dict[str, Any]:
    run = [sys.executable, script, *arguments]
    return json.loads(subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout)


if __name__ == "__main__":
    if sys.argv[1:]:
        torch.set_num_threads(1)
        task = {"export": export, "time": time_, "memory": memory}[sys.argv[1]]
        with torch.no_grad():
            print(json.dumps(task(*sys.argv[2:])))
    else:
        main()
