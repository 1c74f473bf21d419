"""Fixtures that several files share: small data sets of real photographs, and option files."""

import functools
import logging
import os
import signal

# One thread beside other tests, else as many as torch uses: no test depends on the machine's load.
IS_ALONE = "PYTEST_XDIST_WORKER" not in os.environ
if IS_ALONE:
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
else:
    os.environ["OMP_NUM_THREADS"] = "1"  # the workers' parent has set the other

import torch  # noqa: E402

if not torch.cuda.is_available():  # with a GPU, Triton's kernels are compiled and tested there
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when a kernel is decorated

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in background jobs

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import yaml  # noqa: E402

import vmambair_arch.plugin  # noqa: E402, F401
from support.experiments import write_options  # noqa: E402
from vmambair_arch.training.records import Records  # noqa: E402

pytest_plugins = (
    "support.browser",
    "support.degradations",
    "support.perceptual_weights",
    "support.stand_in_for_pyiqa",
)


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


@pytest.fixture(autouse=True)
def threads_as_before():
    """Restore the number of threads after each test: the bits of sums depend on it."""
    before = torch.get_num_threads()
    yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)


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
    """Run in an empty folder, with seeded random numbers."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


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
