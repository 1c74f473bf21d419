"""Tensors as arrays for the CPU kernels."""

import numpy as np
from torch import Tensor

from ..checks import state_dtype


def arrays_of(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    """NumPy arrays of the tensors' memory, in the dtype of the first tensor's states."""
    wide = state_dtype(tensors[0])
    return tuple(
        (t if t.dtype is wide else t.to(wide)).contiguous().numpy(force=True) for t in tensors
    )
