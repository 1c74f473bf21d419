"""Random blur and sinc kernels of Real-ESRGAN's degradations, and what was drawn for each.

Random numbers come from the global generators (random, numpy) in BasicSR's order.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from basicsr.data import degradations as host
from torch import Tensor

from ..errors import InputError

SMALLEST = 7  # pixels a side; BasicSR's
KINDS = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso")
Drawn = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class BlurKernels:
    """Distribution of the blur kernels of one order, named as in option files.

    Args:
        blur_kernel_size: largest side in pixels, odd; kernels have odd sides from 7 to it, and are
            padded to it.
        kernel_list: kinds of kernels, of ``KINDS``.
        kernel_prob: a weight for each.
        sinc_prob: of a sinc filter in place of a blur.
        blur_sigma: smallest and largest standard deviation, in pixels.
        betag_range: shape of generalized Gaussians, below 1 and above it equally often.
        betap_range: shape of plateaus, the same.
    Source: Real-ESRGAN, arXiv 2107.10833, Section 3.
    """

    blur_kernel_size: int
    kernel_list: tuple[str, ...]
    kernel_prob: tuple[float, ...]
    sinc_prob: float
    blur_sigma: tuple[float, float]
    betag_range: tuple[float, float]
    betap_range: tuple[float, float]

    @classmethod
    def read(cls, opt: Mapping[str, Any], suffix: str) -> "BlurKernels":
        """Take the options that end in ``suffix``: "" for the first order, "2" for the second.

        Raises: InputError: one is missing or makes no sense.
        """
        keys = [field.name for field in fields(cls) if field.name != "blur_kernel_size"]
        names = [key + suffix for key in keys]
        for name in names:
            if opt.get(name) is None:
                raise InputError(f"{name} is missing; degradations need {', '.join(names)}")
        size = opt.get(f"blur_kernel_size{suffix}", 21)
        if not isinstance(size, int) or size < SMALLEST or size % 2 == 0:
            raise InputError(
                f"blur_kernel_size{suffix} is {size}; it must be an odd number >= {SMALLEST}"
            )
        values = {key: opt[key + suffix] for key in keys}
        _check(values, suffix)
        _probability(opt, f"sinc_prob{suffix}")
        return cls(blur_kernel_size=size, **values)

    def draw(self) -> tuple[np.ndarray, Drawn]:
        """A kernel (blur_kernel_size, blur_kernel_size) of sum 1, and its parameters."""
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
        sigma_x = sigma_y = np.random.uniform(*self.blur_sigma)
        rotation = 0.0
        if not isotropic:
            sigma_y = np.random.uniform(*self.blur_sigma)
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


class RandomKernels:
    """The kernels of a two-order degradation, drawn anew for every image.

    Args:
        opt: the data set's section of an option file: for each order what ``BlurKernels`` reads,
            and final_sinc_prob, the probability of a sinc filter at the end.
    Raises: InputError: an option is missing or makes no sense.
    """

    def __init__(self, opt: Mapping[str, Any]):
        self.orders = BlurKernels.read(opt, ""), BlurKernels.read(opt, "2")
        self.final_sinc_prob = _probability(opt, "final_sinc_prob")

    def draw(self) -> tuple[dict[str, Tensor], Drawn]:
        """kernel1, kernel2 and sinc_kernel, (s, s) float32 of sum 1, and their parameters."""
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
    return random.choice(range(SMALLEST, largest + 1, 2))


def _sinc(size: int, lowest: float) -> tuple[np.ndarray, Drawn]:
    """A circular low-pass filter with a cut-off of ``lowest`` to pi radians a pixel."""
    cutoff = np.random.uniform(lowest, np.pi)
    kernel = host.circular_lowpass_kernel(cutoff, size)
    return kernel, {"kind": "sinc", "size": size, "cutoff": cutoff}


def _beta(bounds: tuple[float, float]) -> float:
    """Below 1 and above it equally often."""
    if np.random.uniform() < 0.5:
        return np.random.uniform(bounds[0], 1)
    return np.random.uniform(1, bounds[1])


def faults(opt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What does not fit between the options of a data set's kernels."""
    for suffix in ("", "2"):
        kinds, weights = opt.get(f"kernel_list{suffix}"), opt.get(f"kernel_prob{suffix}")
        if kinds and weights and len(kinds) != len(weights):
            yield (
                f"kernel_prob{suffix}",
                f"has {len(weights)} weights for {len(kinds)} kinds in kernel_list{suffix}; give"
                " each kind a weight",
            )


def _check(values: Mapping[str, Any], suffix: str) -> None:
    """Raise InputError for lists that do not fit, unknown kinds, or an empty range."""
    kinds, weights = values["kernel_list"], values["kernel_prob"]
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"kernel_list{suffix} has {kind!r}: choose from {', '.join(KINDS)}")
    for name, sentence in faults({f"kernel_list{suffix}": kinds, f"kernel_prob{suffix}": weights}):
        raise InputError(f"{name} {sentence}")
    for key in ("blur_sigma", "betag_range", "betap_range"):
        bounds = values[key]
        if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1]:
            raise InputError(f"{key}{suffix} is {bounds}; it must be a range [low, high] above 0")


def _probability(opt: Mapping[str, Any], name: str) -> float:
    """An option that is a probability. Raises InputError: it is missing or is none."""
    value = opt.get(name)
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InputError(f"{name} is {value}; it must be a probability, 0 to 1")
    return value
