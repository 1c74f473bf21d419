"""Random blur and sinc kernels of Real-ESRGAN's degradations, with the parameters drawn for each.

Random numbers come from the global generators (random, numpy) in BasicSR's order.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
from basicsr.data import degradations as host
from pydantic import AfterValidator, Field, create_model
from torch import Tensor

from ..errors import InputError
from ..option_values.data_sets import LOADER, DataSet, IoBackend
from ..option_values.kinds import (
    WHOLE,
    FilePath,
    PositiveRange,
    Probabilities,
    Probability,
    Section,
    suffixed,
)
from ..option_values.sentences import read

MIN_SIZE = 7  # pixels a side; as in BasicSR
Kind = Literal[
    "iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"
]
KINDS = get_args(Kind)
Drawn = dict[str, Any]


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("is even; it must be odd")
    return size


class BlurKernels(Section):
    """Distribution of the blur kernels of one order, named as in option files.

    Args:
        blur_kernel_size: largest side in pixels, odd; kernels have odd sides from 7 up to it, and
            are padded to it.
        kernel_list: kinds of kernels, from ``KINDS``.
        kernel_prob: a weight for each.
        sinc_prob: probability of a sinc filter instead of a blur.
        blur_sigma: smallest and largest standard deviation, in pixels.
        betag_range: shape of generalized Gaussians, drawn equally often below and above 1.
        betap_range: shape of plateaus, drawn likewise.
    Source: Real-ESRGAN, arXiv 2107.10833, Section 3.
    """

    blur_kernel_size: Annotated[int, Field(ge=MIN_SIZE, le=65536), WHOLE, AfterValidator(_odd)]
    kernel_list: Annotated[list[Kind], Field(min_length=1)]
    kernel_prob: Probabilities
    blur_sigma: PositiveRange
    betag_range: PositiveRange
    betap_range: PositiveRange
    sinc_prob: Probability

    def draw(self) -> tuple[np.ndarray, Drawn]:
        """A kernel (blur_kernel_size, blur_kernel_size) with sum 1, and its parameters."""
        size = _size(self.blur_kernel_size)
        if np.random.uniform() < self.sinc_prob:
            lowest = np.pi / 3 if size < 13 else np.pi / 5
            kernel, drawn = _sinc(size, lowest)
        else:
            kernel, drawn = self._blur(size)
        return np.pad(kernel, (self.blur_kernel_size - size) // 2), drawn

    def _blur(self, size: int) -> tuple[np.ndarray, Drawn]:
        kind = random.choices(self.kernel_list, self.kernel_prob)[0]
        isotropic = not kind.endswith("aniso")
        low, high = self.blur_sigma
        sigma_x = sigma_y = np.random.uniform(low, high)
        rotation = 0.0
        if not isotropic:
            sigma_y = np.random.uniform(low, high)
            rotation = np.random.uniform(-np.pi, np.pi)
        drawn: Drawn = {"kind": kind, "size": size, "sigma": [sigma_x, sigma_y]}
        drawn["rotation"] = rotation
        shape = (size, sigma_x, sigma_y, rotation)
        if kind.startswith("generalized"):
            drawn["beta"] = _beta(self.betag_range)
            kernel = host.bivariate_generalized_Gaussian(*shape, drawn["beta"], isotropic=isotropic)
        elif kind.startswith("plateau"):
            drawn["beta"] = _beta(self.betap_range)
            kernel = host.bivariate_plateau(*shape, drawn["beta"], isotropic=isotropic)
        else:
            kernel = host.bivariate_Gaussian(*shape, isotropic=isotropic)
        return kernel / np.sum(kernel), drawn


class GroundTruth(DataSet):
    """The keys of data sets that yield ground truth, and kernels with which a model degrades it."""

    in_training = (*LOADER, "use_hflip", "use_rot")

    dataroot_gt: FilePath
    meta_info: FilePath | None = None
    io_backend: IoBackend


class FinalKernel(Section):
    """Distribution of the sinc filter at the end of a degradation."""

    final_sinc_prob: Probability


TwoOrderKernels: Any = create_model(
    "TwoOrderKernels",
    __base__=GroundTruth,
    **suffixed(BlurKernels, ""),
    **suffixed(BlurKernels, "2"),
    **suffixed(FinalKernel, ""),
)


class RandomKernels:
    """The kernels of a two-order degradation, drawn anew for every image.

    Args:
        opt: the data set's section of an option file: the options of ``BlurKernels`` for each
            order, and final_sinc_prob, the probability of a sinc filter at the end.
    Raises: InputError: an option is missing or makes no sense.
    """

    def __init__(self, opt: Mapping[str, Any]):
        self.orders = read(BlurKernels, opt), read(BlurKernels, opt, "2")
        self.final_sinc_prob = read(FinalKernel, opt).final_sinc_prob
        for name, sentence in faults(opt):
            raise InputError(f"{name}: {sentence}")

    def draw(self) -> tuple[dict[str, Tensor], Drawn]:
        """kernel1, kernel2 and sinc_kernel, (s, s) float32 with sum 1, and their parameters."""
        drawn: Drawn = {}
        kernel1, drawn["kernel1"] = self.orders[0].draw()
        kernel2, drawn["kernel2"] = self.orders[1].draw()
        sinc_kernel, drawn["sinc_kernel"] = self._draw_final(self.orders[1].blur_kernel_size)
        kernels = {"kernel1": kernel1, "kernel2": kernel2, "sinc_kernel": sinc_kernel}
        return {name: torch.from_numpy(k).float() for name, k in kernels.items()}, drawn

    def _draw_final(self, side: int) -> tuple[np.ndarray, Drawn]:
        """A sinc kernel, or one that changes nothing: (side, side)."""
        if np.random.uniform() < self.final_sinc_prob:
            size = _size(side)
            kernel, drawn = _sinc(size, np.pi / 3)
            return np.pad(kernel, (side - size) // 2), drawn
        pulse = np.zeros((side, side))
        pulse[side // 2, side // 2] = 1
        return pulse, {"kind": "none"}


def _size(largest: int) -> int:
    return random.choice(range(MIN_SIZE, largest + 1, 2))


def _sinc(size: int, lowest: float) -> tuple[np.ndarray, Drawn]:
    """A circular low-pass filter with a cut-off from ``lowest`` to pi radians per pixel."""
    cutoff = np.random.uniform(lowest, np.pi)
    kernel = host.circular_lowpass_kernel(cutoff, size)
    return kernel, {"kind": "sinc", "size": size, "cutoff": cutoff}


def _beta(bounds: Sequence[float]) -> float:
    """A shape, drawn equally often below and above 1."""
    if np.random.uniform() < 0.5:
        return np.random.uniform(bounds[0], 1)
    return np.random.uniform(1, bounds[1])


def faults(opt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The contradictions between the options of a data set's kernels."""
    for suffix in ("", "2"):
        kinds, weights = opt.get(f"kernel_list{suffix}"), opt.get(f"kernel_prob{suffix}")
        if kinds and weights and len(kinds) != len(weights):
            yield (
                f"kernel_prob{suffix}",
                f"has {len(weights)} weights for {len(kinds)} kinds in kernel_list{suffix}; give"
                " each kind a weight",
            )
