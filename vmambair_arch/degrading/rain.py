"""Drawing rain on photographs: streaks at several distances, and the haze of distant rain."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

AREA = 10_000  # pixels, the unit area of density
MIN_WIDTH = 0.7  # pixels: thinner streaks fall between the pixels


@dataclass(frozen=True, kw_only=True)
class Rain:
    """The appearance of rain.

    Args:
        angle: of the streaks, in degrees from the vertical; above 0 they fall to the left.
        length, width: of the nearest streaks, in pixels; the width is at half the opacity.
        density: number of the nearest streaks per 100 x 100 pixels.
        depth: number of distances, 1, 2, ...: at distance d streaks are d times shorter, thinner
            and fainter, and d * d times as many.
        opacity: of the nearest streaks, 0 to 1; each streak has half of it to all of it.
        haze: share of the airlight in every pixel, 0 to 1.
        airlight: the grey of streaks and haze, 0 to 1.
    """

    angle: float
    length: float
    width: float
    density: float
    depth: int
    opacity: float
    haze: float
    airlight: float


def draw_rain(image: np.ndarray, rain: Rain, generator: Any) -> np.ndarray:
    """Draw rain on an image: J -> (1 - haze) J + haze A, then x -> x + S (A - x) per distance.

    Args:
        image: (h, w, 3) float32 in [0, 1].
        rain: its appearance.
        generator: NumPy's, for the positions and opacities of streaks.
    Returns: (h, w, 3) float32 in [0, 1].
    Source: layers of streaks and haze as in Li et al., Heavy Rain Image Restoration, arXiv
        1904.05050, Eq. 2; the streaks are blended instead of added here, so none exceeds white.
    """
    x = image + rain.haze * (rain.airlight - image)
    for distance in range(rain.depth, 0, -1):  # the nearest last, in front of all others
        opacity = _streaks(image.shape[:2], rain, distance, generator)[..., None]
        x = x + opacity * (rain.airlight - x)
    return x.astype(np.float32)


def _streaks(size: tuple[int, ...], rain: Rain, distance: int, generator: Any) -> np.ndarray:
    """The opacity of the streaks at a distance, (h, w) float32 in [0, 1]."""
    kernel = streak(
        rain.length / distance, max(rain.width / distance, MIN_WIDTH), math.radians(rain.angle)
    )
    margin = len(kernel) // 2  # for streaks that reach in from outside
    h, w = (side + 2 * margin for side in size)
    number = generator.poisson(rain.density * distance**2 * h * w / AREA)
    rows, columns = (generator.uniform(0, side, number).astype(int) for side in (h, w))
    centres = np.zeros((h, w), np.float32)
    most = rain.opacity / distance
    np.maximum.at(centres, (rows, columns), generator.uniform(most / 2, most, number))
    drawn = cv2.filter2D(centres, -1, kernel, borderType=cv2.BORDER_CONSTANT)
    return drawn[margin : h - margin, margin : w - margin].clip(0, 1)


def streak(length: float, width: float, angle: float) -> np.ndarray:
    """One streak, (s, s) float32, s odd: 1 in the middle, soft at its sides and ends.

    Args:
        length, width: in pixels, both at half the opacity.
        angle: in radians from the vertical.
    """
    reach = math.ceil(length * 0.75 + width)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along = np.abs(y * math.cos(angle) - x * math.sin(angle))
    across = y * math.sin(angle) + x * math.cos(angle)
    ends = ((0.75 * length - along) / (0.5 * length)).clip(0, 1)
    return (ends * np.exp2(-((2 * across / width) ** 2))).astype(np.float32)
