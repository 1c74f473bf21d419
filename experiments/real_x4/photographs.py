"""Enlarge six photographs that are damaged as they come, and write crops of them side by side.

    python experiments/real_x4/photographs.py

From left to right: bicubic, tiny_x4 and real_x4. The photographs are files of scikit-image and
Matplotlib; README.md beside this says what they show and whose they are.
"""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import skimage

from vmambair_arch import Restorer
from vmambair_arch.commands.compare import methods

HERE = Path(__file__).parent
SCALE = 4
SIDE, GAP = 64, 6  # pixels, of the input and of the result
SKIMAGE, MATPLOTLIB = Path(skimage.__file__).parent / "data", Path(matplotlib.get_data_path())
CROPS = {  # left and top edge
    SKIMAGE / "rocket.jpg": (300, 130),
    MATPLOTLIB / "sample_data/grace_hopper.jpg": (165, 165),
    SKIMAGE / "hubble_deep_field.jpg": (300, 300),
    SKIMAGE / "coins.png": (180, 30),
    SKIMAGE / "moon.png": (300, 80),
    SKIMAGE / "page.png": (60, 40),
}


def main() -> None:
    """Write photographs.jpg."""
    restorers = [Restorer(name, device="cpu") for name in ("tiny_x4", "real_x4")]
    strips = []
    for path, (left, top) in CROPS.items():
        picture = cv2.imread(str(path))
        x0, y0 = max(left - SIDE, 0), max(top - SIDE, 0)  # with what is around the crop
        part = picture[y0 : top + 2 * SIDE, x0 : left + 2 * SIDE]
        results = [methods.enlarge_bicubically(SCALE, part)]
        results += [restorer(part[..., ::-1].copy())[..., ::-1] for restorer in restorers]
        x, y, side = (SCALE * number for number in (left - x0, top - y0, SIDE))
        pause = np.full((side, GAP, 3), 255, np.uint8)
        crops = [result[y : y + side, x : x + side] for result in results]
        strips.append(np.concatenate([p for crop in crops for p in (crop, pause)][:-1], axis=1))
    pause = np.full((GAP, strips[0].shape[1], 3), 255, np.uint8)
    page = np.concatenate([part for strip in strips for part in (strip, pause)][:-1])
    cv2.imwrite(str(HERE / "photographs.jpg"), page, [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
