"""The precision of ``auto``: tf32 on GPUs, and on CPUs bfloat16 if that is invisible."""

import logging
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# PSNR in dB of bfloat16 against float32: added to a network's own error at 40 dB it changes the
# PSNR by 0.01 dB, 10 log10(1 + 10^-2.64); added to larger errors by less.
INVISIBLE_PSNR = 66.4
CPU_UNITS = ("avx512_bf16", "amx_bf16")  # names of torch.cpu.get_capabilities

logger = logging.getLogger("vmambair_arch")


def choose_precision(
    network: nn.Module,
    device: torch.device,
    run: Callable[[Tensor, torch.dtype], Tensor],
    shape: tuple[int, int, int, int],
) -> str:
    """The name of a precision: "tf32", "bf16" or "fp32".

    tf32 on a GPU that supports it: on an H200 it took ``realsr_x4`` as long as bfloat16, and
    changed results of ``tiny_x4`` to 87 dB, which is invisible; bfloat16 to 59. On a CPU with units
    for bfloat16 the network is run on a small image in it and in float32, and the results must
    agree to ``INVISIBLE_PSNR``; if it fails there, the images to restore show whether it does in
    float32, too.

    Args:
        network: may declare that it does not support bfloat16.
        device: of the network.
        run: runs the network on an image in a dtype, and returns float32.
        shape: (1, c, h, w) of a small image.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            return "tf32" if torch.cuda.is_tf32_supported() else "fp32"
    supported = getattr(network, "supports_bfloat16", True)
    if supported and device.type == "cpu" and cpu_computes_in_bfloat16():
        small = probe(shape)
        try:
            error = (run(small, torch.bfloat16) - run(small, torch.float32)).square().mean()
        except Exception as failure:  # an operator without bfloat16, too little memory, ...
            logger.info("float32, since a trial of bfloat16 failed: %s", failure)
            return "fp32"
        if error <= 10 ** (-INVISIBLE_PSNR / 10):  # false for NaN
            return "bf16"
    return "fp32"


def cpu_computes_in_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16, instead of only converting it to float32 and back."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # not in torch before 2.13
    return any(capabilities.get(unit) for unit in CPU_UNITS)


def probe(shape: tuple[int, int, int, int]) -> Tensor:
    """A fixed image in [0, 1] with edges, flat areas and gradients."""
    b, c, h, w = shape
    coarse = torch.rand(b, c, 4, 4, generator=torch.Generator().manual_seed(0))
    slopes = F.interpolate(coarse, (h, w), mode="bilinear")
    plains = F.interpolate(coarse.flip(2), (h, w), mode="nearest")
    return (slopes + plains) / 2
