"""Imports everything that commands import and loads the kernels, so that forks need not."""

import gc

import torch

import vmambair_arch.plugin  # noqa: F401

# isort: split
import vmambair_arch.app.serving  # noqa: F401
import vmambair_arch.cli  # noqa: F401
import vmambair_arch.commands.compare.comparison  # noqa: F401
import vmambair_arch.commands.prepare.folders  # noqa: F401
import vmambair_arch.commands.restore.videos  # noqa: F401
import vmambair_arch.training.pipeline  # noqa: F401  # BasicSR imports only after the plugin
from vmambair_arch.ops import self_test
from vmambair_arch.ops.cpu import planar, selective

for name, scan in (("planar", planar), ("selective", selective)):
    self_test.errors(name, scan, torch.device("cpu"), torch.float32, True)

gc.freeze()  # a garbage collection would write to, and so copy, the memory that forks share
