"""Scans as regions of a graph: plain operators where only torch is installed, otherwise our scans.

A region is a call of a subgraph whose name says what it computes. torch.export.load finds all of it
in the file; ``load`` here replaces the regions with this package's scans.
"""

from os import PathLike
from typing import IO, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule

from .. import ops  # registers torch.ops.vmambair.planar_scan  # noqa: F401
from ..system.allocator import keep_unless_told_otherwise
from . import plain_scans

NAME = "vmambair_arch.planar_scan"  # of a region; sizes follow, so each size is written once
CALL: Any = torch.ops.higher_order.invoke_subgraph


def planar_scan(*inputs: Tensor) -> Tensor:
    """``plain_scans.planar_scan`` as a region; for tracing. Args: see there."""
    sizes = "_".join(str(size) for tensor in inputs[2:] for size in tensor.shape)
    sizes += f"_{inputs[0].shape[1]}_{inputs[0].shape[2]}"
    return CALL(lambda *given: (plain_scans.planar_scan(*given),), f"{NAME} {sizes}", *inputs)[0]


def load(file: str | PathLike[str] | IO[bytes]) -> ExportedProgram:
    """Load a .pt2 file that ``vmambair export`` wrote, with this package's scans of the map.

    Returns: what ``torch.export.load`` returns, but faster: its ``module()`` takes about as long
        as the network itself. It has no gradients. As when a network is built, this process
        keeps freed memory from now on (``vmambair_arch.keep_freed_memory``).
    """
    keep_unless_told_otherwise()
    return with_our_scans(torch.export.load(file))


def with_our_scans(program: ExportedProgram) -> ExportedProgram:
    """Call our scan for every region of a program's graph, and return the program."""
    graph = program.graph
    for node in list(graph.nodes):
        if node.target is not CALL or not node.args[1].startswith(NAME):
            continue
        _, _, *inputs = node.args
        with graph.inserting_before(node):
            scan = graph.call_function(
                torch.ops.vmambair.planar_scan.default, (*inputs, False, "auto")
            )
        scan.meta.update(node.meta)
        node.replace_all_uses_with(scan)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


def forget_origins(program: ExportedProgram) -> None:
    """Drop from the regions the Python source of each operator, which is most of their size."""
    for region in program.graph_module.children():
        if isinstance(region, GraphModule):
            for node in region.graph.nodes:
                for origin in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
                    node.meta.pop(origin, None)
