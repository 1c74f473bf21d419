"""A model's networks, shared by the processes of a run, and taken out of their wrappers."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def shared(net: nn.Module, device: torch.device, *, find_unused_parameters: bool) -> nn.Module:
    """A network on the device whose gradients are averaged over the processes.

    BasicSR's method works on GPUs only. A network with nothing to train is not wrapped.
    """
    net = net.to(device)
    if not any(parameter.requires_grad for parameter in net.parameters()):
        return net
    # The gradient of a depthwise convolution has its own layout; the copy is small.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return DistributedDataParallel(
        net,
        device_ids=[torch.cuda.current_device()] if device.type == "cuda" else None,
        find_unused_parameters=find_unused_parameters,
    )


@contextlib.contextmanager
def unsynchronized(model: Any, wanted: bool) -> Iterator[None]:
    """If wanted, a model's processes do not exchange gradients within it."""
    with contextlib.ExitStack() as stack:
        for network in vars(model).values() if wanted else ():
            if isinstance(network, DistributedDataParallel):
                stack.enter_context(network.no_sync())
        yield


@contextlib.contextmanager
def bare_networks(model: Any) -> Iterator[None]:
    """Unwrap a model's networks: the wrappers expect all processes to take part in each forward."""
    wrapped = {k: v for k, v in vars(model).items() if isinstance(v, DistributedDataParallel)}
    for name, network in wrapped.items():
        setattr(model, name, network.module)
    try:
        yield
    finally:
        for name, network in wrapped.items():
            setattr(model, name, network)
