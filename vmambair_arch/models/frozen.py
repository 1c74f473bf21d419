"""Parts of networks that BasicSR's video models freeze for the first iterations of a training."""

from typing import Any


def freeze(model: Any, iteration: int) -> None:
    """Freeze what a model has frozen after an iteration; it does so itself only in the first.

    VideoRecurrentModel freezes the optical flow and the features until train.fix_flow, EDVRModel
    all but the fusion until train.tsa_iter. At that iteration they train everything by themselves.
    """
    flow = getattr(model, "fix_flow_iter", None) or 0
    fusion = getattr(model, "train_tsa_iter", None) or 0
    if iteration >= max(flow, fusion):
        return
    for name, parameter in model.net_g.named_parameters():
        is_flow = "spynet" in name or "edvr" in name
        if (iteration < flow and is_flow) or (iteration < fusion and "fusion" not in name):
            parameter.requires_grad_(False)
