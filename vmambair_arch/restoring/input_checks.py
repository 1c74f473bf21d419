"""What counts as a picture, and which values it may have."""

import numpy as np

from ..errors import InputError

OVERSHOOT = 0.15  # below 0: sharpening filters, such as Lanczos, overshoot this far at an edge


def check_image(image: np.ndarray) -> None:
    """Raise InputError for anything that is not a picture."""
    if not isinstance(image, np.ndarray):
        raise InputError(
            f"the picture is a {type(image).__name__}; it must be a PIL image (open a file with"
            " PIL.Image.open) or a NumPy array; restore_tensor takes tensors"
        )
    if isinstance(image, np.matrix | np.ma.MaskedArray):
        raise InputError(
            f"the picture is a {type(image).__name__}; give a plain array, np.asarray(picture)"
        )
    kind = image.dtype.newbyteorder("=")
    known = kind in (np.uint8, np.uint16) or np.issubdtype(kind, np.floating)
    shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 2, 3, 4))
    if not known or not shaped or image.size == 0:
        raise InputError(
            f"the picture is {image.dtype} of shape {image.shape}; it must be (h, w) or (h, w, c)"
            " of uint8, uint16 or floats in [0, 1], c 1 to 4"
        )
    if np.issubdtype(image.dtype, np.floating):
        check_range(float(image.min()), float(image.max()), "the picture")


def check_range(least: float, most: float, what: str) -> None:
    """Raise InputError for floats outside [0, 1], except for the overshoot of resizing."""
    if least >= -OVERSHOOT and most < 2:
        return
    advice = "divide by their range"
    if -1.5 < least < 0 and most <= 1.5:
        advice = "if they are in [-1, 1], give (x + 1) / 2"
    raise InputError(
        f"{what} has values from {least:g} to {most:g}; they must be finite floats in [0, 1];"
        f" {advice}, or give uint8 or uint16"
    )
