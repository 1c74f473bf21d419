"""Enlarge six photographs that are damaged as they come, and write crops of them side by side.

    python experiments/real_x4/photographs.py

From left to right: bicubic, tiny_x4 and real_x4. The photographs are files of scikit-image and
Matplotlib; README.md beside this says what they show and whose they are.
"""

from pathlib import Path

import cv2
import matplotlib
import skimage
from measure import SCALE, beside, crop, restored, write_page  # beside this file

from vmambair_arch import Restorer
from vmambair_arch.data.images import enlarge

SIDE = 64  # pixels of the input
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
        results = [enlarge(part, SCALE)]
        results += [restored(restorer, part) for restorer in restorers]
        x, y, side = (SCALE * number for number in (left - x0, top - y0, SIDE))
        strips.append(beside([crop(result, x, y, side, side) for result in results]))
    write_page(Path(__file__).with_name("photographs.jpg"), strips)


if __name__ == "__main__":
    main()
