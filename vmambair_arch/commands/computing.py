"""What restore and app share: arguments, and the options of ``Restorer`` made from them."""

import argparse
from typing import Any

import torch

from ..errors import InputError
from ..system import terminal, threads

MOST_THREADS = 1024  # with many more the system refuses some, in whatever library asks for one


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the options of ``restorer_options``, and --threads."""
    add = group.add_argument
    scale = "enlarge by S: resize the network's output with Lanczos"
    add("--outscale", type=float, metavar="S", help=scale)
    strength = "share of the network, 0 to 1; the rest is plain bicubic enlargement (default: 1)"
    add("--strength", type=float, default=1.0, metavar="S", help=strength)
    add("--ensemble", action="store_true", help="take the mean over 8 flips and rotations")
    tile = "restore in tiles of N x N pixels (default: whole, or the largest that fit into memory)"
    add("--tile", type=int, metavar="N", help=tile)
    add("--overlap", type=int, default=32, metavar="N", help="of tiles, in pixels (default: 32)")
    pool = "global: tiles use the means of the whole picture, in twice the time (default: tile)"
    add("--pool", choices=["tile", "global"], default="tile", help=pool)
    memory = "gigabytes that may be used (default: the free memory)"
    add("--memory", type=float, metavar="GB", help=memory)
    precision = "auto, the default, takes tf32 on GPUs that have it, and bf16 on CPUs that have it"
    precision += " if no difference is visible"
    add(
        "--precision",
        choices=["auto", "fp32", "tf32", "bf16", "fp16"],
        default="auto",
        help=precision,
    )
    add("--device", default="auto", help="cpu, cuda, ... (default: the GPU if there is one)")
    add("--threads", type=int, metavar="N", help="on the CPU (default: one per idle core)")


def restorer_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of ``Restorer`` from those of ``add_arguments``."""
    names = ("device", "precision", "tile", "overlap", "pool", "ensemble", "memory")
    names += ("outscale", "strength")
    return {name: getattr(arguments, name) for name in names}


def take_threads(arguments: argparse.Namespace) -> None:
    """Use --threads, or by default one thread per idle core; say so if cores are left unused."""
    taken = threads.use(arguments.threads)
    if taken.leaves_cores_unused and not torch.cuda.is_available():
        terminal.warn(f"{taken}; --threads N takes another number")


def check_bounds(arguments: argparse.Namespace, **bounds: tuple[int, int | None]) -> None:
    """Raise InputError for a number outside its bounds; None means no bound."""
    for name, (least, most) in bounds.items():
        value = getattr(arguments, name)
        if value is None:
            continue
        if not value >= least or (most and value > most):  # NaN is refused too
            needed = f"{least} to {most}" if most else f"{least} or more"
            option = name.replace("_", "-")
            raise InputError(f"--{option} is {value}; it must be {needed}")
