"""The networks that the page offers, and the one that is loaded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import weights
from ..restoring import Restorer, models
from ..restoring.chain import Chain


class Choice(NamedTuple):
    """A network to choose.

    Args:
        label: its name on the page.
        origin: "given", "bundled" or "cache".
        model: what ``Restorer`` takes.
        purpose: a line on its purpose, if known.
    """

    label: str
    origin: str
    model: str | None
    purpose: str = ""


class Networks:
    """Loads the networks that a picture needs, and keeps the last ones.

    Args:
        given: checkpoints or presets; the first is the default. They are all loaded once, so that
            none fails later.
        build: makes a restorer from models, which run one after the other.
    Attributes: choices: by the key that the page uses.
    Raises: InputError: as ``build``.
    """

    def __init__(self, given: Sequence[str], build: Callable[[Sequence[Any]], Restorer | Chain]):
        self.choices = dict(enumerate(list_choices(given)))
        self.build = build
        self._loaded: tuple[tuple[int, ...], Restorer | Chain] | None = None
        for key in reversed(range(max(len(given), 1))):  # so that the default is kept
            self.load((key,))

    def load(self, keys: tuple[int, ...]) -> Restorer | Chain:
        """The networks of these choices, in sequence.

        Raises: InputError: as ``build``; KeyError: there is no such choice.
        """
        if self._loaded is None or self._loaded[0] != keys:
            models = [self.choices[key].model for key in keys]
            self._loaded = None  # two networks at once take twice the memory
            restorer = self.build(models)
            restorer(np.zeros((8, 8), np.uint8))  # the first call is slow
            self._loaded = keys, restorer
        return self._loaded[1]


def list_choices(given: Sequence[str]) -> list[Choice]:
    """The given networks, the bundled ones (the default first), and those in the cache folder."""
    cached = sorted(
        path for path in models.cache_folder().glob("*") if path.suffix in models.SUFFIXES
    )
    known = {Path(model).resolve() for model in given}
    return [
        *(
            Choice(Path(model).name, "given", model, weights.PURPOSES.get(model, ""))
            for model in given
        ),
        *(
            Choice(name, "bundled", name, weights.PURPOSES[name])
            for name in sorted(weights.PURPOSES, key=lambda name: name != weights.DEFAULT)
            if name not in given
        ),
        *(
            Choice(path.stem, "cache", str(path))
            for path in cached
            if path.resolve() not in known and path.stem not in {*given} - weights.PURPOSES.keys()
        ),
    ]
