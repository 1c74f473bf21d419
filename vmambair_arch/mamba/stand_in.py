"""mamba_ssm and causal_conv1d for networks that import them, where they cannot be imported.

Python asks this finder first. It tries the real package, and supplies our modules only where that
is missing or fails to import (without CUDA's libraries, for example).
"""

import functools
import importlib
import importlib.abc
import importlib.machinery
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

from ..errors import shortened
from ..ops import mamba_ssm
from . import block, convolution, interface

logger = logging.getLogger("vmambair_arch")

# Each package's module that fails to import where the package cannot run, and our modules that
# replace each of its modules.
PROBES = {"mamba_ssm": mamba_ssm.INTERFACE, "causal_conv1d": "causal_conv1d"}
MODULES = {
    "mamba_ssm": (block, interface),
    "mamba_ssm.modules": (),
    "mamba_ssm.modules.mamba_simple": (block,),
    "mamba_ssm.ops": (),
    "mamba_ssm.ops.selective_scan_interface": (interface,),
    "causal_conv1d": (convolution,),
    "causal_conv1d.causal_conv1d_interface": (convolution,),
}


def install() -> None:
    """Let ``import mamba_ssm`` and ``import causal_conv1d`` succeed from here on.

    Modules already imported stay. A second call changes nothing.
    """
    if not any(isinstance(finder, StandIns) for finder in sys.meta_path):
        sys.meta_path.insert(0, StandIns())


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and makes the modules that stand in for a package that cannot be imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A module of ours, or None for the finders after this one."""
        if fullname not in MODULES or not _missing(fullname.partition(".")[0]):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module with our public names."""
        setattr(module, mamba_ssm.STANDS_IN, True)
        for source in MODULES[module.__name__]:
            vars(module).update({name: getattr(source, name) for name in source.__all__})


def _missing(package: str) -> bool:
    """Whether a package cannot be imported; False while the real one is being imported."""
    return not mamba_ssm.importing_real() and _why_missing(package) is not None


@functools.cache
def _why_missing(package: str) -> str | None:
    """Why a package cannot be imported, logged once, or None."""
    before = set(sys.modules)
    try:
        mamba_ssm.import_real(PROBES[package])
    except Exception as error:  # mismatched CUDA libraries raise OSError and others
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == package:  # a module imported before the failure
                del sys.modules[name]
        reason = shortened(error)
        logger.warning("%s: vmambair_arch's own stands in for it: %s", package, reason)
        return reason
    return None
