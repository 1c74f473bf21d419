"""The files for other programs: how each is written, and how it is run to check its results."""

import io
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from ..errors import InputError
from . import plain_scans, regions
from .tracing import OURS, Scans

Run = Callable[[Tensor], Tensor]
COLOURS = {1: "grey", 3: "RGB"}  # by the number of channels


class ExportFormat(ABC):
    """A kind of file: its suffix, what writes it and what runs it."""

    name: str  # of the format, for reports
    runner: str  # the program that runs it, for reports
    suffix: str
    needs: tuple[str, ...] = ()  # packages of the extra
    scans: Scans  # replace the network's scans in the graph
    forms: tuple[str, ...]  # that the planar scan can have; the first is the default
    smallest: int  # the least side that a file for any size takes

    @abstractmethod
    def write(self, program: ExportedProgram, about: Mapping[str, str], form: str) -> bytes:
        """The content of a file, with the result of ``describe`` in its metadata.

        Args: form: of the planar scan, one of ``forms``.
        """

    @abstractmethod
    def runs(self, content: bytes) -> dict[str, Run]:
        """All ways to run a file on a (1, in, h, w) float32 image on the CPU.

        Returns: functions, by their names for reports; the first, ``runner``, needs no package of
            ours.
        """


class Onnx(ExportFormat):
    """ONNX, of standard operators only; needs the extra ``export``."""

    name, runner, suffix = "ONNX", "onnxruntime", ".onnx"
    needs = ("onnx", "onnxscript", "onnxruntime")
    scans = OURS  # translated to ONNX when the file is written
    forms = "sequential", "parallel"
    smallest = 8

    def write(self, program: ExportedProgram, about: Mapping[str, str], form: str) -> bytes:
        """The content of an .onnx file: input ``image``, output ``restored``."""
        from onnxscript import ir  # installed by an extra

        from . import onnx_model

        model = onnx_model.build(program, form)
        model.metadata_props.update(about)
        return ir.to_proto(model).SerializeToString()

    def runs(self, content: bytes) -> dict[str, Run]:
        """In onnxruntime, with as many threads as torch."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])

        def run(x: Tensor) -> Tensor:
            return torch.from_numpy(np.asarray(session.run(None, {"image": x.numpy()})[0]))

        return {self.runner: run}


class TorchExport(ExportFormat):
    """torch.export's format, of torch's own operators: it loads where only torch is installed."""

    name, runner, suffix = "torch.export's format", "torch.export", ".pt2"
    scans = Scans(regions.planar_scan, plain_scans.selective_scan, plain_scans.selective_operator)
    forms = ("parallel",)
    smallest = 16  # a side of 8 is one pixel in the latent, a size that torch.export specialises

    def write(self, program: ExportedProgram, about: Mapping[str, str], form: str) -> bytes:
        """The content of a .pt2 file; its metadata is its extra file ``vmambair.json``."""
        file = io.BytesIO()
        regions.forget_origins(program)
        with warnings.catch_warnings():  # it takes channels-last weights for parts of a tensor
            warnings.filterwarnings("ignore", "No complete tensor found")
            torch.export.save(program, file, extra_files={"vmambair.json": json.dumps(dict(about))})
        return file.getvalue()

    def runs(self, content: bytes) -> dict[str, Run]:
        """With torch alone, and with this package's scans."""
        program = torch.export.load(io.BytesIO(content))  # once, as it takes seconds
        plain, ours = program.module(), regions.with_our_scans(program).module()
        return {self.runner: plain, f"{self.runner} with this package's scan": ours}


EXPORT_FORMATS: dict[str, ExportFormat] = {"onnx": Onnx(), "torch-export": TorchExport()}


def describe(network: nn.Module, size: tuple[int, int] | None) -> dict[str, str]:
    """What a program must know to use a network, and the network's configuration.

    Args:
        network: the network, with scale, multiple and config.
        size: the height and width that the file takes; None for any multiples of ``multiple``.
    """
    config: Any = network.config
    channels = config["in_channels"]
    return {
        "network": config.get("architecture", type(network).__name__),
        "scale": str(network.scale),
        "multiple": str(network.multiple),
        "size": " ".join(map(str, size)) if size else "any",  # height width
        "layout": "NCHW",
        "colour_order": COLOURS.get(channels, f"{channels} channels, as trained"),
        "range": "0 1",
        "config": json.dumps(config),
    }


def check_installed(*packages: str, user: str = "export", extra: str = "export") -> None:
    """Raise InputError for a package that cannot be imported, which an extra installs."""
    for package in packages:
        try:
            __import__(package)
        except ImportError as error:
            raise InputError(
                f"{user} needs {package} ({error}); pip install 'vmambair-arch[{extra}]'"
            ) from error
