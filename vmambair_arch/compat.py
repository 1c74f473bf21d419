"""Every patch that BasicSR needs to run on current libraries and without a GPU.

No other module patches BasicSR. Each function says which version is broken, and where. Both
releases that call themselves 1.4.2 (PyPI's of 2022, git master's of 2024) need them.
"""

import atexit
import contextlib
import functools
import importlib
import logging
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.torch_version import TorchVersion

from .checkpoints import training_states
from .data import image_lmdb
from .errors import InputError
from .system import processes
from .system.folder_lock import locked

_running = contextlib.ExitStack()  # the lock on the folder of a run of basicsr/train.py
atexit.register(_running.close)


def apply() -> None:
    """Make ``import basicsr`` work, import it and patch it. A second call changes nothing."""
    supply_functional_tensor()
    supply_distutils()
    try:
        import_quietly("basicsr")
        dist_util: Any = importlib.import_module("basicsr.utils.dist_util")
        train: Any = importlib.import_module("basicsr.train")
        sr_model: Any = importlib.import_module("basicsr.models.sr_model")
    except ModuleNotFoundError as error:
        if error.name != "basicsr":
            raise
        raise InputError("BasicSR is not installed; run: vmambair install-basicsr") from error
    read_tensors_only()
    dist_util._init_dist_pytorch = init_process_group
    dist_util._init_dist_slurm = init_slurm
    train.load_resume_state = load_resume_state
    sort_folders()
    read_whole_lmdb_keys()
    read_pictures_right()
    write_pictures_whole()
    # In BasicSR, an image that a metric refuses (NIQE: a small one) ends the training.
    sr_model.calculate_metric = importlib.import_module(".models.metrics", __package__).measure


def import_quietly(name: str) -> None:
    """metrics/niqe.py and others import names that SciPy and Python warn will be removed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module(name)


def supply_functional_tensor() -> None:
    """torchvision 0.17 removed functional_tensor, which basicsr/data/degradations.py imports."""
    name = "torchvision.transforms.functional_tensor"
    if name not in sys.modules:
        functional = importlib.import_module("torchvision.transforms.functional")
        module: Any = ModuleType(name)
        module.rgb_to_grayscale = functional.rgb_to_grayscale
        sys.modules[name] = module


def read_tensors_only() -> None:
    """BasicSR calls torch.load without weights_only in nine places, such as archs/spynet_arch.py.

    An environment variable can turn off its default, True since torch 2.6; False runs code.
    """
    load = torch.load
    if getattr(load, "for_basicsr", False):
        return

    @functools.wraps(load)
    def load_tensors(*args: Any, **options: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.partition(".")[0] == "basicsr":
            options["weights_only"] = True
        return load(*args, **options)

    setattr(load_tensors, "for_basicsr", True)  # noqa: B010 functions have no such attribute
    torch.load = load_tensors


def supply_distutils() -> None:
    """Python 3.12 removed distutils, whose LooseVersion basicsr/archs/arch_util.py imports."""
    try:
        import_quietly("distutils.version")
    except ModuleNotFoundError:
        module: Any = ModuleType("distutils.version")
        module.LooseVersion = TorchVersion
        sys.modules["distutils"] = ModuleType("distutils")
        sys.modules["distutils.version"] = module


def init_process_group(backend: str, **options: Any) -> None:
    """Join torchrun's processes; basicsr/utils/dist_util.py divides by the number of GPUs, even 0.

    BasicSR's takes the GPU of RANK, not of LOCAL_RANK. See ``processes.open_group``.
    """
    _join("pytorch", backend, **options)


def init_slurm(backend: str, **options: Any) -> None:
    """Join slurm's processes; the same function divides by the number of GPUs for them too."""
    _join("slurm", backend, **options)


def _join(
    launcher: str, backend: str, port: int | None = None, timeout: float | None = None
) -> None:
    processes.set_environment(launcher, port)
    processes.open_group(backend, use_gpu=True, timeout=timeout)


