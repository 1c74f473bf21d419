"""Floats outside [0, 1] are refused, in arrays and in tensors."""

import numpy as np
import pytest
import torch

from support import picture_files as files
from vmambair_arch import Chain, Restorer
from vmambair_arch.errors import InputError


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer(files.identity(1), device="cpu")


@pytest.mark.parametrize(
    ("least", "most", "advice"),
    [
        (-1, 1, "give (x + 1) / 2"),
        (-0.5, 0.5, "give (x + 1) / 2"),
        (-1.02, 0.3, "give (x + 1) / 2"),
        (0, 255, "divide by their range"),
        (0, 65535, "divide by their range"),
        (-2.1, 2.6, "divide by their range"),
        (0, np.nan, "they must be finite floats"),
        (-np.inf, 1, "they must be finite floats"),
    ],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_values_of_another_range_are_refused(restorer, least, most, advice, kind):
    picture = np.linspace(0, 1, 8 * 8 * 3).reshape(8, 8, 3).astype(kind)
    picture[0, 0], picture[-1, -1] = least, most
    with pytest.raises(InputError, match="has values from") as error:
        restorer(picture)
    assert advice in str(error.value)
    with pytest.raises(InputError, match="has values from"):
        restorer.restore_tensor(torch.from_numpy(picture).permute(2, 0, 1)[None])


def test_the_overshoot_of_filters_is_clipped(restorer):
    picture = np.linspace(-0.1, 1.2, 8 * 8, dtype=np.float32).reshape(8, 8)
    assert restorer(picture) == pytest.approx(picture.clip(0, 1), abs=1e-6)


@pytest.mark.parametrize("kind", [np.matrix, np.ma.MaskedArray])
def test_arrays_with_rules_of_their_own_are_named(restorer, kind):
    picture = np.zeros((8, 8), np.uint8).view(kind)
    for given in (restorer, Chain([restorer.network, restorer.network], device="cpu")):
        with pytest.raises(InputError, match=f"^the picture is a {kind.__name__}; give a plain"):
            given(picture)
