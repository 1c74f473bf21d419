"""Chain: several restorers in sequence, without files or rounding between them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

from ..errors import InputError
from .files.picture import to_array, to_image
from .input_checks import check_image
from .option_checks import check_positive, check_strength
from .placing import moved
from .resizing import at_strength, in_range
from .restorer import AnyPicture, Restorer, keep_info
from .tiles.steps import Progress, part
from .tiles.transfer import max_value


class Chain:
    """Restores pictures like a ``Restorer``, but with several networks in sequence.

    Args:
        models: one or more, each as for ``Restorer``, in order of use.
        outscale: the total enlargement, instead of the product of the networks' scales.
        strength: of all together, as in ``Restorer``.
        options: further arguments of ``Restorer``, for each.
    Attributes: network, a list of all; outscale; device.
    Raises: InputError: as ``Restorer``.
    """

    def __init__(
        self,
        models: Sequence[Any],
        *,
        outscale: float | None = None,
        strength: float = 1,
        **options: Any,
    ):
        check_positive(outscale=outscale)
        self.strength = check_strength(strength)
        if isinstance(models, str) or not models:
            raise InputError(f"models is {models!r}; give a list of one or more")
        *before, last = models
        self.restorers = [Restorer(model, **options) for model in before]
        factor = math.prod(restorer.scale for restorer in self.restorers)
        rest = outscale / factor if outscale else None
        self.restorers.append(Restorer(last, outscale=rest, **options))
        self.outscale = outscale or factor * self.restorers[-1].scale
        self.device = self.restorers[-1].device
        self.network = nn.ModuleList([restorer.network for restorer in self.restorers])

    def __call__(self, image: AnyPicture, *, progress: Progress | None = None) -> AnyPicture:
        """Restore a picture; see ``Restorer.__call__``."""
        if isinstance(image, Image.Image):
            return keep_info(image, to_image(self(to_array(image), progress=progress)))
        check_image(image)
        one = np.float32(max_value(image.dtype))
        x = (image / one).astype(np.float32)
        number = len(self.restorers)
        for place, restorer in enumerate(self.restorers):
            x = restorer(x, progress=part(progress, place / number, (place + 1) / number))
        return at_strength(image, in_range(x * one, image.dtype), self.strength)


def load(models: Sequence[Any], **options: Any) -> Restorer | Chain:
    """A restorer of one network (by default tiny_x4), or a chain of several.

    Args:
        models: as for ``Chain``; networks are moved to the device instead of copied.
        options: as for ``Chain``.
    """
    device = options.get("device", "auto")
    models = [moved(m, device) if isinstance(m, nn.Module) else m for m in models]
    return Chain(models, **options) if len(models) > 1 else Restorer(*models, **options)
