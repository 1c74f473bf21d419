"""The threads of a training or test: what its options say, what its state has, or what fits."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from ..data.batches.micro_batches import pixels_of_batch
from ..system import threads


def settle(opt: Mapping[str, Any], state: Mapping[str, Any] | None, model: Any) -> str:
    """Take threads for this process, as its state had them: sums in another order end in other
    bits.

    Args:
        opt: the options; ``threads`` is a number or "auto".
        state: what the run goes on from, if it does.
        model: the one that is trained or tested.
    Returns: a line for the log.
    """
    saved = (state or {}).get("processes") or []
    before = saved[opt["rank"]].get("threads") if opt["rank"] < len(saved) else None
    given = opt.get("threads", "auto")
    if given != "auto":
        return str(threads.use(given))
    if before and before <= threads.cores():
        torch.set_num_threads(before)
        return str(threads.Threads(before, "as the state that is gone on from was written with"))
    if model.device.type != "cpu":
        return f"{torch.get_num_threads()} threads on the CPU"
    weights = sum(math.prod(p.shape) for p in model.net_g.parameters())
    pixels = pixels_of_batch(opt) if opt["is_train"] else None
    taken = threads.use(work=pixels and weights * pixels)
    return f"{taken}; the state was written with {before}" if before else str(taken)
