"""Progress within one call of a network, reported by its layers as they run."""

import contextlib
from collections.abc import Callable, Iterator

from torch import Tensor, nn

Progress = Callable[[float], None]
LAYERS = (nn.Conv2d, nn.Linear)
MAX_FRACTION = 0.999  # the caller reports 1


class Steps:
    """Reports the fraction of a network's multiplications done, after each layer with weights.

    A layer has its number of weights times its input's pixels; those of one call are counted once,
    on a small image, and scaled with the pixels.

    Args:
        network: whose convolutions and linear layers are hooked while reporting.
        run: calls the network, once or several times.
        image: a small image to count with, (1, c, h, w).
    """

    def __init__(self, network: nn.Module, run: Callable[[Tensor], object], image: Tensor):
        self.layers = [module for module in network.modules() if isinstance(module, LAYERS)]
        self.run = run
        self.image = image
        self.per_pixel = 0.0

    def count(self) -> None:
        """Count the multiplications of a call, if that was not done before."""
        if not self.per_pixel:
            counted: list[int] = []
            with self._hooked(counted.append):
                self.run(self.image)
            self.per_pixel = sum(counted) / _pixels(self.image)

    @contextlib.contextmanager
    def reporting(self, x: Tensor, progress: Progress) -> Iterator[None]:
        """Call progress with the fraction done while ``run`` works on x in the body.

        ``count`` must be called before.
        """
        total, done = self.per_pixel * _pixels(x), 0

        def tell(number: int) -> None:
            nonlocal done
            done += number
            progress(min(done / max(total, done), MAX_FRACTION))

        with self._hooked(tell):
            yield

    @contextlib.contextmanager
    def _hooked(self, tell: Callable[[int], None]) -> Iterator[None]:
        """Call tell with the multiplications of each layer that runs in the body."""

        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            assert isinstance(layer, LAYERS)
            channels = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features
            if inputs:  # keyword arguments, as third-party networks may use, are not counted
                tell(layer.weight.numel() * (inputs[0].numel() // channels))

        with contextlib.ExitStack() as stack:
            for layer in self.layers:
                stack.callback(layer.register_forward_hook(hook).remove)
            yield


def part(progress: Progress | None, start: float, end: float) -> Progress | None:
    """The progress callback for a part of the work, from one fraction to another."""
    return progress and (lambda share: progress(start + share * (end - start)))


def _pixels(x: Tensor) -> int:
    """The number of pixels in a batch (b, c, h, w)."""
    return x.numel() // x.shape[1]
