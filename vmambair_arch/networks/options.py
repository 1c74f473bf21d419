"""A network's options are its constructor's arguments, which it remembers as its configuration."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

Made = TypeVar("Made")
Arguments = ParamSpec("Arguments")


def remember_options(
    *, but: Sequence[str] = ()
) -> Callable[[Callable[Arguments, Made]], Callable[Arguments, Made]]:
    """Let a constructor set ``self.config``: all its options, defaults too, as JSON can hold them.

    Args:
        but: options that are choices of the run, and change nothing that the network computes.
    """

    def decorate(constructor: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
        signature = inspect.signature(constructor)

        @functools.wraps(constructor)
        def remembering(*args: Arguments.args, **options: Arguments.kwargs) -> Made:
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            network, *values = bound.arguments.items()
            made = constructor(*args, **options)
            config = {name: _plain(value) for name, value in values if name not in but}
            network[1].config = config
            return made

        return remembering

    return decorate


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
