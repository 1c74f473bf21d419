"""Rules between the options of a training: precision, batch, losses and schedule."""

from collections.abc import Iterator
from typing import Any

import torch

from ..data.batches import micro_batches
from ..models.losses.sections import loss_sections
from .between_options import Checked, Finding

RELATIVISTIC = "VmambaIRGANModel"  # and its subclasses


def findings(file: Checked) -> Iterator[Finding]:
    """Yield the contradictions between options."""
    yield from _precision(file.options)
    if file.is_train and isinstance(file.options.get("train"), dict):
        yield from _total_batch(file, file.options["train"])
        yield from _schedule(file.options["train"])
        yield from _losses(file, file.options["train"])


def _precision(options: dict[str, Any]) -> Iterator[Finding]:
    gpus = options.get("num_gpu", "auto") != 0 and torch.cuda.is_available()
    if options.get("precision") == "bf16" and gpus and torch.cuda.get_device_capability() < (8, 0):
        yield Finding(
            ("precision",),
            f"is bf16, which {torch.cuda.get_device_name()} does not have; set fp16 or fp32",
        )


def _total_batch(file: Checked, train: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong with the batch before the number of processes is known."""
    total, sections = train.get("total_batch_size"), file.phases("train")
    if not total or not sections:
        return
    batch = micro_batches.base_batch(file.options["datasets"][sections[0]])
    for sentence in micro_batches.faults(total, batch):
        yield Finding(("train", "total_batch_size"), sentence)
    for keys, loss in loss_sections(train):
        if loss.get("reduction") == "sum" and total > batch:
            yield Finding(
                (*keys, "reduction"),
                "is sum, but total_batch_size takes the mean over micro-batches; set it to mean",
            )


def _losses(file: Checked, train: dict[str, Any]) -> Iterator[Finding]:
    """Losses that the model cannot use."""
    if train.get("losses") and not train.get("pixel_opt"):
        yield Finding(("train", "losses"), "are added to the pixel loss: set pixel_opt too")
    gan = train.get("gan_opt") or {}
    if gan.get("type") == "RelativisticGANLoss" and RELATIVISTIC not in file.bases:
        yield Finding(
            ("train", "gan_opt", "type"),
            "is RelativisticGANLoss, which only VmambaIRGANModel and DegradationGANModel support;"
            " set model_type to one of them, or type to GANLoss",
        )
    if gan.get("gan_type") == "hinge" and "ESRGANModel" in file.bases:
        yield Finding(
            ("train", "gan_opt", "gan_type"),
            "is hinge, with which ESRGANModel's loss has no gradient for the generator; set"
            " vanilla, or model_type: VmambaIRGANModel with gan_opt.type: RelativisticGANLoss",
        )


def _schedule(train: dict[str, Any]) -> Iterator[Finding]:
    """Check periods and milestones against total_iter."""
    total, scheduler = train.get("total_iter"), train.get("scheduler")
    if not isinstance(total, int) or not isinstance(scheduler, dict):
        return
    periods, milestones = _numbers(scheduler.get("periods")), _numbers(scheduler.get("milestones"))
    if periods:
        if sum(periods) < total:
            yield Finding(
                ("train", "scheduler", "periods"),
                f"add up to {sum(periods)}, and total_iter is {total}: the schedule would end"
                " before training does; make them equal",
            )
        elif sum(periods) > total:
            yield Finding(
                ("train", "scheduler", "periods"),
                f"add up to {sum(periods)}, and total_iter is {total}: training ends first",
                warning=True,
            )
        for name in ("restart_weights", "eta_mins"):
            one = name == "restart_weights" and scheduler.get("type") == "CosineAnnealingRestartLR"
            given = scheduler.get(name, [1] if one else None)
            if isinstance(given, list) and len(given) != len(periods):
                yield Finding(
                    ("train", "scheduler", "periods"),
                    f"has {len(periods)} items, and {name} has {len(given)}; make them equal",
                )
    if milestones and max(milestones) > total:
        yield Finding(
            ("train", "scheduler", "milestones"),
            f"go to {max(milestones)}, and total_iter is {total}: the last are never reached",
            warning=True,
        )
    if (train.get("warmup_iter") or -1) >= total:
        yield Finding(
            ("train", "warmup_iter"), f"is not below total_iter {total}; lower it", warning=True
        )


def _numbers(values: Any) -> list[float]:
    """The values, if they are a list of numbers."""
    right = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    return values if right else []
