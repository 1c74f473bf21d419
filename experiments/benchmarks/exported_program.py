"""Time an exported .pt2 program against the network, with this package's scans and without.

    python experiments/benchmarks/exported_program.py

exports tiny_x4 for any size and prints a line for each size: the fastest processor time of several
passes, in turn, on one thread.
"""

import json
import tempfile
import time
from pathlib import Path

import torch

from vmambair_arch import Restorer
from vmambair_arch.commands.export import verified_export
from vmambair_arch.exporting.regions import load
from vmambair_arch.system import machine

PASSES = {64: 6, 128: 6, 256: 3}  # by side of the input
MODEL = "tiny_x4"


@torch.no_grad()
def main() -> None:
    """Print the lines."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{MODEL}.pt2")
        verified_export.run(MODEL, file)
        runs = {
            "network": Restorer(MODEL, device="cpu").network,
            "program with this package's scans": load(file).module(),
            "program": torch.export.load(file).module(),
        }
    for side, passes in PASSES.items():
        x = torch.rand(1, 3, side, side)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(1 + passes):  # the first warms up
            for name, run in runs.items():
                start = time.process_time()
                run(x)
                seconds[name].append(time.process_time() - start)
        least = {name: min(each[1:]) for name, each in seconds.items()}
        ratios = {name: round(each / least["network"], 3) for name, each in least.items()}
        about = {"processor": machine.processor(), "torch": torch.__version__}
        print(json.dumps({"side": side, "network_seconds": least["network"], **ratios, **about}))


if __name__ == "__main__":
    main()
