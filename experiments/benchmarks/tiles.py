"""Measure how far the results of tiles are from that of the whole picture.

    python experiments/benchmarks/tiles.py > experiments/benchmarks/tiles.jsonl

prints a line for each photograph, of which the middle 192 x 192 pixels are enlarged, each size of
tiles and each mean that the channel scans use: the PSNR in dB against the whole picture's result,
and the largest difference, both of values in [0, 1].
"""

import json

import numpy as np
from skimage import data

from vmambair_arch import Restorer

MODEL, SIDE = "tiny_x4", 192


def middle(picture: np.ndarray) -> np.ndarray:
    """The middle pixels of a photograph, in [0, 1]."""
    top, left = ((side - SIDE) // 2 for side in picture.shape[:2])
    return picture[top : top + SIDE, left : left + SIDE].astype(np.float32) / 255


def main() -> None:
    """Print the lines."""
    given = {"device": "cpu", "precision": "fp32"}
    pictures = {name: middle(getattr(data, name)()) for name in ("astronaut", "coffee")}
    whole = Restorer(MODEL, **given)
    expected = {name: whole(picture) for name, picture in pictures.items()}
    for tile in (96, 128):
        for pool in ("tile", "global"):
            restorer = Restorer(MODEL, tile=tile, pool=pool, **given)
            for name, picture in pictures.items():
                difference = restorer(picture) - expected[name]
                psnr = -10 * np.log10(np.mean(difference**2))
                row = {"picture": name, "tile": tile, "pool": pool, "psnr": round(float(psnr), 2)}
                largest = round(float(np.abs(difference).max()), 4)
                print(json.dumps({**row, "largest_difference": largest}))


if __name__ == "__main__":
    main()
