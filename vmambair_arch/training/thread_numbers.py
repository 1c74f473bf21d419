"""The number of threads of a training or test: from its options, its state or the work."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from ..data.batches.micro_batches import pixels_of_batch
from ..system import threads


def settle(opt: Mapping[str, Any], state: Mapping[str, Any] | None, model: Any) -> str:
    """Set this process's number of threads, by default the state's: another changes the order of
    sums, and so the bits.

    Args:
        opt: the options; ``threads`` is a number or "auto".
        state: what the run resumes from, if anything.
        model: the one to train or test.
    Returns: a line for the log.
    """
    saved = (state or {}).get("processes") or []
    before = saved[opt["rank"]].get("threads") if opt["rank"] < len(saved) else None
    given = opt.get("threads", "auto")
    if given != "auto":
        return str(threads.use(given))
    if before and before <= threads.cores():
        torch.set_num_threads(before)
        return str(threads.Threads(before, "as in the state that training resumes from"))
    if model.device.type != "cpu":
        return f"{torch.get_num_threads()} threads on the CPU"
    weights = sum(math.prod(p.shape) for p in model.net_g.parameters())
    pixels = pixels_of_batch(opt) if opt["is_train"] else None
    taken = threads.use(work=pixels and weights * pixels)
    return f"{taken}; the state was written with {before}" if before else str(taken)
