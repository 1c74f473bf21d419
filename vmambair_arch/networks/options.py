"""A network's options are its constructor's arguments, which it remembers as its configuration."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Constructor = TypeVar("Constructor", bound=Callable[..., None])


def remember_options(*, but: Sequence[str] = ()) -> Callable[[Constructor], Constructor]:
    """Make a constructor set ``self.config``: all its options, defaults included, fit for JSON.

    Args:
        but: options to leave out: choices of the run that do not change what the network computes.
    """

    def decorate(constructor: Constructor) -> Constructor:
        parameters = inspect.signature(constructor).parameters
        defaults = {name: p.default for name, p in parameters.items() if name not in ("self", *but)}

        @functools.wraps(constructor)
        def remembering(self: Any, **options: Any) -> None:
            constructor(self, **options)
            self.config = {
                name: _plain(options.get(name, value)) for name, value in defaults.items()
            }

        return remembering  # pyright: ignore[reportReturnType] it takes what the constructor takes

    return decorate


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
