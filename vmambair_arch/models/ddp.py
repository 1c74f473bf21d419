"""A model's networks, shared by the processes of a run, and taken out of their wrappers."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from basicsr.models.base_model import BaseModel
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class SharedNetworks(BaseModel):
    """A mixin placed after the model class, in BaseModel's place: the model's overrides win."""

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Move a network to the device; its gradients are averaged over the processes.

        BasicSR's method works on GPUs only. A network with nothing to train is not wrapped.
        """
        if not self.opt["dist"]:
            return super().model_to_device(net)
        net = net.to(self.device)
        if not any(parameter.requires_grad for parameter in net.parameters()):
            return net
        # The gradient of a depthwise convolution has its own layout; the copy is small.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        return DistributedDataParallel(
            net,
            device_ids=[torch.cuda.current_device()] if self.device.type == "cuda" else None,
            find_unused_parameters=self.opt.get("find_unused_parameters", False),
        )


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
