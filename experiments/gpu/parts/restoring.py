"""A photograph's size through Restorer: whole, and in tiles for which memory is kept short."""

import time
from collections.abc import Iterator

import numpy as np
import torch
from measuring import on_gpu

from vmambair_arch import Restorer, presets

SMALL = {"dim": 4, "d_state": 2, "num_blocks": (1, 1, 0, 0), "num_refinement_blocks": 0}


def results(device: str) -> Iterator[dict]:
    """Seconds, the peak of memory, and how many grey levels tiles differ from the whole."""
    h, w = (1356, 2040) if on_gpu(device) else (40, 56)
    picture = np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8)
    network = presets.build("realsr_x4", **({} if on_gpu(device) else SMALL))
    made = {}
    for name, tile in (("tiles as memory allows", None), ("tiles of 512", 512)):
        restorer = Restorer(network, device=device, tile=tile if on_gpu(device) else tile and 40)
        restorer(picture[:64, :64])
        if on_gpu(device):
            torch.cuda.reset_peak_memory_stats(device)
        start = time.perf_counter()
        made[name] = restorer(picture)
        took = time.perf_counter() - start
        peak = torch.cuda.max_memory_allocated(device) / 2**30 if on_gpu(device) else None
        note = f"peak {peak:.1f} GiB" if peak is not None else ""
        yield {"name": f"realsr_x4 {w}x{h}, {name}", "value": took, "unit": "s", "note": note}
    whole, tiled = (result.astype(int) for result in made.values())
    yield {
        "name": "grey levels between the two, on average",
        "value": float(np.abs(whole - tiled).mean()),
        "note": "the channel scan sees other means in tiles",
    }
