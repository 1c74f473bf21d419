"""How far a GPU's restored picture is from the CPU's, in float32, tf32 and bfloat16."""

import math
from collections.abc import Iterator

import torch
from measuring import on_gpu

from vmambair_arch import Restorer

PREDICTED = {"fp32": 1e-6, "tf32": 1e-3, "bf16": ""}


def results(device: str) -> Iterator[dict]:
    """The largest difference, and the PSNR of each precision to the CPU's float32."""
    side = 96 if on_gpu(device) else 24
    x = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    exact = Restorer(device="cpu", precision="fp32").restore_tensor(x)
    for precision, predicted in PREDICTED.items():
        found = Restorer(device=device, precision=precision).restore_tensor(x)
        difference = (found - exact).abs().max().item()
        mean = (found - exact).square().mean().item()
        yield {
            "name": f"tiny_x4 {side}x{side} {precision}: largest difference to the CPU",
            "value": difference,
            "predicted": predicted,
            "note": f"PSNR {-10 * math.log10(max(mean, 1e-30)):.1f} dB",
            "wrong": precision == "fp32" and difference > 1e-4,
        }
