"""A network on the device that restores with it, and memory that does not suffice for that."""

import contextlib
import copy
import os
from collections.abc import Iterator

import torch
from torch import nn

from ..errors import InputError, shortened
from ..system import memory as system_memory
from . import models


def device_named(name: str | torch.device) -> torch.device:
    """The device of that name. Raises InputError: there is no such device."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def loaded(
    model: str | os.PathLike | nn.Module | None, device: torch.device, *, compile: bool
) -> nn.Module:
    """The network on the device."""
    if isinstance(model, nn.Module):
        return model if not compile and _is_ready(model, device) else _copied(model, device)
    if not isinstance(model, str | os.PathLike | None):
        raise InputError(
            f"model is {model!r}; give one network, a file or a name (several: Chain([...]))"
        )
    return models.load(model, device)


def moved(network: nn.Module, device: str | torch.device) -> nn.Module:
    """The network itself in float32 on a device, so that a ``Restorer`` need not copy it."""
    device = device_named(device)
    with memory_of(device):
        return network.float().to(device)


def _copied(network: nn.Module, device: torch.device) -> nn.Module:
    """A copy in float32 on the device. Raises InputError: the network cannot be copied."""
    try:
        return copy.deepcopy(network).float().to(device)
    except (RuntimeError, TypeError) as error:
        if system_memory.ran_out(error):
            raise
        raise InputError(
            f"the network ({type(network).__name__}) cannot be copied: {shortened(error)}; give it"
            f" in float32 on {device}, and do not ask for compile"
        ) from error


def _is_ready(network: nn.Module, device: torch.device) -> bool:
    """Whether a network is on the device, and in float32: ``precision`` chooses what is not."""
    place = torch.empty(0, device=device).device  # "cuda" is a GPU with a number
    tensors = [*network.parameters(), *network.buffers()]
    return all(tensor.device == place for tensor in tensors) and all(
        parameter.dtype == torch.float32 for parameter in network.parameters()
    )


@contextlib.contextmanager
def memory_of(device: torch.device) -> Iterator[None]:
    """Raise an InputError if memory runs out while a network is loaded and tried."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not system_memory.ran_out(error):
            raise
        raise InputError(
            f"{device} has not enough free memory for the network and a small picture;"
            " close other programs or choose another device"
        ) from error
