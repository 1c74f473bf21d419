"""Stamps in the user's cache: empty files that record which backends passed their self-test.

A stamp's name holds all that a backend's results depend on: this package's sources, the packages
that compile and run its kernels, the processor or the GPU.
"""

import functools
import hashlib
import logging
import platform
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch

logger = logging.getLogger("vmambair_arch")
PACKAGES = ("torch", "numba", "llvmlite", "triton", "mamba-ssm", "causal-conv1d")


def path(operation: str, backend: str, device: torch.device, *more: object) -> Path:
    """The path of a backend's stamp, whether or not it exists."""
    machine = _processor() if device.type == "cpu" else _accelerator(device)
    digest = hashlib.sha256(repr((_software(), machine, *more)).encode()).hexdigest()
    return folder() / f"{operation}-{backend}-{digest[:32]}"


def exists(stamp: Path) -> bool:
    """Whether the stamp exists."""
    try:
        return stamp.exists()
    except OSError:  # no permission for the folder
        return False


def write(stamp: Path) -> None:
    """Leave a stamp if possible; otherwise the next process tests again."""
    try:
        if not stamp.is_absolute():  # the user has no home folder
            raise FileNotFoundError(f"there is no folder {stamp.parent}")
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    except OSError as error:
        logger.info("backends are tested in each process: %s", error)


def folder() -> Path:
    """The folder of the stamps; not absolute if the user has no home folder."""
    from platformdirs import user_cache_path

    try:
        return user_cache_path("vmambair_arch", appauthor=False) / "self_tests"
    except RuntimeError:  # older platformdirs return this path
        return Path("~/.cache/vmambair_arch/self_tests")


@functools.cache
def _software() -> str:
    """A digest of this package's sources and of the packages that they use.

    A package's RECORD has the digests of its files, so a rebuilt package differs.
    """
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    for package in PACKAGES:
        try:
            found = distribution(package)
            digest.update(f"{package} {found.version} {found.read_text('RECORD')}".encode())
        except PackageNotFoundError:
            digest.update(f"no {package}".encode())
    return digest.hexdigest()


@functools.cache
def _processor() -> str:
    """The processor that the kernels are compiled for, with its features."""
    from .cpu.jit import target

    return repr(target())


def _accelerator(device: torch.device) -> str:
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        return f"{gpu.name} {gpu.major}.{gpu.minor}"
    name = getattr(torch.get_device_module(device), "get_device_name", lambda _: "")(device)
    return f"{device.type} {name} {platform.platform()}"
