"""Precisions by name, and settings of cuDNN and cuBLAS: tf32 in products, benchmarks."""

import contextlib
from collections.abc import Iterator

import torch

PRECISIONS = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def allow_tf32(allowed: bool) -> None:
    """Let convolutions and matrix products of float32 keep 10 bits of their inputs, or all 23.

    By default torch allows tf32 only in convolutions.
    """
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid tf32 in the body."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    allow_tf32(allowed)
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@contextlib.contextmanager
def benchmarks_off() -> Iterator[None]:
    """For maps of varying sizes: cuDNN does not benchmark its algorithms for each in the body."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
