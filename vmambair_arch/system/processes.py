"""Processes: those of one run, each with its rank, and what they tell each other.

A launcher (torchrun, ``--nproc``, slurm) starts them and says in the environment which is which.
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

from ..errors import InputError

logger = logging.getLogger("vmambair_arch")
TIMEOUT = 1800.0  # seconds that a process waits for the others; dist_params.timeout
PORT = "29500"  # of slurm's runs; dist_params.port
NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def rank() -> int:
    """This process's number in the run."""
    return int(os.environ["RANK"])


def world_size() -> int:
    """How many processes the run has."""
    return int(os.environ["WORLD_SIZE"])


def restarts() -> int:
    """How often torchrun has started the run anew, because a process of it failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def set_environment(launcher: str, port: int | None = None) -> None:
    """Have torchrun's variables in the environment, from slurm's if slurm started this process.

    Args:
        launcher: "pytorch" or "slurm".
        port: of the first machine, for slurm; without it MASTER_PORT, or 29500.
    Raises: InputError: they are not there: nothing started this process as one of several.
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
    missing = [name for name in NEEDED if name not in variables]
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
        backend: "nccl", "gloo" or None, which is nccl on a GPU; gloo without, and a warning where
            nccl was asked for.
        use_gpu: whether to use a GPU, if there is one.
        timeout: seconds that a process waits for the others; 1800.
        store: where they find each other; None is as the environment says.
    Raises: InputError: more processes than GPUs.
    """
    use_gpu = use_gpu and torch.cuda.is_available()
    if backend == "nccl" and not use_gpu:  # as option files of BasicSR say for any machine
        backend = "gloo"
        if rank() == 0:
            logger.warning("dist_params.backend is nccl, and this run uses no GPU: gloo instead")
    if use_gpu:
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if backend in (None, "nccl"):
            backend = "cpu:gloo,cuda:nccl"  # words between processes wait for no GPU
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


def largest(number: int, device: torch.device) -> int:
    """The largest number of all processes, each of which calls this.

    Args:
        device: where it is compared, if the group cannot do that on the CPU.
    """
    if not distributed.is_initialized():
        return number
    on_cpu = "cpu:" in distributed.get_backend_config()
    compared = torch.tensor(number, device="cpu" if on_cpu else device)
    distributed.all_reduce(compared, distributed.ReduceOp.MAX)
    return int(compared)


def gather(value: Any) -> list[Any]:
    """The values of all processes, by rank; of this one alone if the run has no other."""
    if not distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Wait for all processes in the end; an InputError in one is raised in all of them.

    What is inside may not communicate: one that fails would leave the others waiting.
    """
    sentence = ""
    try:
        yield
    except InputError as error:
        sentence = str(error)
    sentences = gather(sentence)
    if any(sentences):
        raise InputError(*merged(sentences))


def merged(sentences: list[str]) -> list[str]:
    """What the processes say, each line once, with the ranks of it if not all say it."""
    who: dict[str, list[str]] = {}
    for number, sentence in enumerate(sentences):
        for line in dict.fromkeys(sentence.splitlines()):
            who.setdefault(line, []).append(str(number))
    return [
        line if len(ranks) == len(sentences) else f"rank {', '.join(ranks)}: {line}"
        for line, ranks in who.items()
    ]
