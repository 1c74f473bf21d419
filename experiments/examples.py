"""Write the pictures that show what the bundled networks do, from Kodak's photographs.

In the repository's root,

    python experiments/examples.py datasets/kodak

writes tiny_x4/examples.jpg: made four times smaller and enlarged bicubically, by the network, and
the originals; clean/examples.jpg: with noise of sigma 10 and then JPEG of quality 40, the
network's results, and the originals, shown twice as large; and derain/examples.jpg: in rain like
that of training (4, 19, 23) and in longer and wider streaks (15), the results, and the originals.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from real_x4.measure import beside, crop, restored, write_page

import vmambair_arch.plugin  # noqa: F401  # BasicSR imports only after it
from vmambair_arch import Restorer
from vmambair_arch.data.images import enlarge, shrink
from vmambair_arch.data.jpeg import compress
from vmambair_arch.option_files import options as option_files

from basicsr.data import build_dataset  # isort: skip
from basicsr.utils import tensor2img  # isort: skip

HERE = Path(__file__).parent
SCALE, SIGMA, QUALITY = 4, 10, 40
ENLARGED = {"8": (60, 150), "19": (130, 330), "23": (330, 40)}  # left and top edge of the crops
CLEANED = {"4": (150, 200), "19": (200, 120), "23": (440, 90)}
RAIN = "options/test_vmambair_derain_streaks.yml"
DERAINED = {  # and the name of the test set
    "4": (130, 230, "kodak_rain"),
    "19": (130, 330, "kodak_rain"),
    "23": (330, 40, "kodak_rain"),
    "15": (200, 120, "kodak_other_rain"),
}
CLEANED_SIZE = 200, 150  # width and height in pixels


def main(folder: str) -> None:
    """Write the pages."""
    names = ("tiny_x4", "clean", "derain")
    tiny, clean, derain = (Restorer(name, device="cpu") for name in names)
    strips = []
    for name, (left, top) in ENLARGED.items():
        truth = cv2.imread(str(Path(folder, f"{name}.png")))
        small = shrink(truth, SCALE)
        images = [enlarge(small, SCALE), restored(tiny, small), truth]
        strips.append(beside([crop(image, left, top) for image in images]))
    write_page(HERE / "tiny_x4/examples.jpg", strips)
    strips = []
    for name, (left, top) in CLEANED.items():
        truth = cv2.imread(str(Path(folder, f"{name}.png")))
        images = [damaged := damage(truth), restored(clean, damaged), truth]
        strips.append(beside([twice(crop(image, left, top, *CLEANED_SIZE)) for image in images]))
    write_page(HERE / "clean/examples.jpg", strips)
    strips = []
    for name, (left, top, rain) in DERAINED.items():
        rainy, truth = in_rain(folder, name, rain)
        images = [rainy, restored(derain, rainy), truth]
        strips.append(beside([crop(image, left, top) for image in images]))
    write_page(HERE / "derain/examples.jpg", strips)


def in_rain(folder: str, name: str, rain: str) -> list[np.ndarray]:
    """A picture in the rain of a test set, and without, BGR."""
    sets = option_files.read(RAIN, is_train=False)["datasets"].values()
    given = next(each for each in sets if each["name"] == rain)
    for item in build_dataset({**given, "dataroot_gt": folder}):
        if Path(item["gt_path"]).stem == name:
            return [tensor2img([item[key]]) for key in ("lq", "gt")]
    raise SystemExit(f"{folder}: there is no {name}.png; give the folder of Kodak's photographs")


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
