"""Dry runs of what an option file describes, without its data: does it build, do the shapes fit.

Networks run on fake tensors, which have shapes but no values: the largest takes milliseconds. Each
function returns a sentence that says what is wrong, or None.
"""

import contextlib
import functools
import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.nn.modules import module as hooks

from ..models import optimizer_modes
from ..models.losses.gan import RelativisticGANLoss

FAKES = "torch._subclasses.fake_tensor"  # a logger: an error is logged, then raised
# What a network raises on fake tensors if it depends on their values.
DEPENDS_ON_VALUES = DataDependentOutputException, DynamicOutputShapeException
MAX_PARAMETERS = 10**10
MAX_REAL_PARAMETERS = 3 * 10**8  # parameters that a dry run puts into memory
MAX_LAYERS = 20_000
MAX_BLOCKS = 1000
TOO_LARGE = "it has more than"
# Options that count identical blocks: a dry run builds one, and this many at later levels.
DEPTHS = {"num_blocks": 0, "num_refinement_blocks": 0, "num_block": 1, "depths": 1}

Shape = tuple[int, ...]


def memoized(function: Callable) -> Callable:
    """Cache results by the arguments' JSON: a file's sections are dictionaries."""
    results: dict[tuple[Callable, str], Any] = {}

    @functools.wraps(function)
    def call(target: Callable, *arguments: Any) -> Any:
        key = target, json.dumps(arguments)
        if key not in results:
            results[key] = function(target, *arguments)
        return results[key]

    return call


@memoized
def network(
    cls: Callable, options: Mapping[str, Any], lq: Shape, gt: Shape | None, source: str
) -> str | None:
    """Build a network and run it on an image.

    Args:
        cls: the registered class or function.
        options: its section of the option file.
        lq: the shape of its input; empty to build it only.
        gt: the shape that its output must have, if that is known.
        source: the options that give the input's size, for messages.
    """
    arguments = {key: value for key, value in options.items() if key != "type"}
    shallow = dict(arguments)
    for key in DEPTHS.keys() & arguments.keys():
        depths = arguments[key] if isinstance(arguments[key], list) else [arguments[key]]
        if max(depths, default=0) > MAX_BLOCKS:
            return f"{key} is {arguments[key]}: more than {MAX_BLOCKS} blocks"
        least = [min(n, DEPTHS[key] if place else 1) for place, n in enumerate(depths)]
        shallow[key] = least if isinstance(arguments[key], list) else least[0]
    wrong = _try(cls, shallow, lq, gt, source)
    if wrong and any(key in wrong for key in DEPTHS):  # the message must name the file's values
        return _try(cls, arguments, lq, gt, source)
    return wrong


def _try(
    cls: Callable, arguments: dict[str, Any], lq: Shape, gt: Shape | None, source: str
) -> str | None:
    wrong = _attempt(build_fake, cls, arguments, lq, gt, source)
    if wrong is None or TOO_LARGE in wrong:
        return wrong
    wrong_for_real = _attempt(build_real, cls, arguments, lq, gt, source)  # are fakes the cause?
    return wrong if wrong_for_real and TOO_LARGE in wrong_for_real else wrong_for_real


def _attempt(
    build: Callable, cls: Callable, arguments: dict, lq: Shape, gt: Shape | None, source: str
) -> str | None:
    try:
        built = build(cls, arguments)
    except Exception as error:  # a constructor may raise anything for a wrong value
        return f"cannot be built: {one_line(error)}"
    if not any(parameter.requires_grad for parameter in built.parameters()):
        return "has nothing to train"
    if not lq:
        return None
    try:
        with fake_tensors(), torch.no_grad(), silent(FAKES):
            made = tuple(built(torch.empty(lq)).shape)
    except DEPENDS_ON_VALUES:
        return None
    except Exception as error:  # as above
        return f"cannot run on an input of {_size(lq)} ({source}): {one_line(error)}"
    if gt and made != tuple(gt):
        return (
            f"turns {_size(lq)} ({source}) into {_size(made)}, but the ground truth has"
            f" {_size(gt)}: its scale and channels must match the data"
        )
    return None


