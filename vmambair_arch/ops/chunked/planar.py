"""planar_scan through copies of the four directions, each scanned over all its chunks at once."""

from torch import Tensor

from ..reference import planar
from . import selective

# It runs everywhere, and keeps no states.
unavailable, states_shape = planar.unavailable, planar.states_shape


def forward(x, projection, delta_weight, delta_bias, A, D, keep) -> tuple[Tensor, Tensor]:
    """Return y (b, h, w, d) in the dtype of x, and no states."""
    return planar.forward(x, projection, delta_weight, delta_bias, A, D, keep, selective)


def backward(dy, x, projection, delta_weight, delta_bias, A, D, states) -> tuple[Tensor, ...]:
    """Return the gradients of x, projection, delta_weight, delta_bias, A and D."""
    inputs = (x, projection, delta_weight, delta_bias, A, D)
    return planar.backward(dy, *inputs, states, selective)
