"""The photographs of a run: one of each size to time, and some to judge quality by.

They come with scikit-image; none was trained on here. Quality is that of the usual test: a
photograph is made four times smaller by MATLAB's bicubic, enlarged, and compared on Y.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ....data.images import shrink
from ...compare import fidelity
from ...export.verified_export import photograph

SCALE = 4
JUDGED = ("astronaut", "chelsea", "coffee")  # of skimage.data
MULTIPLE = 32  # of which the sides of a photograph are, so that every network takes it


def write_pictures(sizes: Sequence[int], folder: Path) -> dict[int, Path]:
    """Write a photograph of each height and width as a .npy file, (1, 3, size, size) float32."""
    files = {size: folder / f"{size}.npy" for size in sizes}
    for size, file in files.items():
        np.save(file, photograph(3, (size, size)).numpy())
    return files


def write_inputs(folder: Path) -> list[Path]:
    """Write the photographs to judge by, made smaller, as .npy files of (1, 3, h, w) float32."""
    files = [folder / f"{name}.npy" for name in JUDGED]
    for name, file in zip(JUDGED, files, strict=True):
        small = shrink(truth(name), SCALE).astype(np.float32) / 255
        np.save(file, np.ascontiguousarray(small.transpose(2, 0, 1)[None]))
    return files


def truth(name: str) -> np.ndarray:
    """A photograph, (h, w, 3) uint8."""
    from skimage import data

    pixels = getattr(data, name)()
    h, w = (side // MULTIPLE * MULTIPLE for side in pixels.shape[:2])
    return pixels[:h, :w]


def psnr(outputs: Sequence[Path]) -> float:
    """The mean PSNR on Y of the results for the files of ``write_inputs``, in dB."""
    return statistics.fmean(
        fidelity.psnr(_pixels(np.load(file)), truth(name), border=SCALE, rgb=False)
        for name, file in zip(JUDGED, outputs, strict=True)
    )


def _pixels(output: np.ndarray) -> np.ndarray:
    """(1, 3, h, w) -> (h, w, 3) uint8"""
    return np.round(255 * output[0].clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)
