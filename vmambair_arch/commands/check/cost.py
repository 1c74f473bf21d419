"""The cost of a network, by its shapes where they suffice: parameters, multiply-adds, memory."""

from collections.abc import Callable
from typing import Any, TypeVar

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
Result = TypeVar("Result")


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
    return _measured(options, lambda network: count(lambda: network(torch.zeros(shape))))


def memory(opt: dict[str, Any], shape: Shape) -> int | None:
    """Bytes to train network_g: tensors saved for the backward pass, weights and their copies.

    The copies are gradients, the optimizer's state, and the moving average if there is one. Losses,
    discriminators and the allocator's overhead are not included. None as in ``forward``, or if the
    options name no optim_g, as a third party's model may.
    """
    if not opt["train"].get("optim_g"):
        return None
    dtype = PRECISIONS[opt.get("precision", "fp32")]
    measured = _measured(
        opt["network_g"], lambda network: (_weights(network), _kept(network, shape, dtype))
    )
    if measured is None:
        return None
    weights, kept = measured
    copies = 2 + dry_runs.optimizer_copies(
        dependable(registered(MODEL_REGISTRY, opt["model_type"])), opt["train"]["optim_g"]
    )
    average = 1 if opt["train"].get("ema_decay") else 0
    return int(weights * (copies + average)) + kept


def _weights(network: nn.Module) -> int:
    """Bytes of the weights."""
    return sum(p.numel() * p.element_size() for p in network.parameters())


def _kept(network: nn.Module, shape: Shape, dtype: torch.dtype) -> int:
    """Bytes that a forward pass keeps for the backward pass, besides the weights."""
    own = {StorageWeakRef(p.untyped_storage()) for p in network.parameters()}
    kept: dict[StorageWeakRef, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if StorageWeakRef(storage) not in own:
            kept[StorageWeakRef(storage)] = storage.nbytes()
        return tensor

    with (
        torch.autocast("cpu", dtype, enabled=dtype != torch.float32),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        output = network(torch.zeros(shape))
    assert output is not None  # its graph must keep the saved tensors alive until here
    return sum(kept.values())


def _measured(options: dict[str, Any], measure: Callable[[nn.Module], Result]) -> Result | None:
    """Measure a network on fake tensors, or on real ones if it depends on values, as EDVR does.

    Returns: the result; None if a third party defines the network.
    """
    cls = registered(ARCH_REGISTRY, options["type"])
    if not known(cls):
        return None
    arguments = {key: value for key, value in options.items() if key != "type"}
    try:
        network = dry_runs.build_fake(cls, arguments)
    except (RuntimeError, TypeError):  # its constructor needs real values, as SwinIR's does
        network = dry_runs.build_real(cls, arguments)
    try:
        with dry_runs.fake_tensors(), dry_runs.silent(dry_runs.FAKES):
            return measure(network)
    except dry_runs.DEPENDS_ON_VALUES:
        return measure(dry_runs.build_real(cls, arguments))