def load_resume_state(opt: dict[str, Any]) -> dict[str, Any] | None:
    """Read the state to resume from; basicsr/train.py can do so only with CUDA.

    ``--auto_resume`` looks in the experiment's folder, from any working directory, and skips
    damaged states; see ``training_states.find``. From here to the end of the process the folder is
    locked, since another train.py would rename the folder of a run that is still going on.
    """
    _running.close()  # an earlier run's, in the same process
    without_lock = None
    if opt["rank"] == 0:
        without_lock = _running.enter_context(locked(Path(opt["path"]["experiments_root"])))
    state, remarks = training_states.find(opt)
    for remark in filter(None, (without_lock, *remarks)):
        logging.getLogger("basicsr").warning(remark)
    return state


def read_pictures_right() -> None:
    """utils/img_util.py imfrombytes trusts whatever OpenCV makes of a file.

    OpenCV scrambles TIFFs with a plane for each colour, cannot open others, and fills missing
    parts with grey; see ``data.reading.training_pixels``.
    """
    imfrombytes = importlib.import_module(".data.reading", __package__).imfrombytes
    data: Any = importlib.import_module("basicsr.data")
    for module in vars(data).values():
        if isinstance(module, ModuleType) and hasattr(module, "imfrombytes"):
            module.imfrombytes = imfrombytes  # pyright: ignore[reportAttributeAccessIssue] found


def write_pictures_whole() -> None:
    """utils/img_util.py imwrite leaves a part of a file on a full disk, and ends a training there.

    See ``models.saved_pictures``.
    """
    imwrite = importlib.import_module(".models.saved_pictures", __package__).write
    models: Any = importlib.import_module("basicsr.models")
    for module in vars(models).values():
        if isinstance(module, ModuleType) and hasattr(module, "imwrite"):
            module.imwrite = imwrite  # pyright: ignore[reportAttributeAccessIssue] found


def sort_folders() -> None:
    """utils/misc.py scandir does not sort, so data sets read folders in the disk's order.

    Here they are sorted by name without suffix, as LMDBs are by key: a run does not depend on where
    its data are.
    """
    data_util: Any = importlib.import_module("basicsr.data.data_util")
    scandir = importlib.import_module("basicsr.utils").scandir
    data_util.scandir = lambda *args, **options: sorted(
        scandir(*args, **options), key=os.path.splitext
    )


def read_whole_lmdb_keys() -> None:
    """LMDB keys are cut at the first dot, in data/data_util.py and two data sets.

    utils/file_client.py cannot encode keys beyond ASCII or open an LMDB twice, returns None for a
    missing key and dies of SIGBUS in a truncated file.
    """
    client: Any = importlib.import_module("basicsr.utils.file_client")
    client.FileClient._backends["lmdb"] = image_lmdb.LmdbBackend
    data: Any = importlib.import_module("basicsr.data")
    for name in ("data_util", "paired_image_dataset", "realesrgan_paired_dataset"):
        getattr(data, name).paired_paths_from_lmdb = image_lmdb.paired_paths
    for name in ("data_util", "single_image_dataset"):
        getattr(data, name).paths_from_lmdb = image_lmdb.paths
    for data_set in (data.realesrgan_dataset.RealESRGANDataset, data.ffhq_dataset.FFHQDataset):
        list_whole_keys(data_set)


def list_whole_keys(data_set: Any) -> None:
    """These two data sets read meta_info.txt in their constructor: list the keys again after it."""
    initialise = data_set.__init__
    if hasattr(initialise, "__wrapped__"):
        return

    @functools.wraps(initialise)
    def initialise_and_list(self: Any, opt: dict[str, Any]) -> None:
        initialise(self, opt)
        if opt["io_backend"]["type"] == "lmdb":
            self.paths = image_lmdb.paths(opt["dataroot_gt"])

    data_set.__init__ = initialise_and_list
