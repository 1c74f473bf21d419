"""Outputs that several processes restore for a comparison, stored in a folder of the report's."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from ...files import write_whole
from ...system import processes
from ..sharing import Share
from . import pictures
from .methods import Method
from .planning import Plan

FOLDER = ".outputs"


def write(plan: Plan, folder: Path, share: Share) -> None:
    """Restore this process's share of the models' outputs, and wait for the others.

    Args:
        plan: of the comparison.
        folder: of the report; the outputs go to a folder in it.
        share: of the outputs.
    """
    todo = [(n, name) for n, method in _models(plan).items() for name in method.files]
    for number, name in share.of(todo):
        method = plan.methods[number]
        output = method(pictures.read(method.files[name]))
        path = _path(folder, number, list(plan.truths).index(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file, output=output: np.save(file, output))
    processes.gather(None)


def read(plan: Plan, folder: Path) -> Plan:
    """The plan, with the stored outputs in place of the models."""
    places = list(plan.truths)
    methods = list(plan.methods)
    for number, method in _models(plan).items():
        files = {name: _path(folder, number, places.index(name)) for name in method.files}
        methods[number] = dataclasses.replace(method, files=files, restore=None)
    return dataclasses.replace(plan, methods=methods)


def remove(folder: Path) -> None:
    """Remove the outputs, if there are any."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _models(plan: Plan) -> dict[int, Method]:
    """The methods that compute, by their index in the plan."""
    return {n: method for n, method in enumerate(plan.methods) if method.restore is not None}


def _path(folder: Path, method: int, picture: int) -> Path:
    return folder / FOLDER / str(method) / f"{picture}.npy"
