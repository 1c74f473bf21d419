"""Loaders of training and validation batches that never run ahead of a state, and never hang."""

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from multiprocessing import connection
from typing import Any

import torch
from basicsr.data import build_dataloader, build_dataset
from torch.utils.data import BatchSampler, DataLoader

from ...errors import InputError, TrainingError, shortened
from ..progressive import ProgressiveBatchSampler, read_stages
from .micro_batches import MicroBatches, accumulation_steps, is_progressive
from .prefetch import Prefetcher, collate_packed
from .sampling import ResumableSampler
from .training_set import TrainingSet, collate

DEATH = 5.0  # seconds within which a worker whose connection broke has ended


def faults(section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The contradictions between a training set's options of loading."""
    if section.get("persistent_workers") and not section.get("num_worker_per_gpu"):
        yield "persistent_workers", "is true, but there are no workers; set it to false"
    mode = section.get("prefetch_mode") or "cpu"
    if mode != "cpu" and not (mode == "cuda" and section.get("pin_memory")):
        yield "prefetch_mode", f"is {mode!r}: choose cpu, or cuda with pin_memory: true"


def training_loader(opt: dict[str, Any]) -> DataLoader:
    """Micro-batches of datasets.train, as BasicSR's loader gives, without its known failures.

    On a GPU the next batch is prefetched whatever ``prefetch_mode`` says, see ``prefetch``. For
    ``prefetch_mode: cpu`` the workers suffice, which always load ahead: BasicSR's thread hangs when
    loading fails, and shares its random numbers with the training.

    Returns: a loader whose batch_sampler is a MicroBatches over a ResumableSampler.
    Raises: InputError: no datasets.train, fewer images than a batch, stages that do not add up to
        the training, a total_batch_size that is no multiple of the batches, or a prefetch_mode that
        does not exist.
    """
    file = opt["opt_file"]
    section = next((s for s in opt["datasets"].values() if s["phase"] == "train"), None)
    if section is None:
        raise InputError(f"{file}: datasets.train is missing; add it")
    for name, sentence in faults(section):
        raise InputError(f"{name} {sentence}")
    data_set = TrainingSet(_data_set(opt, section), seed=opt["manual_seed"])
    sampler = ResumableSampler(
        len(data_set),
        ratio=section.get("dataset_enlarge_ratio", 1),
        rank=opt["rank"],
        world_size=opt["world_size"],
    )
    copies = 1 if opt["dist"] else max(opt["num_gpu"], 1)
    parts = accumulation_steps(opt)
    workers = section["num_worker_per_gpu"] * copies
    loader = DataLoader(
        data_set,
        batch_sampler=MicroBatches(_batch_sampler(opt, section, sampler, copies * parts), parts),  # pyright: ignore[reportArgumentType] torch's hint says lists of int
        num_workers=workers,
        collate_fn=functools.partial(collate_packed, collate) if _on_gpu(opt) else collate,
        pin_memory=section.get("pin_memory", _on_gpu(opt)),
        persistent_workers=bool(workers and section.get("persistent_workers", False)),
        worker_init_fn=_leave_if_orphaned,
        generator=torch.Generator(),  # a separate one: starting an epoch draws from it
    )
    if len(loader) == 0:
        raise InputError(
            f"{file}: datasets.train has {len(sampler)} images per process, fewer than a batch of"
            f" {section['batch_size_per_gpu'] * copies * parts}; add images, lower"
            " batch_size_per_gpu or total_batch_size, or raise dataset_enlarge_ratio"
        )
    return loader


def _batch_sampler(
    opt: dict[str, Any], section: dict[str, Any], sampler: Any, copies: int
) -> BatchSampler | ProgressiveBatchSampler:
    """Batches of one size, or of a ProgressiveImageDataset's stages, times ``copies``."""
    if not is_progressive(section):
        return BatchSampler(sampler, section["batch_size_per_gpu"] * copies, drop_last=True)
    try:
        stages = read_stages(section, int(opt["train"]["total_iter"]))
        return ProgressiveBatchSampler(sampler, stages, copies=copies)
    except InputError as error:
        raise InputError(f"{opt['opt_file']}: datasets.train: {error}") from error


def set_position(loader: DataLoader, *, epoch: int, seen: int, iteration: int) -> None:
    """Set where a training loader continues.

    Args:
        loader: from ``training_loader``.
        epoch: determines the order of the images.
        seen: samples of the epoch done so far, over all processes.
        iteration: iterations done so far.
    """
    batch_sampler: Any = loader.batch_sampler
    batch_sampler.sampler.set_position(epoch, seen)
    if isinstance(batch_sampler.batches, ProgressiveBatchSampler):
        batch_sampler.batches.start_iteration = iteration


def validation_loader(opt: dict[str, Any], section: dict[str, Any]) -> DataLoader:
    """A loader of single images, in this process."""
    section = {**section, "prefetch_mode": None, "persistent_workers": False}
    return build_dataloader(_data_set(opt, section), section, opt["num_gpu"], opt["dist"])


def _data_set(opt: dict[str, Any], section: dict[str, Any]) -> Any:
    """BasicSR's data set. Raises InputError: it cannot be built from its options and files."""
    place = f"{opt['opt_file']}: data set {section.get('name') or section['phase']}"
    try:
        return build_dataset(section)
    except InputError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{place}: {section['type']} cannot read what it needs ({error}); correct its paths"
        ) from error
    except Exception as error:  # a data set may raise anything for options or files
        reason = shortened(error) or type(error).__name__
        raise InputError(
            f"{place}: {section['type']} cannot be built ({reason}); correct its options or files"
        ) from error


