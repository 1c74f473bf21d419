"""Whether the network's maps stay channels-last on the device, block by block."""

from collections.abc import Iterator

import torch
from measuring import on_gpu

from vmambair_arch import OSSBlock, presets
from vmambair_arch.networks.unet import Down, Up

SMALL = {"dim": 8, "d_state": 2, "num_blocks": (1, 1, 1, 1), "num_refinement_blocks": 1}


def results(device: str) -> Iterator[dict]:
    """The number of blocks and of steps between levels whose output has pixels side by side."""
    side, small = (64, {}) if on_gpu(device) else (16, SMALL)
    network = presets.build("realsr_x4", **small).to(device).eval()
    for precision in ("fp32", "bf16"):
        lost: list[str] = []
        hooks = [
            module.register_forward_hook(note(name, lost))
            for name, module in network.named_modules()
            if isinstance(module, (OSSBlock, Up, Down))
        ]
        lower = torch.autocast(torch.device(device).type, torch.bfloat16, precision == "bf16")
        with torch.no_grad(), lower:
            network(torch.rand(1, 3, side, side, device=device))
        for hook in hooks:
            hook.remove()
        yield {
            "name": f"realsr_x4 {precision}: outputs that are not channels-last",
            "value": len(lost),
            "predicted": 0,
            "note": ", ".join(lost[:3]),
            "wrong": bool(lost),
        }


def note(name: str, lost: list[str]):
    """A hook that adds a module's name to a list if its output is not channels-last."""

    def hook(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        if not output.is_contiguous(memory_format=torch.channels_last):
            lost.append(name)

    return hook
