"""The cost of a network, from its shapes alone: parameters, multiply-adds, memory to train."""

from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY, MODEL_REGISTRY
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from ...models.build import dependable
from ...networks.cost import Cost, count
from ...option_files import dry_runs
from ...option_files.schemas.families import known, registered
from ...system.gpu_libraries import PRECISIONS

Shape = tuple[int, ...]


def parameters(network: nn.Module) -> int:
    """The number of parameters, trainable or frozen."""
    return sum(parameter.numel() for parameter in network.parameters())


def forward(options: dict[str, Any], shape: Shape) -> Cost | None:
    """Multiply-adds and activations of a forward pass.

    Args:
        options: the network's section of an option file.
        shape: of its input.
    Returns: the cost; None if a third party defines the network, which may need a GPU.
    """
    network = _build(options)
    if network is None:
        return None
    with dry_runs.fake_tensors():
        return count(lambda: network(torch.empty(shape)))


def memory(opt: dict[str, Any], shape: Shape) -> int | None:
    """Bytes to train network_g: tensors saved for the backward pass, weights and their copies.

    The copies are gradients, the optimizer's state, and the moving average if there is one. Losses,
    discriminators and the allocator's overhead are not included. None as in ``forward``.
    """
    network = _build(opt["network_g"])
    if network is None:
        return None
    own = {StorageWeakRef(p.untyped_storage()) for p in network.parameters()}
    kept: dict[StorageWeakRef, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if StorageWeakRef(storage) not in own:
            kept[StorageWeakRef(storage)] = storage.nbytes()
        return tensor

    dtype = PRECISIONS[opt.get("precision", "fp32")]
    with (
        dry_runs.fake_tensors(),
        torch.autocast("cpu", dtype, enabled=dtype != torch.float32),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        output = network(torch.empty(shape))
    assert output is not None  # its graph must keep the saved tensors alive until here
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    copies = 2 + dry_runs.optimizer_copies(
        dependable(registered(MODEL_REGISTRY, opt["model_type"])), opt["train"]["optim_g"]
    )
    average = 1 if opt["train"].get("ema_decay") else 0
    return int(weights * (copies + average)) + sum(kept.values())


def _build(options: dict[str, Any]) -> nn.Module | None:
    cls = registered(ARCH_REGISTRY, options["type"])
    if not known(cls):
        return None
    arguments = {key: value for key, value in options.items() if key != "type"}
    try:
        return dry_runs.build_fake(cls, arguments)
    except (RuntimeError, TypeError):  # its constructor needs real values, as SwinIR's does
        return dry_runs.build_real(cls, arguments)
