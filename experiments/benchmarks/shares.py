"""Where the time of forward passes and training steps goes, on one thread, by torch's profiler.

    python experiments/benchmarks/shares.py experiments/benchmarks/shares.json

writes the share of each kind of operation in percent, and the milliseconds of a call. Backward
operations are with their forward ones.
"""

import json
import sys
from pathlib import Path

import ratios
import torch
from torch.profiler import ProfilerActivity, profile

from vmambair_arch.system import machine

CALLS = 5
KINDS = {  # parts of the names of operations
    "convolutions": ("convolution",),
    "scans": ("_scan",),
    "matrix products": ("aten::mm", "addmm", "bmm", "linear"),
    "norms": ("norm",),
    "gates and activations": ("silu", "gelu", "sigmoid", "Gated", "aten::mul"),
    "pixel shuffles": ("pixel_",),
    "copies and sums of maps": ("copy_", "aten::cat", "aten::add", "aten::sum"),
    "optimizer": ("dam",),
}


def main(file: str) -> None:
    """Profile, and write the report."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    nets = ratios.networks()
    calls = {
        "realsr_x4, forward, 64 x 64": ratios.forward(
            nets["realsr_x4"].eval(), torch.rand(1, 3, 64, 64), 1
        ),
        "tiny_x4, forward, 256 x 256": ratios.forward(
            nets["tiny_x4"].eval(), torch.rand(1, 3, 256, 256), 1
        ),
    }
    for name, size in ratios.STEPS.items():
        of = f"8 of {size} x {size}"
        calls[f"{name}, step, {of}"] = ratios.step(
            nets[name].train(), torch.rand(8, 3, size, size), 1
        )
    shares = {name: profiled(call) for name, call in calls.items()}
    report = {"machine": machine.facts(), "command": "shares.py", "shares": shares}
    Path(file).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def profiled(call: ratios.Call) -> dict[str, float]:
    """The shares of a call in percent, and its milliseconds."""
    call(), call()  # compiles, allocates
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(CALLS):
            call()
    spent = dict.fromkeys((*KINDS, "the rest"), 0.0)
    for event in seen.key_averages():
        kind = next((k for k, parts in KINDS.items() if any(p in event.key for p in parts)), None)
        spent[kind or "the rest"] += event.self_cpu_time_total
    total = sum(spent.values())
    found = {kind: round(100 * time / total, 1) for kind, time in spent.items()}
    return {**found, "milliseconds": round(total / CALLS / 1000, 1)}


if __name__ == "__main__":
    main(sys.argv[1])
