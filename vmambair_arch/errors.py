"""The errors that the commands answer with one sentence, their exit codes, and a hint."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What was found, where, what to do; a sentence, or several in lines of their own.

    The commands print them and exit with 2.
    """


class TrainingError(RuntimeError):
    """Why training cannot go on. The commands print it and exit with 1."""


class StoppedError(Exception):
    """A signal asked training to stop. The commands exit with 130 (SIGINT) or 143 (SIGTERM).

    Args:
        number: the signal's number.
    """

    def __init__(self, number: int):
        super().__init__(f"stopped by signal {number}")
        self.exit_code = 128 + number


def cut(text: str, most: int = 200) -> str:
    """A text for a message, ``...`` in the place of what goes beyond the most characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known name most like this one, or nothing."""
    matches = difflib.get_close_matches(name[:80], list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
