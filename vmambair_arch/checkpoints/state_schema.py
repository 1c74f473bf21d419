"""The schema of training states, which are checked like options before they are used."""

import random
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

VERSION = 1  # of our states; this and earlier versions can be read

SCALER = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")

Number = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """A mapping that may have further keys: models of other packages add theirs."""

    model_config = ConfigDict(extra="allow", strict=True, arbitrary_types_allowed=True)


def _restorable(generators: dict[str, Any]) -> dict[str, Any]:
    """Try the states of random number generators on spare generators."""
    try:
        version, words, gauss = generators["python"]
        random.Random().setstate((version, tuple(words.tolist()), gauss))
        name, key, *rest = generators["numpy"]
        np.random.RandomState().set_state((name, key.numpy().astype(np.uint32), *rest))
        torch.Generator().set_state(generators["torch"])
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise ValueError("generators cannot take these states") from error
    except RuntimeError as error:  # torch's
        raise ValueError("torch's generator cannot take this state") from error
    return generators


def _scale(scaler: dict[str, Any]) -> dict[str, Any]:
    if scaler and not all(isinstance(scaler.get(key), int | float) for key in SCALER):
        raise ValueError("is not a state of a gradient scaler")
    return scaler


class Group(_Part):
    """Parameters of an optimizer, by number, and their options."""

    lr: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Tensor
    params: list[Number]


class OptimizerState(_Part):
    """The state of an optimizer of torch."""

    state: dict[Number, dict[str, Any]]
    param_groups: Annotated[list[Group], Field(min_length=1)]


class Schedule(_Part):
    """The state of a learning rate schedule."""

    last_epoch: Number


class Best(_Part):
    """The best value of a metric so far."""

    better: Literal["higher", "lower"]
    val: float
    iter: Annotated[int, Field(ge=-1)]


class Process(_Part):
    """The state of one process of the run."""

    rng: Annotated[dict[str, Any], AfterValidator(_restorable)]  # of all generators
    failures: Number  # images of this epoch that could not be used,
    images: list[str]  # and their names, each with the reason
    threads: Annotated[int, Field(ge=1)] | None = None
    model: dict[str, Any] = {}  # what the model keeps from batch to batch, such as a pool of pairs


class State(_Part):
    """A training state; BasicSR's have the first four keys."""

    epoch: Number
    iter: Number  # the last one that was trained
    optimizers: Annotated[list[OptimizerState], Field(min_length=1)]
    schedulers: Annotated[list[Schedule], Field(min_length=1)]
    version: Annotated[int, Field(ge=1, le=VERSION)] = VERSION
    seed: Number = 0
    seen: Number = 0  # images of this epoch, over all processes
    training_weights: list[list[Tensor]] = []  # per optimizer, if they differ from those to use
    scaler: Annotated[dict[str, Any], AfterValidator(_scale)] = {}  # the loss scale, in fp16
    validation_due: bool = False  # whether that at ``iter`` was cut short
    skipped: Annotated[tuple[Number, Number], Field(strict=False)] = (0, 0)  # all; last in a row
    best: dict[str, dict[str, Best]] = {}  # by data set and metric
    processes: Annotated[list[Process], Field(min_length=1)] | None = None  # by rank
    options: dict[str, Any] = {}  # those that the weights depend on
    about: dict[str, Any] = {}  # how it was made: options of networks, versions


def fault(state: Mapping[str, Any]) -> str | None:
    """What is wrong with a state's keys and values, or None."""
    try:
        State.model_validate(state)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'][0].lower()}{first['msg'][1:]}"
    return None
