"""A network's graph as an ONNX model, with ONNX's standard operators only."""

from typing import Any

import torch
from onnxscript import ir, opset18, optimizer
from onnxscript.ir.passes import common
from torch.export import ExportedProgram

from . import onnx_parallel, onnx_scans

PLANAR_SCANS = {"sequential": onnx_scans.planar_scan, "parallel": onnx_parallel.planar_scan}


def build(program: ExportedProgram, scan: str = "sequential") -> ir.Model:
    """Translate a graph that contains our scans; input ``image``, output ``restored``.

    Args: scan: the form of the planar scan, one of ``PLANAR_SCANS``.
    """
    onnx: Any = torch.onnx.export(
        program,
        input_names=["image"],
        output_names=["restored"],
        opset_version=opset18.version,
        custom_translation_table={
            torch.ops.vmambair.planar_scan.default: PLANAR_SCANS[scan],
            torch.ops.vmambair.selective_scan.default: onnx_scans.selective_scan,
        },
        dynamo=True,
        verbose=False,
        optimize=False,  # takes minutes for rewrites that find nothing here
    )
    _simplify(onnx.model)
    return onnx.model


def _simplify(model: ir.Model) -> None:
    """Inline function calls, fold constants and drop debugging information."""
    optimizer.inline(model)
    optimizer.fold_constants(model)
    for simplification in (
        common.RemoveUnusedNodesPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedFunctionsPass(),
        common.RemoveUnusedOpsetsPass(),
        common.ClearMetadataAndDocStringPass(),
    ):
        simplification(model)
