"""vmambair check: everything that can be known about an experiment before it runs.

The problems of all its parts are collected; costs are measured only if there are none. Nothing is
written.
"""

import contextlib
import datetime
import io
import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from basicsr.utils import get_root_logger, set_random_seed

from ...checkpoints import training_states
from ...data import survey
from ...data.batches.loading import training_loader, validation_loader
from ...data.batches.micro_batches import accumulation_steps, describe_batch
from ...data.data_set_checks import problems
from ...data.entries import Entry, Problem, entries
from ...errors import InputError, first_of_each_kind
from ...networks.cost import Cost
from ...option_files import against_disk
from ...option_files.dry_runs import one_line
from ...option_files.options import where
from ...training import pipeline
from .. import cost_row
from . import cost
from .leaks import Leaks, is_training

SECONDS = 10.0  # of timed steps; slow steps are repeated less often
MAX_LISTED = 20  # problems of a kind that are listed; further ones are counted
IN_THIS_PROCESS = {"num_worker_per_gpu": 0, "prefetch_mode": None, "persistent_workers": False}


def run(opt: dict[str, Any], *, fast: bool = False) -> Iterator[str]:
    """Check an experiment and yield the lines of the report.

    Args:
        opt: options from ``options.read``.
        fast: decode a sample of the images instead of all.
    Raises: InputError: the problems, a sentence each.
    """
    found: list[str] = []
    warnings: list[str] = []
    leaks = Leaks(opt["datasets"])
    for section in leaks.order:
        report = _check_data_set(opt, section, leaks, fast=fast)
        yield report.line
        found += report.problems
        warnings += report.warnings
    yield from leaks.summary()
    found += against_disk.problems_besides_data(opt)
    if opt["is_train"]:
        try:
            resumed = deepcopy(dict(opt))
            if training_states.find(resumed)[0]:
                against_disk.check_resumed(resumed)
        except InputError as error:
            found.append(f"{where(opt, ('path', 'resume_state'))}: {error}")
    yield from warnings
    if found:
        raise InputError(*found)
    yield from _costs(opt, _first_images(opt))


class _DataSetReport(NamedTuple):
    """A line about a data set, the problems found, and warnings."""

    line: str
    problems: list[str]
    warnings: list[str]


def _check_data_set(
    opt: dict[str, Any], section: str, leaks: Leaks, *, fast: bool
) -> _DataSetReport:
    """Check a data set's files and decode its images; adds them to leaks."""
    data_set = opt["datasets"][section]
    place = where(opt, ("datasets", section))
    wrong = list(problems(place, data_set, against_disk.least_side(opt)))
    found = first_of_each_kind(wrong, MAX_LISTED)
    try:
        there = entries(place, data_set)
    except (InputError, OSError):  # already among the problems
        return _DataSetReport(f"datasets.{section}: cannot be listed", found, [])
    listed = [entry for entry in there if isinstance(entry, Entry)]
    found += _too_few(place, opt, data_set, len(listed))
    seen, unusable, warnings = 0, [], []
    for side, image in survey.decode_images(
        section, listed, fast=fast, with_features=leaks.possible
    ):
        seen += 1
        if image.problem and not any(str(image.path) in p.sentence for p in wrong):
            unusable.append(
                Problem("decode", f"{place}: {image.path}: {image.problem}; replace it")
            )
        if image.lost:
            warnings.append(f"{place}: {image.path}: BasicSR drops its {image.lost}")
        if image.digest and (side == "gt" or "dataroot_gt" not in data_set):
            same, like = leaks.find(section, place, image)
            unusable += [Problem("leak", same)] * bool(same)
            warnings += [like] * bool(like)
    found += first_of_each_kind(unusable, MAX_LISTED)
    line = f"datasets.{section}: {len(listed)} entries, {seen} images decoded"
    if not there:
        line = f"datasets.{section}: its layout is unknown; no image was checked"
    return _DataSetReport(line, found, warnings)


def _too_few(place: str, opt: dict[str, Any], data_set: dict[str, Any], images: int) -> list[str]:
    if data_set["phase"] != "train":
        return []
    batch = data_set.get("batch_size_per_gpu", 1) * max(opt["num_gpu"], 1) * accumulation_steps(opt)
    enlarged = images * data_set.get("dataset_enlarge_ratio", 1)
    if not images or enlarged >= batch:
        return []
    return [
        f"{place} has {enlarged:g} images per process, fewer than a batch of {batch}; add images,"
        " lower batch_size_per_gpu or raise dataset_enlarge_ratio"
    ]


