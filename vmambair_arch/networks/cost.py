"""What a forward pass of a network costs: multiply-adds and activations."""

import math
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from ..ops import flops

Formula = Callable[..., int]


@dataclass(frozen=True)
class Cost:
    """The cost of one pass, over its whole batch.

    Args:
        products: multiply-adds in convolutions and matrix products, which torch counts.
        scans: multiply-adds in the scans, by ``ops.flops``.
        published_scans: what VMamba's code counts for them, arXiv 2401.10166; papers add it to
            multiply-adds.
        activations: elements in the outputs of convolutions, matrix products and scans.
    """

    products: int
    scans: int
    published_scans: int
    activations: int

    @property
    def multiply_adds(self) -> int:
        """All multiply-adds."""
        return self.products + self.scans


def count(run: Callable[[], Any]) -> Cost:
    """Run something, with real tensors or fake ones, and count what it costs as it is defined."""
    further = _further()
    ours = FlopCounterMode(display=False, custom_mapping=further)
    published = FlopCounterMode(display=False, custom_mapping=dict(flops.PUBLISHED))
    activations = Activations({*flop_registry, *further})
    with torch.no_grad(), _attention_in_steps(), ours, published, activations:
        run()
    counts = ours.get_flop_counts().get("Global", {})
    scans = sum(number for op, number in counts.items() if op in flops.SCANS)
    theirs = published.get_flop_counts().get("Global", {})
    return Cost(
        products=(sum(counts.values()) - scans) // 2,
        scans=scans // 2,
        published_scans=sum(number for op, number in theirs.items() if op in flops.SCANS),
        activations=activations.count,
    )


def _further() -> dict[Any, Formula]:
    """The cost of operators that torch's table lacks."""
    found: dict[Any, Formula] = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        torch.ops.aten.mkldnn_rnn_layer: _recurrent,
    }
    if hasattr(torch.ops.torchvision, "deform_conv2d"):  # once something has imported torchvision
        found[torch.ops.torchvision.deform_conv2d] = _deformable
    return found


def _recurrent(x, of_input, of_state, *_, **__) -> int:
    """The cost of a layer of an LSTM on a CPU, in one direction: two products per step."""
    length, b, _ = x
    return 2 * length * b * (math.prod(of_input) + math.prod(of_state))


def _deformable(x, weight, *_, out_shape, **__) -> int:
    """The cost of a deformable convolution: that of a convolution, without its interpolation."""
    b, _, h, w = out_shape
    return 2 * b * h * w * math.prod(weight)


def _attention(query, key, value, *_, **__) -> int:
    """The cost of attention on a CPU, which torch's table lacks: two products."""
    b, heads, length, d = query
    return 2 * b * heads * length * key[2] * (d + value[3])


@contextmanager
def _attention_in_steps() -> Iterator[None]:
    """Without the one operator that is a whole nn.MultiheadAttention: torch counts its steps."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


class Activations(TorchDispatchMode):
    """Counts the elements of the (first) outputs of some operators."""

    def __init__(self, operators: Container[Any]):
        super().__init__()
        self.operators, self.count = operators, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and count the elements of its output."""
        out = func(*args, **(kwargs or {}))
        operator = getattr(func, "_overloadpacket", func)
        if operator in self.operators:
            self.count += (out[0] if isinstance(out, tuple) else out).numel()
        return out
