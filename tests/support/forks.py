"""Trainings as forks of a process that has done what takes long and what no test looks at."""

import torch

import vmambair_arch.plugin  # noqa: F401

# isort: split
import vmambair_arch.training.pipeline  # noqa: F401  # BasicSR imports only after the plugin
from vmambair_arch.ops import self_test
from vmambair_arch.ops.cpu import planar, selective
from vmambair_arch.option_files import dry_run_findings
from vmambair_arch.training.records import Records


def prepare() -> None:
    """Import everything and load the kernels; forks try no networks first and draw no curves."""
    for name, scan in (("planar", planar), ("selective", selective)):
        self_test.errors(name, scan, torch.device("cpu"), torch.float32, True)
    dry_run_findings.findings = lambda file: iter(())
    Records.draw = lambda records: None