@functools.cache
def fake_tensors() -> FakeTensorMode:
    """The context in which tensors have shapes but no values; real ones may be mixed in."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def build_fake(cls: Callable, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network whose parameters have no values, for ``fake_tensors``."""
    with limited(MAX_PARAMETERS), torch.device("meta"):
        built = cls(**arguments)
    with fake_tensors():
        for module in built.modules():
            for tensors in (module._parameters, module._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None and tensor.is_meta:
                        tensors[name] = _unreal(tensor)
    return built


def _unreal(tensor: Tensor) -> Tensor:
    """A fake CPU tensor like one on the meta device, where not everything runs."""
    fake = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    is_parameter = isinstance(tensor, nn.Parameter)
    return nn.Parameter(fake, tensor.requires_grad) if is_parameter else fake


def build_real(cls: Callable, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network, unless it is large, without changing the random number generators."""
    with limited(MAX_REAL_PARAMETERS), torch.random.fork_rng(devices=[]):
        return cls(**arguments)


@contextlib.contextmanager
def limited(most_parameters: int) -> Iterator[None]:
    """Stop the construction of a network that would be too large."""
    counts = {"layers": 0, "parameters": 0}

    def layer(*_: Any) -> None:
        counts["layers"] += 1
        if counts["layers"] > MAX_LAYERS:
            raise ValueError(f"{TOO_LARGE} {MAX_LAYERS} layers")

    def parameter(_: nn.Module, __: str, tensor: Tensor | None) -> None:
        counts["parameters"] += tensor.numel() if tensor is not None else 0
        if counts["parameters"] > most_parameters:
            raise ValueError(f"{TOO_LARGE} {most_parameters:,} parameters")

    handles = [
        hooks.register_module_module_registration_hook(layer),
        hooks.register_module_parameter_registration_hook(parameter),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def silent(name: str) -> Iterator[None]:
    """Silence a logger, for an error that is reported as a sentence."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


@memoized
def loss(cls: Callable, options: Mapping[str, Any], place: str, side: int) -> str | None:
    """Apply a loss to images of side x side as a model does at its place.

    The place is pixel_opt, perceptual_opt, gan_opt, or losses, which are of the first two kinds.
    """
    output = torch.full((1, 3, side, side), 0.25, requires_grad=True)
    try:
        criterion = cls(**{key: value for key, value in options.items() if key != "type"})
        if isinstance(criterion, RelativisticGANLoss):
            value = criterion(output, output.detach(), is_disc=True)
        elif place == "gan_opt":
            for real in (True, False):
                value = criterion(output, real, is_disc=not real)
        elif place == "perceptual_opt":
            value, _ = criterion(output, torch.zeros_like(output))
        else:
            value = criterion(output, torch.zeros_like(output))
            if place == "losses" and isinstance(value, tuple):
                value = value[0]
        value.backward()
    except Exception as error:  # as above
        return f"cannot be the loss of {place}: {one_line(error)}"
    return None


@memoized
def metric(function: Callable, options: Mapping[str, Any]) -> str | None:
    """Measure two images, if the metric compares images."""
    given = {key: value for key, value in options.items() if key != "type"}
    if "img2" not in inspect.signature(function).parameters or given.get("crop_border", 0) > 64:
        return None
    image = np.zeros((2 * given.get("crop_border", 0) + 16,) * 2 + (3,), np.uint8)
    try:
        float(function(img=image, img2=image + np.uint8(1), **given))
    except Exception as error:  # as above
        return f"cannot measure images of (height, width, channel): {one_line(error)}"
    return None


@memoized
def optimizer(model: Any, options: Mapping[str, Any]) -> str | None:
    """Build an optimizer as a model does, and take a step."""
    try:
        _optimizer(object.__new__(model), options).step()
    except Exception as error:  # as above
        return f"makes no optimizer for {model.__name__}: {one_line(error)}"
    return None


def optimizer_copies(model: Any, options: Mapping[str, Any]) -> float:
    """How many numbers an optimizer keeps per parameter."""
    made = _optimizer(object.__new__(model), options)
    made.step()
    kept = [tensor for state in made.state.values() for tensor in state.values()]
    numbers = sum(t.numel() for t in kept if isinstance(t, Tensor) and t.dim())
    return numbers / sum(p.numel() for group in made.param_groups for p in group["params"])


@memoized
def scheduler(model: Any, train: Mapping[str, Any]) -> str | None:
    """Build the schedulers as a model does, and ask for learning rates along the way."""
    dry = object.__new__(model)
    dry.opt = {"train": deepcopy(train)}
    dry.optimizers, dry.schedulers = [_optimizer(dry, train["optim_g"])], []
    try:
        dry.setup_schedulers()
        for made in dry.schedulers:
            for iteration in (1, train["total_iter"] // 2, train["total_iter"] - 1):
                made.last_epoch = iteration
                if not all(0 <= float(rate) < float("inf") for rate in made.get_lr()):
                    raise ValueError(f"at iteration {iteration} the learning rate is impossible")
    except Exception as error:  # as above
        return f"makes no scheduler for {model.__name__}: {one_line(error)}"
    return None


def _optimizer(dry: Any, options: Mapping[str, Any]) -> torch.optim.Optimizer:
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,), (2, 2, 3, 3))]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    given = dict(options)
    made = dry.get_optimizer(given.pop("type"), parameters, **given)
    optimizer_modes.train(made)
    return made


def one_line(error: Exception) -> str:
    """The beginning of an error's message, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 240 else text[:237] + "..."


def _size(shape: Sequence[int]) -> str:
    """(1, 3, 64, 72) as ``3 x 64 x 72``."""
    return " x ".join(str(size) for size in shape[1:])