def steps(loader: DataLoader, opt: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The micro-batches of each step of an epoch, from the sampler's place on.

    Raises: TrainingError: a worker died.
    """
    batch_sampler: Any = loader.batch_sampler
    step = []
    for batch in _batches(loader, opt):
        step.append(batch)
        if len(step) == batch_sampler.parts:
            yield step
            step = []


def _batches(loader: DataLoader, opt: dict[str, Any]) -> Iterator[dict[str, Any]]:
    iterator = _start(loader, opt)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except (ConnectionError, EOFError) as error:
            dead = ", ".join(_dead_workers(iterator))
            if not dead:
                raise
            raise _died(
                f"DataLoader worker (pid(s) {dead}) died in the middle of a batch"
            ) from error
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker (pid"):
                raise
            raise _died(str(error).splitlines()[0]) from error
        yield batch


def _dead_workers(iterator: Any) -> list[str]:
    """The ids of the workers that are dead, or die within seconds."""
    workers = getattr(getattr(iterator, "batches", iterator), "_workers", ())
    ends = {worker.sentinel: str(worker.pid) for worker in workers}
    return [ends[end] for end in connection.wait([*ends], DEATH)] if ends else []


def _died(what: str) -> TrainingError:
    advice = "lower num_worker_per_gpu or batch_size_per_gpu"
    return TrainingError(f"{what}: most likely memory or /dev/shm ran out; {advice}")


def _start(loader: DataLoader, opt: dict[str, Any]) -> Any:
    """Start the workers of an epoch.

    torch's SIGCHLD handler raises a worker's death wherever training is, even during a step.
    Without it the error is raised where training waits for a batch, within five seconds.
    """
    here = os.name == "posix" and threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGCHLD) if here else None
    iterator: Iterator[dict[str, Any]] = iter(loader)
    if _on_gpu(opt):
        iterator = Prefetcher(iterator, torch.device("cuda", torch.cuda.current_device()))
    if here:
        of_torch = getattr(handler, "__module__", None) == "torch.utils.data._utils.signal_handling"
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if of_torch else handler or signal.SIG_DFL)
    return iterator


def _on_gpu(opt: dict[str, Any]) -> bool:
    """Whether training runs on NVIDIA or AMD GPUs; BasicSR's models support no others."""
    return opt["num_gpu"] > 0 and torch.cuda.is_available()


def _leave_if_orphaned(worker: int) -> None:
    """End a worker if training was killed while it started; torch's would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent and not parent.is_alive():
        os._exit(1)
