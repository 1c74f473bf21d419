"""Write the pictures that show what the bundled networks do, from Kodak's photographs.

    python experiments/examples.py datasets/kodak

writes tiny_x4/examples.jpg: made four times smaller and enlarged bicubically, by the network, and
the originals; and clean/examples.jpg: with noise of sigma 10 and then JPEG of quality 40, the
network's results, and the originals, shown twice as large.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from real_x4.measure import HEIGHT, WIDTH, beside, restored, write_page

from vmambair_arch import Restorer
from vmambair_arch.commands.compare import methods
from vmambair_arch.data.images import shrink
from vmambair_arch.data.jpeg import compress

HERE = Path(__file__).parent
SCALE, SIGMA, QUALITY = 4, 10, 40
ENLARGED = {"8": (60, 150), "19": (130, 330), "23": (330, 40)}  # left and top edge of the crops
CLEANED = {"4": (150, 200), "19": (200, 120), "23": (440, 90)}
CLEANED_WIDTH, CLEANED_HEIGHT = 200, 150  # pixels


def main(folder: str) -> None:
    """Write both pages."""
    enlarge, clean = (Restorer(name, device="cpu") for name in ("tiny_x4", "clean"))
    strips = []
    for name, (left, top) in ENLARGED.items():
        truth = cv2.imread(str(Path(folder, f"{name}.png")))
        small = shrink(truth, SCALE)
        images = [methods.enlarge_bicubically(SCALE, small), restored(enlarge, small), truth]
        at_rows, at_columns = slice(top, top + HEIGHT), slice(left, left + WIDTH)
        strips.append(beside([image[at_rows, at_columns] for image in images]))
    write_page(HERE / "tiny_x4/examples.jpg", strips)
    strips = []
    for name, (left, top) in CLEANED.items():
        truth = cv2.imread(str(Path(folder, f"{name}.png")))
        images = [damaged := damage(truth), restored(clean, damaged), truth]
        at_rows, at_columns = slice(top, top + CLEANED_HEIGHT), slice(left, left + CLEANED_WIDTH)
        strips.append(beside([twice(image[at_rows, at_columns]) for image in images]))
    write_page(HERE / "clean/examples.jpg", strips)


def damage(image: np.ndarray) -> np.ndarray:
    """A picture with noise, and then JPEG's artefacts."""
    noise = np.random.default_rng(0).normal(0, SIGMA, image.shape)
    noisy = (image + noise).round().clip(0, 255).astype(np.uint8)
    return compress(noisy[..., ::-1], QUALITY)[..., ::-1]


def twice(image: np.ndarray) -> np.ndarray:
    """A picture twice as large."""
    return cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)


if __name__ == "__main__":
    main(*sys.argv[1:])
