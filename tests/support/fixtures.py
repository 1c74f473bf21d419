"""Fixtures that several files share: small data sets of real photographs, and option files."""

import functools
import logging
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import vmambair_arch.plugin  # noqa: F401
from support.experiments import write_options
from vmambair_arch.restoring.tiles.precision import CPU_UNITS
from vmambair_arch.training.records import Records


@pytest.fixture(autouse=True)
def no_log_left_open():
    """Close BasicSR's log after a test: it writes to the test's folder and captured output."""
    from basicsr.utils import logger

    yield
    log = logging.getLogger("basicsr")
    for handler in log.handlers[:]:
        log.removeHandler(handler)
        handler.close()
    logging.getLogger("vmambair_arch").handlers.clear()
    logger.initialized_logger.clear()


@pytest.fixture(autouse=True, scope="session")
def cpu_without_bfloat16():
    """Hide units for bfloat16: ``precision: auto`` is float32 on every CPU (test_precision.py)."""
    there = getattr(torch.cpu, "get_capabilities", dict)() | dict.fromkeys(CPU_UNITS, False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: there, raising=False)
        yield


@pytest.fixture(autouse=True)
def seeded():
    """Seed the global generators: which tests a process runs before depends on the machine."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def threads_as_before():
    """Restore the number of threads after each test: the bits of sums depend on it."""
    before = torch.get_num_threads()
    yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk():
    """Files need not outlive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture
def curves():
    """Let the trainings of a test draw their curves."""


@pytest.fixture(autouse=True)
def no_curves(request, monkeypatch):
    """In other tests they draw none, which takes half the time of a tiny training."""
    if "curves" not in request.fixturenames:
        monkeypatch.setattr(Records, "draw", lambda records: None)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> Path:
    """Folders gt (64 x 72 photographs) and lq (4 times smaller), six of each."""
    import cv2
    from basicsr.utils.matlab_functions import imresize
    from skimage import data

    root = tmp_path_factory.mktemp("pairs")
    (root / "gt").mkdir(), (root / "lq").mkdir()
    photographs = [data.astronaut(), data.chelsea(), data.coffee()]
    for number in range(6):
        picture = photographs[number % 3][60:, 100 + 20 * number :][:64, :72]
        cv2.imwrite(str(root / "gt" / f"{number}.png"), picture)
        small = imresize(picture / 255.0, 1 / 4).clip(0, 1)
        cv2.imwrite(str(root / "lq" / f"{number}.png"), (small * 255).round())
    return root


@pytest.fixture
def experiment(pairs, tmp_path, monkeypatch):
    """Run in an empty folder; returns a function that writes an option file there.

    The file trains a tiny network on ``pairs`` for four iterations; keyword arguments replace
    whole sections, None removes one.
    """
    monkeypatch.chdir(tmp_path)

    return functools.partial(write_options, pairs)


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Run in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def after(monkeypatch):
    """Call a function in a training's process at the end of an iteration."""
    from vmambair_arch.training.progress import TrainingProgress

    todo, done = {}, TrainingProgress.done

    def do_too(self, model, epoch, iteration):
        done(self, model, epoch, iteration)
        if iteration in todo:
            todo[iteration]()

    monkeypatch.setattr(TrainingProgress, "done", do_too)
    return todo.__setitem__


@pytest.fixture
def small(experiment):
    """Write an option file of a small network of any model; overrides as in --force_yml."""
    from support.trainings import GAN, MODELS

    def write(*overrides: str, model: str = "VmambaIRModel", **sections) -> str:
        network = MODELS.get(model, MODELS["VmambaIRModel"])
        sections = {**network, **sections, "model_type": model}
        if "GAN" in model:
            sections["network_d"] = GAN["network_d"]
        path = experiment(**sections)
        opt = yaml.safe_load(Path(path).read_text())
        if "GAN" in model:
            opt["train"].update(GAN["gan"])
        for override in overrides:
            keys, value = override.split("=")
            *parents, last = keys.split(":")
            functools.reduce(dict.__getitem__, parents, opt)[last] = yaml.safe_load(value)
        Path(path).write_text(yaml.safe_dump(opt))
        return path

    return write
