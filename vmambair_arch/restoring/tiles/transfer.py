"""Copies pixels to a device and back; for GPUs in their own depth, overlapping the computation."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor


def max_value(dtype: np.dtype) -> int:
    """The value that represents 1 in pixels of a dtype."""
    return np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1


def to_device(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Pixels (h, w, c) -> (1, c, h, w) in [0, 1], float32, copied to the device if it is "cuda".

    On a GPU only the kernels that use the pixels wait for the copy.
    """
    if device.type == "cuda":
        native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
        x = scaled(torch.from_numpy(native).pin_memory().to(device, non_blocking=True))
    else:
        part = pixels.astype(np.float32) / np.float32(max_value(pixels.dtype))
        x = torch.from_numpy(part)
    return x.permute(2, 0, 1)[None]


def scaled(pixels: Tensor) -> Tensor:
    """Pixels of any dtype -> float32 in [0, 1], bit for bit like NumPy's division."""
    one = max_value(np.dtype(str(pixels.dtype).removeprefix("torch.")))
    # Divides by a tensor: by a number a GPU would multiply with its reciprocal.
    return pixels.float() / torch.full((1,), float(one), device=pixels.device)


def write_strips(strips: Iterator[tuple[int, Tensor]], out: np.ndarray) -> None:
    """Write strips of a picture, each a first row and (b, c, rows, w), into its pixels (h, w, c).

    A GPU continues with the next strip before the finished one is written.
    """
    pending: list[tuple[int, Callable[[], np.ndarray]]] = []

    def write() -> None:
        top, arrive = pending.pop(0)
        rows = arrive()
        out[top : top + len(rows)] = rows

    for top, strip in strips:
        pending.append((top, from_device(strip[0], out.dtype)))
        if len(pending) > 1 or strip.device.type == "cpu":
            write()
    while pending:
        write()


def from_device(strip: Tensor, dtype: np.dtype) -> Callable[[], np.ndarray]:
    """Rows (c, h, w) of about [0, 1] -> pixels (h, w, c) of the dtype, or as float32 of its values.

    The copy from a GPU overlaps the computation.

    Returns: a function that waits for the pixels and returns them.
    """
    one = max_value(dtype)
    strip = strip.clamp(0, 1).mul_(one)
    strip = strip.round_() if one > 1 else strip
    rows = strip.permute(1, 2, 0)
    if strip.device.type != "cuda":
        return lambda: rows.cpu().numpy()
    if one == np.iinfo(np.uint8).max:
        rows = rows.to(torch.uint8)
    rows_on_cpu = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
    rows_on_cpu.copy_(rows.contiguous(), non_blocking=True)
    copied = torch.cuda.current_stream(strip.device).record_event()

    def wait() -> np.ndarray:
        copied.synchronize()
        return rows_on_cpu.numpy()

    return wait
