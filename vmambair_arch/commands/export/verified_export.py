"""Exports a network after checking that the file gives the same output."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError, shortened
from ...exporting.formats import EXPORT_FORMATS, Run, check_installed, describe
from ...exporting.tracing import round_up, smallest, trace
from ...files import check_output, remove_leftovers, write_whole
from ...networks.unet import UNet
from ...system import memory
from .. import networks

# Used to compare a file for any size.
SIZES: tuple[tuple[int, int], ...] = ((8, 16), (64, 64), (40, 72))
ERROR = 1e-4  # the largest relative L2 difference
PHOTOGRAPHS = "skimage"  # the package of the photograph


class Comparison(NamedTuple):
    """One image, run by the file and by the network."""

    runner: str  # of the file
    size: tuple[int, int]  # height and width
    error: float  # relative L2 difference of the outputs
    theirs: float  # seconds that the file took
    ours: float  # seconds that the network took


def run(
    model: str,
    out: Path,
    *,
    plugins: Sequence[str] = (),
    format: str | None = None,
    size: tuple[int, int] | None = None,
    scan: str | None = None,
    doing: Callable[[str], AbstractContextManager[None]] = nullcontext,
) -> list[Comparison]:
    """Export a network to a file, if the file's output equals the network's.

    Args:
        model: what ``restore`` takes.
        out: the file to write, .onnx or .pt2.
        plugins: Python files that register networks.
        format: "onnx" or "torch-export"; None for what the suffix of ``out`` says.
        size: the only height and width that the file takes; None for all that the network
            takes.
        scan: "sequential", a loop over the pixels, or "parallel", without loops; None for the
            format's default.
        doing: called with a description of each step; its result is entered during the step.
    Returns: the comparisons of file and network.
    Raises: InputError: the model cannot be read, the file exists or has another suffix, the size
        is not a multiple of the network's, the format has no such scan, a package is missing,
        memory runs out, the format cannot hold the network, or the outputs differ. No file is
        written.
    """
    format = _format(out, format)
    kind = EXPORT_FORMATS[format]
    check_output(out)
    form = _form(format, scan)
    check_installed(*kind.needs, PHOTOGRAPHS)
    network = networks.load(model, plugins)
    multiple: Any = network.multiple
    with _explained(out, network, format):
        with doing("tracing the network"):
            program = trace(network, size, kind.scans)
        with doing(f"converting it to {kind.name}"):
            content = kind.write(program, describe(network, size), form)
        with doing(f"running it in {kind.runner} and comparing it with the network"):
            least = max(kind.smallest, smallest(network))
            tried = [[round_up(max(side, least), multiple) for side in sides] for sides in SIZES]
            sizes = [size] if size else dict.fromkeys((h, w) for h, w in tried)
            comparisons = compare(kind.runs(content), network, sizes)
    worst = max(comparisons, key=lambda comparison: comparison.error)
    if not worst.error <= ERROR:  # also true for NaN
        raise InputError(
            f"{out}: not written, since on {worst.size[0]} x {worst.size[1]} pixels its output in"
            f" {worst.runner} differs from that of {model} by {worst.error:.1e}; at most"
            f" {ERROR:.0e} is allowed"
        )
    remove_leftovers(out.parent)
    write_whole(out, content)
    return comparisons


@contextmanager
def _explained(out: Path, network: nn.Module, format: str) -> Iterator[None]:
    """Raise InputError within it if memory runs out, or the format lacks what a network needs."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # torch, ONNX and onnxruntime may raise anything
        if memory.ran_out(error):
            raise InputError(
                f"{out}: not written, since memory ran out ({shortened(error)}); give a smaller"
                " --size, or close other programs"
            ) from error
        if isinstance(network, UNet):
            raise
        other = next(kind.suffix for name, kind in EXPORT_FORMATS.items() if name != format)
        raise InputError(
            f"{out}: not written, since {EXPORT_FORMATS[format].name} cannot hold"
            f" {describe(network, None)['network']}: {shortened(_cause(error))}; give a name that"
            f" ends in {other}, or export another network"
        ) from error


def _cause(error: BaseException) -> BaseException:
    """The first of the errors that led to one."""
    return _cause(error.__cause__) if error.__cause__ else error


def report(out: Path, comparisons: list[Comparison]) -> Iterator[str]:
    """Sentences on the comparisons: the difference from the network, and the times."""
    worst = max(comparison.error for comparison in comparisons)
    megabytes = out.stat().st_size / 1e6
    yield f"{out}: {megabytes:.1f} MB, relative L2 difference from the network at most {worst:.1e}"
    # The second image of each size, once warm.
    for runner, (h, w), _, theirs, ours in comparisons[1::2]:
        yield f"{h} x {w} pixels: {theirs:.2f} s in {runner}, {ours:.2f} s here"


def compare(
    runs: Mapping[str, Run], network: nn.Module, sizes: Iterable[tuple[int, int]]
) -> list[Comparison]:
    """Compare every way to run a file with a network, on random numbers and a photograph."""
    comparisons = []
    config: Any = network.config
    channels = config["in_channels"]
    for (runner, file), size in itertools.product(runs.items(), sizes):
        for image in (torch.rand(1, channels, *size), photograph(channels, size)):
            theirs, seconds = _timed(file, image)
            ours, own_seconds = _timed(network, image)
            error = (
                torch.linalg.vector_norm(theirs - ours) / torch.linalg.vector_norm(ours)
            ).item()
            comparisons.append(Comparison(runner, size, error, seconds, own_seconds))
    return comparisons


def photograph(channels: int, size: tuple[int, int]) -> Tensor:
    """A photograph in [0, 1], (1, channels, h, w); beyond three channels its colours repeat."""
    from skimage import data

    picture = torch.from_numpy(data.astronaut()).movedim(2, 0)[None] / 255
    picture = F.interpolate(picture, size, mode="bilinear", antialias=True)
    return picture[:, [channel % 3 for channel in range(channels)]].contiguous()


def _format(out: Path, given: str | None) -> str:
    suffixes = {format: EXPORT_FORMATS[format].suffix for format in EXPORT_FORMATS}
    if given and out.suffix != suffixes[given]:
        raise InputError(
            f"{out}: the name of a file of format {given} must end in {suffixes[given]}"
        )
    for format, suffix in suffixes.items():
        if out.suffix == suffix:
            return format
    raise InputError(f"{out}: the name must end in {' or '.join(suffixes.values())}")


def _form(format: str, scan: str | None) -> str:
    forms = EXPORT_FORMATS[format].forms
    if scan is None or scan in forms:
        return scan or forms[0]
    raise InputError(
        f"--scan {scan}: files of format {format} have the scan {' or '.join(forms)}; leave it out"
    )


@torch.no_grad()
def _timed(run: Run, image: Tensor) -> tuple[Tensor, float]:
    start = time.perf_counter()
    output = run(image)
    return output, time.perf_counter() - start
