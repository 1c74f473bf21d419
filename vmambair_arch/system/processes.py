"""The processes of one run: their ranks, and communication between them.

A launcher (torchrun, ``--nproc``, slurm) starts them and sets their ranks in the environment.
"""

import contextlib
import logging
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from ..errors import InputError, naming_files

logger = logging.getLogger("vmambair_arch")
TIMEOUT = 1800.0  # seconds that a process waits for the others; dist_params.timeout
PORT = "29500"  # of slurm's runs; dist_params.port
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def rank() -> int:
    """This process's number in the run."""
    return int(os.environ["RANK"])


def world_size() -> int:
    """How many processes the run has."""
    return int(os.environ["WORLD_SIZE"])


def restarts() -> int:
    """How often torchrun has restarted the run because one of its processes failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def set_environment(launcher: str, port: int | None = None) -> None:
    """Ensure torchrun's variables are in the environment, from slurm's if slurm started us.

    Args:
        launcher: "pytorch" or "slurm".
        port: of the first machine, for slurm; None for MASTER_PORT, or 29500.
    Raises: InputError: they are missing: no launcher started this process.
    """
    variables = os.environ
    if launcher == "slurm" and "SLURM_PROCID" in variables:
        local, gpus = int(variables["SLURM_LOCALID"]), torch.cuda.device_count()
        variables["RANK"] = variables["SLURM_PROCID"]
        variables["WORLD_SIZE"] = variables["SLURM_NTASKS"]
        variables["LOCAL_RANK"] = str(local % gpus if gpus else local)  # a task may see one GPU
        if "MASTER_ADDR" not in variables:
            command = ["scontrol", "show", "hostnames", variables["SLURM_NODELIST"]]
            variables["MASTER_ADDR"] = subprocess.check_output(command, text=True).split()[0]
        variables["MASTER_PORT"] = str(port or variables.get("MASTER_PORT", PORT))
    missing = [name for name in VARIABLES if name not in variables]
    if missing:
        how = "srun" if launcher == "slurm" else "torchrun, or use --nproc N instead"
        raise InputError(
            f"--launcher {launcher}: {', '.join(missing)} not in the environment; start with {how}"
        )


def open_group(
    backend: str | None, *, use_gpu: bool, timeout: float | None = None, store: Any = None
) -> None:
    """Open torch's process group, on the GPU of LOCAL_RANK if one is used.

    Args:
        backend: "nccl", "gloo" or None for nccl on a GPU. Without a GPU it is gloo, with a warning
            if nccl was asked for.
        use_gpu: whether to use a GPU, if there is one.
        timeout: seconds that a process waits for the others; None for 1800.
        store: where the processes find each other; None for the environment's address.
    Raises: InputError: more processes than GPUs.
    """
    use_gpu = use_gpu and torch.cuda.is_available()
    if backend == "nccl" and not use_gpu:  # BasicSR's option files have it for any machine
        backend = "gloo"
        if rank() == 0:
            logger.warning("dist_params.backend is nccl, and this run uses no GPU: gloo instead")
    if use_gpu:
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if backend in (None, "nccl"):
            backend = "cpu:gloo,cuda:nccl"  # objects between processes do not wait for a GPU
        if local >= gpus:
            raise InputError(
                f"more processes on this machine than its {gpus} GPUs; start {gpus}, or set"
                " num_gpu: 0"
            )
        torch.cuda.set_device(local)
    distributed.init_process_group(
        backend or "gloo",
        store=store,
        rank=rank(),
        world_size=world_size(),
        timeout=timedelta(seconds=timeout or TIMEOUT),
    )


def all_reduce_max(number: int, device: torch.device) -> int:
    """The maximum over all processes, each of which calls this.

    Args:
        number: of this process.
        device: for the comparison, if the group has no backend for the CPU.
    """
    if not distributed.is_initialized():
        return number
    on_cpu = "cpu:" in distributed.get_backend_config()
    compared = torch.tensor(number, device="cpu" if on_cpu else device)
    distributed.all_reduce(compared, distributed.ReduceOp.MAX)
    return int(compared)


def gather(value: Any) -> list[Any]:
    """The values of all processes, by rank; only this one's if the run has no other."""
    if not distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


@contextlib.contextmanager
def raise_in_all() -> Iterator[None]:
    """Wait for all processes at the end; an InputError in one is raised in all of them.

    So is, as an InputError, an OSError that names a file. The body must not communicate: a process
    that fails would leave the others waiting.
    """
    sentence = ""
    try:
        with naming_files():
            yield
    except InputError as error:
        sentence = str(error)
    sentences = gather(sentence)
    if any(sentences):
        raise InputError(*merge_sentences(sentences))


def merge_sentences(sentences: list[str]) -> list[str]:
    """The processes' sentences, each line once, with its ranks unless all have it."""
    who: dict[str, list[str]] = {}
    for number, sentence in enumerate(sentences):
        for line in dict.fromkeys(sentence.splitlines()):
            who.setdefault(line, []).append(str(number))
    return [
        line if len(ranks) == len(sentences) else f"rank {', '.join(ranks)}: {line}"
        for line, ranks in who.items()
    ]