def _first_images(opt: dict[str, Any]) -> list[dict[str, Any]]:
    """The first image, or clip, of each evaluation set.

    Raises: InputError: the sets that do not give one, a sentence each.
    """
    images, found = [], []
    for name, section in deepcopy(opt["datasets"]).items():
        if is_training(name):
            continue
        place = where(opt, ("datasets", name))
        try:
            with _quiet():
                loader = validation_loader(opt, section | IN_THIS_PROCESS)
                images.append(next(iter(loader)))
        except StopIteration:
            found.append(f"{place}: holds no image; correct its folders")
        except InputError as error:
            found.append(str(error))
        except Exception as error:  # of any type: finding errors is the purpose
            found.append(f"{place}: its first image cannot be loaded: {one_line(error)}")
    if found:
        raise InputError(*found)
    return images


def _costs(opt: dict[str, Any], images: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Build everything and take steps on one micro-batch, or restore the first image."""
    try:
        with _quiet():
            set_random_seed(opt["manual_seed"])
            batch = _batch(opt) if opt["is_train"] else images[0]
            model = pipeline.build_model(deepcopy(dict(opt)))
            seconds = _steps(model, batch, opt)
    except Exception as error:  # of any type: finding errors is the purpose of the step
        what = "a step of training" if opt["is_train"] else "restoring an image"
        raise InputError(f"{opt['opt_file']}: {what} fails: {one_line(error)}") from error
    shape = _input_shape(model)
    if opt["is_train"]:
        yield describe_batch(opt)
    yield f"network_g: {opt['network_g']['type']}, {cost.parameters(model.net_g):,} parameters"
    forward = cost.forward(opt["network_g"], shape) if shape else None
    memory = cost.memory(opt, shape) if shape and opt["is_train"] else None
    if forward is not None:
        yield from _forward_costs(forward, shape)
    if memory is not None:
        yield f"estimated memory to train: {memory / 2**30:.2f} GiB for a batch of {shape[0]}"
    if forward is not None:
        name, size = opt["network_g"]["type"], cost.parameters(model.net_g)
        yield cost_row.heads()
        yield cost_row.row(name, size, forward, seconds=seconds, memory=memory)
    if torch.cuda.is_available() and opt["num_gpu"]:
        yield f"measured memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"
    yield from _time(opt, seconds, model.device)


def _input_shape(model: Any) -> cost.Shape:
    """The shape of a model's input; empty if a third-party model has another name for it."""
    lq = getattr(model, "lq", None)
    return tuple(lq.shape) if isinstance(lq, torch.Tensor) else ()


def _forward_costs(forward: Cost, shape: Sequence[int]) -> Iterator[str]:
    size = " x ".join(str(side) for side in shape)
    yield (
        f"multiply-adds: {forward.multiply_adds / 1e9:.2f} G for {size},"
        f" {forward.scans / 1e9:.2f} G of them in scans"
    )
    yield f"activations: {forward.activations / 1e6:.2f} M"


def _time(opt: dict[str, Any], seconds: float, device: torch.device) -> Iterator[str]:
    if not opt["is_train"]:
        yield f"{seconds:.3g} s per image on {device}"
        return
    total = opt["train"]["total_iter"]
    length = datetime.timedelta(seconds=round(seconds * total))
    with contextlib.suppress(OverflowError):  # a year of five digits
        end = datetime.datetime.now() + length
        yield (
            f"{seconds:.3g} s per iteration on {device}: {total} iterations take {length} without"
            f" validation, and would end on {end:%Y-%m-%d %H:%M}"
        )


def _batch(opt: dict[str, Any]) -> dict[str, Any]:
    """The first micro-batch of the training set."""
    sections = deepcopy(opt["datasets"])
    sections = {name: section | IN_THIS_PROCESS for name, section in sections.items()}
    batch = next(iter(training_loader({**opt, "datasets": sections})))
    for failure in batch.pop("failures"):
        raise InputError(failure)
    return batch


def _steps(model: Any, batch: dict[str, Any], opt: dict[str, Any]) -> float:
    """Median seconds of a step, without the first, which warms up."""
    seconds: list[float] = []
    while len(seconds) < 2 or sum(seconds) < SECONDS and len(seconds) < 10:
        start = time.perf_counter()
        iteration = len(seconds) + 1
        if opt["is_train"]:
            model.update_learning_rate(iteration, opt["train"].get("warmup_iter", -1))
            model.train_on([batch] * accumulation_steps(opt), iteration)
        else:
            model.feed_data(batch)
            model.test()
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:] or seconds)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence BasicSR's log of every network and data set."""
    log = get_root_logger()
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        log.setLevel(level)
