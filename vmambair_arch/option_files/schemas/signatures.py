"""pydantic models from signatures: the options of a network, loss, metric or optimizer.

A parameter's type is its annotation; without one, the docstring's, as in ``name (int): ...``;
without either, the type of its default. Its meaning is taken from the docstring.
"""

import functools
import inspect
import operator
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from ...option_values.kinds import Count, CountOrZero, NotNegative
from .families import known

SCALARS = (int, float, str, bool, type(None))
DOCUMENTED = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
# A line of a docstring's Args, such as ``dim, width (int): channels of ...``, and its continuation.
ARGUMENT = re.compile(r"^ +(\w+(?:, \w+)*)(?: \((\w+)[^)]*\))?: +(.*(?:\n {6,}.*)*)", re.MULTILINE)
GIVEN = ("self", "params", "optimizer", "img", "img2")  # by the program, not by the option file
# Names whose values have bounds that signatures do not show.
BOUNDED = {
    "loss_weight": NotNegative,
    "perceptual_weight": NotNegative,
    "style_weight": NotNegative,
    "crop_border": CountOrZero,
    "input_order": Literal["HWC"],  # what BasicSR's models pass to metrics
    "convert_to": Literal["y", "gray"],
    "milestones": list[Count],
    "periods": Annotated[list[Count], Field(min_length=1)],
}


@functools.cache
def model(function: Callable, *also: str) -> type[BaseModel]:
    """Make the model of a class's or function's options in an option file.

    Args:
        function: the class or function. Its ``**kwargs`` allow any keys if it is a third party's;
            in BasicSR they would hide misspelt keys.
        also: further allowed names.
    """
    fields: dict[str, Any] = dict.fromkeys(("type", *also), (Any, None))
    extra = "forbid"
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = "forbid" if known(function) else "allow"
        elif parameter.kind is not parameter.VAR_POSITIONAL and name not in GIVEN:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (_type(function, name, default), default)
    config = ConfigDict(extra=extra, strict=True, allow_inf_nan=False, protected_namespaces=())
    aliased: dict[str, Any] = {
        # Any name, BaseModel's own included.
        f"field_{number}": (kind, Field(default, alias=name, description=_meaning(function, name)))
        for number, (name, (kind, default)) in enumerate(fields.items())
    }
    return create_model(function.__name__, __config__=config, **aliased)


def _type(function: Callable, name: str, default: Any) -> Any:
    if name in BOUNDED:
        return BOUNDED[name]
    hints = _hints(function)
    if name in hints:
        kind = _plain(hints[name])
    else:
        kind = _documented(function, name)
        if default is not ... and not _fits(default, kind):
            kind = _like(default)
    return kind | None if default is None and kind is not Any else kind


@functools.cache
def _hints(function: Callable) -> dict[str, Any]:
    constructor = function.__init__ if isinstance(function, type) else function
    try:
        return get_type_hints(constructor)
    except (NameError, TypeError):  # annotations that only a type checker can read
        return {}


def _plain(annotation: Any) -> Any:
    """The part of an annotation that YAML can express; Any if there is none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in SCALARS or origin is Literal:
        return annotation
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in map(_plain, arguments) if kind is not Any]
        return functools.reduce(operator.or_, kinds) if kinds else Any
    if origin is tuple and arguments:
        return Annotated[
            tuple[tuple(_plain(a) if a is not ... else ... for a in arguments)], Field(strict=False)
        ]
    if origin in (list, Sequence):
        return list[_plain(arguments[0])]
    return dict[str, Any] if {annotation, origin} & {dict, Mapping} else Any


@functools.cache
def _docstring(function: Callable) -> dict[str, tuple[str, str]]:
    """The type, if given, and the meaning of each name that a docstring explains."""
    constructor = function.__init__ if isinstance(function, type) else None
    found = {}
    for text in map(inspect.getdoc, (function, constructor)):
        for names, kind, meaning in ARGUMENT.findall(text or ""):
            about = kind, re.sub(r"\s+", " ", meaning).removesuffix(".")
            found |= dict.fromkeys(names.split(", "), about)
    return found


def _documented(function: Callable, name: str) -> Any:
    return DOCUMENTED.get(_docstring(function).get(name, ("", ""))[0], Any)


def _meaning(function: Callable, name: str) -> str | None:
    return _docstring(function).get(name, ("", ""))[1] or None


def _fits(default: Any, kind: Any) -> bool:
    if kind is Any or default is None:
        return kind is not Any
    return type(default) is kind or (kind is float and type(default) is int)


def _like(default: Any) -> Any:
    """The type of values like a default: any number for a number, since 1 often means 1.0."""
    if isinstance(default, bool | str):
        return type(default)
    if isinstance(default, int | float):
        return float
    if isinstance(default, list | tuple):
        items = {_like(item) for item in default}
        return list[items.pop()] if len(items) == 1 else list
    return dict[str, Any] if isinstance(default, dict) else Any
