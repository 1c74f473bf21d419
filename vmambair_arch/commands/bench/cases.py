"""The cases to measure: the scans by backend, and whole networks, ours and common ones."""

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ... import compat, weights
from ...networks import presets
from ...ops import dispatch, mamba_ssm
from .. import networks
from ..doctor import OPERATIONS

FORWARD, BACKWARD, BOTH = "forward", "backward", "forward+backward"
# The usual way without a planar scan: a copy for each direction, then mamba-ssm's kernels.
COPIES = "planar_scan/mamba_ssm"
SCAN_CHANNELS = (48, 96)  # the published networks' first level, and their widest at full size
CLASSICAL = {"embed_dim": 180, "depths": [6] * 6, "num_heads": [6] * 6}
LIGHT = {"embed_dim": 60, "depths": [6] * 4, "num_heads": [6] * 4}


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    name: a network of ``NETWORKS``, a network's file, or an operation and its backend, such as
        "planar_scan/numba".
    size: height and width of the input in pixels (selective_scan: its length is size squared).
    passes: "forward", "forward+backward" (networks) or "backward" (scans).
    channels: of a scan; 0 for a network.
    plugins: Python files that register a file's network, joined by os.pathsep.
    """

    name: str
    size: int = 64
    passes: str = FORWARD
    batch: int = 1
    threads: int = 1
    channels: int = 0
    plugins: str = ""

    def __str__(self) -> str:
        channels = f", {self.channels} channels" if self.channels else ""
        threads = "thread" if self.threads == 1 else "threads"
        return (
            f"{self.name}, {self.passes}, {self.batch} x {self.size} x {self.size}{channels},"
            f" {self.threads} {threads}"
        )

    @property
    def is_scan(self) -> bool:
        """Whether it is a scan and not a network."""
        return "_scan/" in self.name and self.channels > 0


def grid(
    sizes: list[int], files: Sequence[str] = (), plugins: Sequence[str] = ()
) -> Iterator[Case]:
    """Every case of a full run, in order of size.

    The reference backends, plain loops, are measured at the smallest size only.

    Args:
        sizes: heights and widths.
        files, plugins: files of further networks, and the Python files that register them.
    """
    names = [
        f"{operation}_scan/{name}" for operation in OPERATIONS for name in OPERATIONS[operation]
    ]
    for name in (*names, COPIES):
        for size in sizes[:1] if name.endswith("/reference") else sizes:
            for channels in SCAN_CHANNELS:
                for passes in (FORWARD, BACKWARD):
                    yield Case(name, size, passes, channels=channels)
    for size in sizes:
        for passes in (FORWARD, BOTH):
            for name in files:
                yield Case(name, size, passes, plugins=os.pathsep.join(plugins))
            for name in NETWORKS:
                yield Case(name, size, passes)


def unavailable(case: Case, device: str) -> str | None:
    """Return why a case cannot run here, or None."""
    if case.is_scan:
        operation, _, backend = case.name.partition("_scan/")
        x = torch.ones(1, device=device)
        if case.name == COPIES:
            return (
                mamba_ssm.unavailable(x) or (device == "cpu" and "its kernels are CUDA's") or None
            )
        return dispatch.unusable(operation, backend, x, gradients=True)
    if case.name in RIVALS and importlib.util.find_spec("basicsr") is None:
        return "basicsr is not installed"
    return None


def network(name: str, plugins: Sequence[str] = ()) -> nn.Module:
    """A network of ``NETWORKS``, or from a file. Raises: InputError: there is none."""
    return NETWORKS[name]() if name in NETWORKS else networks.load(name, plugins)


def bundled(model: str) -> str:
    """The file of a bundled network whose name is that of a preset, too; else the model itself."""
    if model not in weights.PURPOSES or model not in presets.PRESETS or Path(model).is_file():
        return model
    with weights.file(model) as path:
        return str(path)


def fastest(operation: str, device: str) -> str:
    """The name of the backend that ``auto`` takes here."""
    x = torch.ones(1, device=device)
    return dispatch.fastest(operation, OPERATIONS[operation], x, gradients=True)


def _rrdbnet() -> nn.Module:
    compat.apply()
    from basicsr.archs.rrdbnet_arch import RRDBNet

    return RRDBNet(3, 3, num_feat=64, num_block=23)


def _swinir(options: dict[str, Any], upsampler: str) -> nn.Module:
    compat.apply()
    from basicsr.archs.swinir_arch import SwinIR

    return SwinIR(
        upscale=4, img_size=64, window_size=8, mlp_ratio=2, upsampler=upsampler, **options
    )


RIVALS: dict[str, Callable[[], nn.Module]] = {
    "RRDBNet": _rrdbnet,
    "SwinIR classical x4": lambda: _swinir(CLASSICAL, "pixelshuffle"),
    "SwinIR light x4": lambda: _swinir(LIGHT, "pixelshuffledirect"),
}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda name=name: presets.build(name) for name in presets.PRESETS},
    **RIVALS,
}
NAMES = (*(f"{name}_scan" for name in OPERATIONS), *NETWORKS)
