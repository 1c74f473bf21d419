"""Processes as forks of this one, which has done what takes long and what no test looks at."""

import importlib

import torch

PICTURES = (  # what commands that need no BasicSR import when they run
    "commands.restore.batch_restore",
    "commands.restore.videos",
    "commands.compare.comparison",
    "commands.prepare.folders",
    "restoring.chain",
)
TRAININGS = ("plugin", "training.pipeline")  # in this order: BasicSR imports only after the plugin


def prepare(*, trainings: bool) -> None:
    """Import everything and load the kernels; trainings try no networks and draw no curves."""
    for name in TRAININGS if trainings else PICTURES:
        importlib.import_module(f"vmambair_arch.{name}")
    from vmambair_arch.ops import self_test
    from vmambair_arch.ops.cpu import planar, selective

    for name, scan in (("planar", planar), ("selective", selective)):
        self_test.errors(name, scan, torch.device("cpu"), torch.float32, True)
    if trainings:
        from vmambair_arch.option_files import dry_run_findings
        from vmambair_arch.training.records import Records

        dry_run_findings.findings = lambda file: iter(())
        Records.draw = lambda records: None
