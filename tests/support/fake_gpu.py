"""A fake GPU: its tensors have shapes and strides but no values."""

import contextlib
from collections.abc import Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from vmambair_arch.ops import dispatch
from vmambair_arch.ops.gpu import device


@contextlib.contextmanager
def fake_gpu() -> Iterator[torch.device]:
    """Within it tensors can be created on "cuda", where the scans are Triton's.

    Skips the test where torch was built without CUDA.
    """
    if not torch.backends.cuda.is_built():
        pytest.skip("torch was built without CUDA")
    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
        patch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
        patch.setattr(device, "interpreted", lambda: False)
        patch.setattr(dispatch.self_test, "failure", lambda *_: None)
        yield torch.device("cuda", 0)
