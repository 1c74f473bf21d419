"""Measure enlargements of degraded photographs: bicubic, tiny_x4 and real_x4.

    python experiments/real_x4/measure.py datasets/kodak datasets/kodak_real [NAME=FILE ...]

prints a line for each photograph and the means: PSNR and SSIM on Y and NIQE (the lower the better),
4 pixels of the border left out; and writes crops of four of them, side by side. If networks are
given, it measures these instead, and writes no crops.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

import vmambair_arch.plugin  # noqa: F401  # BasicSR imports only after it
from vmambair_arch import Restorer
from vmambair_arch.data.images import enlarge

from basicsr.metrics import calculate_niqe, calculate_psnr, calculate_ssim  # isort: skip

HERE = Path(__file__).parent
SCALE = 4
CROPS = {"4": (130, 230), "8": (60, 150), "19": (130, 330), "23": (330, 40)}  # left and top edge
WIDTH, HEIGHT, GAP = 256, 192, 6  # pixels


def main(truth: str, degraded: str, *given: str) -> None:
    """Measure every photograph of a folder whose degraded copy is in the other one."""
    models = dict(each.split("=", 1) for each in given) or {n: n for n in ("tiny_x4", "real_x4")}
    restorers = {name: Restorer(model, device="cpu") for name, model in models.items()}
    rows, strips = [], []
    for path in sorted(Path(truth).glob("*.png"), key=lambda path: int(path.stem)):
        gt, lq = (cv2.imread(str(folder)) for folder in (path, Path(degraded, path.name)))
        results = {"bicubic": enlarge(lq, SCALE)}
        for name, restorer in restorers.items():
            results[name] = restored(restorer, lq)
        rows += [measured(path.stem, name, result, gt) for name, result in results.items()]
        for row in rows[-len(results) :]:
            print(json.dumps(row), flush=True)
        if path.stem in CROPS:
            strips.append(
                beside([crop(each, *CROPS[path.stem]) for each in (*results.values(), gt)])
            )
    for name in ("bicubic", *restorers):
        own = [row for row in rows if row["method"] == name]
        means = {key: float(np.mean([row[key] for row in own])) for key in ("psnr", "ssim", "niqe")}
        print(json.dumps({"image": "mean", "method": name, **means}))
    if not given:
        write_page(HERE / "examples.jpg", strips)


def restored(restorer: Restorer, picture: np.ndarray) -> np.ndarray:
    """A network's result, BGR like the picture."""
    return restorer(picture[..., ::-1].copy())[..., ::-1]


def measured(image: str, method: str, result: np.ndarray, gt: np.ndarray) -> dict[str, object]:
    """A row of the table."""
    result = np.ascontiguousarray(result)
    luma = {"crop_border": SCALE, "test_y_channel": True}
    return {
        "image": image,
        "method": method,
        "psnr": calculate_psnr(result, gt, **luma),
        "ssim": calculate_ssim(result, gt, **luma),
        "niqe": float(calculate_niqe(result, crop_border=SCALE)),
    }


def crop(
    picture: np.ndarray, left: int, top: int, width: int = WIDTH, height: int = HEIGHT
) -> np.ndarray:
    """A part of a picture (h, w, 3)."""
    return picture[top : top + height, left : left + width]


def beside(crops: list[np.ndarray]) -> np.ndarray:
    """Crops of one size, from left to right."""
    pause = np.full((len(crops[0]), GAP, 3), 255, np.uint8)
    return np.concatenate([part for crop in crops for part in (crop, pause)][:-1], axis=1)


def write_page(path: Path, strips: list[np.ndarray]) -> None:
    """Write strips of one width below each other into a JPEG file."""
    pause = np.full((GAP, strips[0].shape[1], 3), 255, np.uint8)
    page = np.concatenate([part for strip in strips for part in (strip, pause)][:-1])
    cv2.imwrite(str(path), page, [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main(*sys.argv[1:])
