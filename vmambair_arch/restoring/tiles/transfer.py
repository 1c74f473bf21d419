"""Pixels on their way to a device and back: to GPUs in their own depth, beside the computing."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor


def most(dtype: np.dtype) -> int:
    """The number that stands for 1 in pixels of a type."""
    return np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1


def sent(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Pixels (h, w, c) -> (1, c, h, w) in [0, 1], float32; on a GPU of NVIDIA's or AMD's already.

    There nothing waits for the copy but what computes with it.
    """
    if device.type == "cuda":
        native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
        x = scaled(torch.from_numpy(native).pin_memory().to(device, non_blocking=True))
    else:
        part = pixels.astype(np.float32) / np.float32(most(pixels.dtype))
        x = torch.from_numpy(part)
    return x.permute(2, 0, 1)[None]


def scaled(pixels: Tensor) -> Tensor:
    """Pixels of any type -> float32 in [0, 1], to the bits of NumPy's division."""
    one = most(np.dtype(str(pixels.dtype).removeprefix("torch.")))
    # By a tensor: a GPU multiplies by the reciprocal of a number.
    return pixels.float() / torch.full((1,), float(one), device=pixels.device)


def receive(strips: Iterator[tuple[int, Tensor]], out: np.ndarray) -> None:
    """Write rows of a picture, (b, c, rows, w) from a row on, into its pixels (h, w, c).

    A GPU goes on with the next rows before those that it has finished are written.
    """
    under_way: list[tuple[int, Callable[[], np.ndarray]]] = []

    def write() -> None:
        top, arrive = under_way.pop(0)
        rows = arrive()
        out[top : top + len(rows)] = rows

    for top, strip in strips:
        under_way.append((top, returned(strip[0], out.dtype)))
        if len(under_way) > 1 or strip.device.type == "cpu":
            write()
    while under_way:
        write()


def returned(strip: Tensor, dtype: np.dtype) -> Callable[[], np.ndarray]:
    """Rows (c, h, w) about [0, 1] -> pixels (h, w, c), of the type or float32 of its numbers.

    From a GPU the copy runs beside the computing.

    Returns: a function that waits for them.
    """
    one = most(dtype)
    strip = strip.clamp(0, 1).mul_(one)
    strip = strip.round_() if one > 1 else strip
    rows = strip.permute(1, 2, 0)
    if strip.device.type != "cuda":
        return lambda: rows.cpu().numpy()
    if one == np.iinfo(np.uint8).max:
        rows = rows.to(torch.uint8)
    there = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
    there.copy_(rows.contiguous(), non_blocking=True)
    copied = torch.cuda.current_stream(strip.device).record_event()

    def wait() -> np.ndarray:
        copied.synchronize()
        return there.numpy()

    return wait
