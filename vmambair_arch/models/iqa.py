"""pyiqa's metrics of single images.

pyiqa is an extra because of its size and its licence: ``pip install 'vmambair-arch[iqa]'``.
"""

import functools
import importlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, nearest, shortened

OF_SETS = ("fid", "sfid", "fid_dinov2", "inception_score")  # pyiqa's, of many images at once


class UnavailableError(RuntimeError):
    """Why a metric has no value for an image."""


def calculate_iqa(
    img: np.ndarray,
    img2: np.ndarray | None = None,
    *,
    metric: str,
    crop_border: int = 0,
    options: Mapping[str, Any] | None = None,
    better: str | None = None,
) -> float:
    """Judge an image by any metric of pyiqa.

    Args:
        img: (h, w, 3) or (h, w), BGR, 0 to 255.
        img2: ground truth, of the same shape, for the metrics that compare.
        metric: pyiqa's name for it, such as lpips, dists, musiq or niqe.
        crop_border: pixels cut off each side.
        options: passed to pyiqa.create_metric, such as ``{net: vgg}`` for lpips.
        better: "higher" or "lower", for BasicSR; by default from pyiqa.
    Raises: InputError: see ``build``; or the metric compares, but there is no ground truth.
        UnavailableError: the metric refuses this image, for example because it is too small.
    """
    judge = build(metric, json.dumps(dict(options or {}), sort_keys=True))
    images = [image_tensor(img, crop_border)]
    if judge.metric_mode == "FR":
        if img2 is None:
            raise InputError(f"metric {metric} needs ground truth, and there is none")
        images.append(image_tensor(img2, crop_border))
    try:
        with torch.no_grad():
            value = float(judge(*images))
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, IndexError, RuntimeError, ValueError) as error:
        raise UnavailableError(str(error).splitlines()[0] if str(error) else "refused") from error
    if math.isnan(value):
        raise UnavailableError("its value is not a number")
    return value


@functools.cache
def build(metric: str, options: str = "{}") -> Any:
    """A metric of pyiqa, ready to use; each is built only once.

    Args:
        metric: its name.
        options: as JSON.
    Raises: InputError: pyiqa cannot be imported, has no such metric, or cannot get its weights.
    """
    try:
        pyiqa: Any = importlib.import_module("pyiqa")
    except ImportError as error:
        raise InputError(
            f"metric {metric} needs pyiqa, which cannot be imported ({shortened(error)}):"
            " pip install 'vmambair-arch[iqa]'"
        ) from error
    names = set(pyiqa.list_models()).difference(OF_SETS)
    if metric not in names:
        raise InputError(f"pyiqa judges no single image by {metric!r}{nearest(metric, names)}")
    try:
        with torch.random.fork_rng():
            judge: nn.Module = pyiqa.create_metric(metric, **json.loads(options))
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"metric {metric} cannot be built: {shortened(error)}; if its weights are missing,"
            " run once with a network connection, or put them where pyiqa looks"
        ) from error
    return judge.eval()


def better(section: Mapping[str, Any]) -> str:
    """Which is better by a metric: "higher" or "lower". Raises: InputError: see ``build``."""
    if "metric" not in section:
        raise InputError("metric is missing; add pyiqa's name of one, such as lpips")
    judge = build(section["metric"], json.dumps(section.get("options") or {}, sort_keys=True))
    return "lower" if judge.lower_better else "higher"


def image_tensor(image: np.ndarray, crop_border: int) -> Tensor:
    """BGR or grey, 0 to 255 -> (1, 3 or 1, h, w), RGB in [0, 1]."""
    rows, columns = (slice(crop_border, size - crop_border) for size in image.shape[:2])
    pixels = np.atleast_3d(image)[rows, columns, ::-1]
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
