"""PSNR and SSIM without BasicSR, equal to its values within 1e-6."""

import math

import cv2
import numpy as np

from ...models.losses.structure import SIGMA, WINDOW

Y = (65.481, 128.553, 24.966)  # weights of RGB in [0, 1], ITU-R BT.601


def psnr(output: np.ndarray, truth: np.ndarray, *, border: int, rgb: bool) -> float:
    """Peak signal-to-noise ratio in dB; infinite if both are equal.

    Args:
        output, truth: (h, w, 3) uint8, RGB.
        border: pixels left out at each side.
        rgb: measure red, green and blue instead of Y.
    """
    error = np.mean((_channels(output, border, rgb) - _channels(truth, border, rgb)) ** 2)
    return 10 * math.log10(255**2 / error) if error else math.inf


def ssim(output: np.ndarray, truth: np.ndarray, *, border: int, rgb: bool) -> float:
    """Structural similarity, the mean over channels; see ``psnr`` for the arguments.

    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity.
    """
    x, y = (_channels(image, border, rgb) for image in (output, truth))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x = _windowed(x * x) - mean_x**2
    var_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float(np.mean(similar / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))))


def _channels(image: np.ndarray, border: int, rgb: bool) -> np.ndarray:
    """(h, w, 3) or (h, w, 1) float64, 0 to 255, without the border."""
    inside = image[border : image.shape[0] - border, border : image.shape[1] - border]
    if rgb:
        return inside.astype(np.float64)
    y = (inside.astype(np.float32) / 255) @ np.array(Y) + 16
    return ((y / 255).astype(np.float32) * 255)[..., None].astype(np.float64)  # as BasicSR rounds


def _windowed(values: np.ndarray) -> np.ndarray:
    """Weighted means over the windows that are entirely inside the image."""
    means = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA).reshape(values.shape)
    half = WINDOW // 2
    return means[half:-half, half:-half]
