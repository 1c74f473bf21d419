"""Every patch that BasicSR needs to run on current libraries and without a GPU.

Nothing else patches. Each function says which version is broken, and where. Both releases that
call themselves 1.4.2 (PyPI's of 2022, git master's of 2024) need them.
"""

import importlib
import logging
import os
import sys
from types import ModuleType
from typing import Any

import torch
from torch.torch_version import TorchVersion

from . import states


def apply() -> None:
    """Make ``import basicsr`` work, import it and patch it. A second call changes nothing."""
    supply_functional_tensor()
    supply_distutils()
    try:
        dist_util: Any = importlib.import_module("basicsr.utils.dist_util")
        train: Any = importlib.import_module("basicsr.train")
        sr_model: Any = importlib.import_module("basicsr.models.sr_model")
    except ModuleNotFoundError as error:
        if error.name != "basicsr":
            raise
        raise RuntimeError(
            "BasicSR is not installed: pip install --no-build-isolation basicsr==1.4.2, on Python"
            " below 3.13 (its build breaks on 3.13)"
        ) from error
    dist_util._init_dist_pytorch = init_process_group
    if train.load_resume_state is not load_resume_state:
        sort_folders()
    train.load_resume_state = load_resume_state
    # There, an image that a metric refuses (NIQE: a small one) ends the training.
    sr_model.calculate_metric = importlib.import_module(".metrics", __package__).measure


def supply_functional_tensor() -> None:
    """torchvision 0.17 removed functional_tensor, which basicsr/data/degradations.py imports."""
    name = "torchvision.transforms.functional_tensor"
    if name not in sys.modules:
        functional = importlib.import_module("torchvision.transforms.functional")
        module: Any = ModuleType(name)
        module.rgb_to_grayscale = functional.rgb_to_grayscale
        sys.modules[name] = module


def supply_distutils() -> None:
    """Python 3.12 removed distutils, whose LooseVersion basicsr/archs/arch_util.py imports."""
    try:
        importlib.import_module("distutils.version")
    except ModuleNotFoundError:
        module: Any = ModuleType("distutils.version")
        module.LooseVersion = TorchVersion
        sys.modules["distutils"] = ModuleType("distutils")
        sys.modules["distutils.version"] = module


def init_process_group(backend: str, **options: Any) -> None:
    """Join the process group; basicsr/utils/dist_util.py divides by the number of GPUs, even 0.

    On a machine without GPUs the backend is gloo. A process takes the GPU of its LOCAL_RANK.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    else:
        backend = "gloo"
    torch.distributed.init_process_group(backend=backend, **options)


def load_resume_state(opt: dict[str, Any]) -> dict[str, Any] | None:
    """Read the state to resume from; basicsr/train.py does it through CUDA alone.

    ``--auto_resume`` looks where the experiment is, from any working directory, and passes damaged
    states over; see ``states.find``.
    """
    state, remarks = states.find(opt)
    for remark in remarks:
        logging.getLogger("basicsr").warning(remark)
    return state


def sort_folders() -> None:
    """List folders in order: basicsr/data/data_util.py takes images as the file system has them.

    On another machine, or after a copy, the same seed would train on them in another order.
    """
    data_util: Any = importlib.import_module("basicsr.data.data_util")
    scandir = data_util.scandir
    data_util.scandir = lambda *args, **kwargs: sorted(scandir(*args, **kwargs))
