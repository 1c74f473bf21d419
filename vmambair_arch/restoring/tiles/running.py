"""Runs a network on one tile: on its device, in its precision, with the channels that it takes."""

import contextlib
import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ...errors import InputError, shortened
from ...inference import ensemble, run
from ...system import memory
from ...system.gpu_libraries import PRECISIONS, benchmarks_off, tf32
from .graphs import Graphs
from .precision import choose_precision
from .steps import Progress, Steps

logger = logging.getLogger("vmambair_arch")
PROBE_SIDE = 64  # side of the image that probes a network


class Runner:
    """Restores tiles of any size and of one or more channels.

    Args:
        network: in eval mode, on the device.
        device: of the network.
        precision: "auto" or a key of ``PRECISIONS``.
        averaged: take the mean over the eight flips and rotations.
        stepwise: whether progress within a call can be reported, because layers run when they are
            called, neither compiled nor queued on a GPU.
    Raises: InputError: no such precision.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        *,
        precision: str,
        averaged: bool,
        stepwise: bool,
    ):
        if precision != "auto" and precision not in PRECISIONS:
            raise InputError(
                f"precision is {precision!r}: choose one of auto, {', '.join(PRECISIONS)}"
            )
        self.network = network
        self.device = device
        self.averaged = averaged
        config = getattr(network, "config", {})
        self.in_channels: int = config.get("in_channels", 3)
        multiple: int = getattr(network, "multiple", 1)
        self.side = -(-PROBE_SIDE // multiple) * multiple
        shape = (1, self.in_channels, self.side, self.side)
        self.tf32 = False  # while a precision is chosen
        if precision == "auto":
            precision = self._automatic(shape)
        self.dtype, self.tf32 = PRECISIONS[precision], precision == "tf32"
        small = torch.zeros(shape, device=device)
        self._call = self._run
        self.steps = Steps(network, self._run_once, small) if stepwise else None

    def __call__(self, x: Tensor) -> Tensor:
        """(b, c, h, w) in [0, 1] -> (b, c, scale h, scale w), float32 on the device."""
        return self.start(x)()

    @torch.no_grad()
    def start(self, x: Tensor, *, progress: Progress | None = None) -> Callable[[], Tensor]:
        """Queue a tile on the device, (b, c, h, w) in [0, 1]; a CPU computes it at once.

        Grey passes through a colour network as three equal channels, whose mean is taken;
        the channels of a colour picture pass through a grey network one by one. Progress is called
        with the fraction done, below 1, if it is known.

        Returns: a function that waits for the result and returns it, (b, c, scale h, scale w),
            float32 on the device. It raises InputError if values are not finite.
        """
        x = x.to(self.device, torch.float32)
        b, c = x.shape[:2]
        n = self.in_channels
        if c == n:
            return self._started(x, progress)
        if c == 1:
            coloured = self._started(x.expand(-1, n, -1, -1), progress)
            return lambda: coloured().mean(1, keepdim=True)
        if n == 1:
            grey = self._started(x.flatten(0, 1)[:, None], progress)
            return lambda: grey().unflatten(0, (b, c)).squeeze(2)
        raise InputError(f"the picture has {c} colour channels, and the network takes {n}")

    @torch.no_grad()
    def prepare_progress(self) -> None:
        """Count the work of a call on a small image, before the first that reports progress."""
        if self.steps:
            self.steps.count()

    def use_graphs(self) -> None:
        """From now on launch tiles of a size as one CUDA graph, if the device has such."""
        if self.device.type == "cuda":
            self._call = Graphs(self._run, self.network)
        else:
            logger.warning("the device is %s, and graphs are CUDA's: it runs without", self.device)

    def scale(self) -> int:
        """The network's scale, from its output for a small image."""
        return self(torch.zeros(1, self.in_channels, self.side, self.side)).shape[2] // self.side

    def largest_map(self) -> int:
        """Elements of the largest map inside the network, per pixel of the input."""
        # As a batch of three grey images.
        colours = 3 if self.in_channels == 1 else self.in_channels
        largest = 0

        def hook(module: nn.Module, inputs: object, output: object) -> None:
            nonlocal largest
            if isinstance(output, Tensor):
                largest = max(largest, output.numel())

        with contextlib.ExitStack() as stack:
            for module in self.network.modules():
                stack.callback(module.register_forward_hook(hook).remove)
            self(torch.zeros(1, colours, self.side, self.side))
        return -(-largest // self.side**2)

    def _started(self, x: Tensor, progress: Progress | None) -> Callable[[], Tensor]:
        """Queue (b, in, h, w); the result is checked, and repeated in float32 if not finite."""
        reporting = self.steps and progress and self.steps.reporting(x, progress)
        with reporting or contextlib.nullcontext(), self._third_party_errors(x):
            y = self._call(x, self.dtype)
        finite = y.isfinite().all()

        @torch.no_grad()
        def finish() -> Tensor:
            if finite:
                return y
            again = y if self.dtype == torch.float32 else self._run(x, torch.float32)
            if not again.isfinite().all():
                raise InputError(
                    "the network gives values that are not finite, even in fp32; give other weights"
                )
            return again

        return finish

    @contextlib.contextmanager
    def _third_party_errors(self, x: Tensor) -> Iterator[None]:
        """Raise an InputError if a third-party network fails, unless memory ran out."""
        try:
            yield
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            name = getattr(self.network, "config", {}).get("architecture")
            if name is None or isinstance(error, InputError) or memory.ran_out(error):
                raise
            h, w = x.shape[2:]
            reason = f"{type(error).__name__}: {shortened(error)}"
            raise InputError(
                f"{name} fails on {h} x {w} pixels: {reason}; give another network"
            ) from error

    @torch.no_grad()
    def _automatic(self, shape: tuple[int, int, int, int]) -> str:
        return choose_precision(self.network, self.device, self._run, shape)

    def _run_once(self, x: Tensor) -> Tensor:
        return self._run(x, self.dtype)

    def _run(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        lower = torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)
        with lower, tf32(self.tf32), benchmarks_off():
            if self.averaged:
                return ensemble(lambda turned: run(self.network, turned).float(), x)
            return run(self.network, x).float()
