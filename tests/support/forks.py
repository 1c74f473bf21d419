"""Processes as forks of this one, which has done what takes long and what no test looks at."""

import importlib

PICTURES = (  # what commands import when they run, and what that imports of BasicSR
    "commands.restore.batch_restore",
    "commands.restore.videos",
    "commands.compare.comparison",
    "commands.prepare.folders",
    "data.imresize",
    "restoring.chain",
)
TRAININGS = ("plugin", "training.pipeline")  # in this order: BasicSR imports only after the plugin


def prepare(*, trainings: bool) -> None:
    """Import everything; for trainings load the kernels too, which the pictures here do without."""
    for name in TRAININGS if trainings else PICTURES:
        importlib.import_module(f"vmambair_arch.{name}")
    if trainings:
        _prepare_trainings()


def _prepare_trainings() -> None:
    """Load the kernels; trainings then try no networks first and draw no curves."""
    import torch

    from vmambair_arch.ops import self_test
    from vmambair_arch.ops.cpu import planar, selective
    from vmambair_arch.option_files import dry_run_findings
    from vmambair_arch.training.records import Records

    for name, scan in (("planar", planar), ("selective", selective)):
        self_test.errors(name, scan, torch.device("cpu"), torch.float32, True)
    dry_run_findings.findings = lambda file: iter(())
    Records.draw = lambda records: None
