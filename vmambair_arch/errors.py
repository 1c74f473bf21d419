"""The errors that commands report in a sentence, their exit codes, and how to quote in it."""

import contextlib
import difflib
import signal
import unicodedata
from collections.abc import Iterable, Iterator

LINE = 160  # characters of foreign text that a sentence quotes
MAX_LENGTH = 4000  # characters of a sentence: a path can have 4096 bytes
JOINERS = "\u200c\u200d"  # in words of some scripts, and in emojis
HARMFUL = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, text direction, undecodable bytes, breaks


class Sentences(Exception):  # noqa: N818 a part of errors
    """An error of one sentence, or of several, each a line of ``str``.

    Args:
        sentences: escaped by ``printable``, so that each is a line even with a line break in a
            file's name; the middle of a very long one is left out.
    """

    def __init__(self, *sentences: str):
        super().__init__(*(_cut(printable(sentence), MAX_LENGTH) for sentence in sentences))

    def __str__(self) -> str:
        return "\n".join(self.args)


class InputError(Sentences, ValueError):
    """What was found, where, what to do. The commands print it and exit with 2."""


class TrainingError(Sentences, RuntimeError):
    """Why training cannot go on. The commands print it and exit with 1."""


class StoppedError(BaseException):
    """A signal asked the command to stop. It exits with 130 (SIGINT) or 143 (SIGTERM).

    No Exception, as KeyboardInterrupt is none, so that it is not taken for a failure of whatever it
    interrupts, such as a decoder or a trial of the network.

    Args:
        number: the signal's number.
    """

    def __init__(self, number: int):
        super().__init__(f"stopped by signal {number}")
        self.exit_code = 128 + number


def stopped_code(error: KeyboardInterrupt | StoppedError) -> int:
    """The exit code of a command that was stopped: 128 and the number of the signal."""
    return error.exit_code if isinstance(error, StoppedError) else 128 + signal.SIGINT


@contextlib.contextmanager
def naming_files() -> Iterator[None]:
    """Raise an InputError for a file that the system does not let us use.

    An OSError that names no file is passed on.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        raise InputError(
            f"{error.filename}: cannot be read or written: {error.strerror}; correct that or give"
            " another path"
        ) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known name most like this one, or nothing."""
    matches = difflib.get_close_matches(name[:80], list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def few(names: Iterable[str], limit: int = 5) -> str:
    """The first few names and the number of the others: ``a, b and 7 more``."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def first_of_each_kind(found: Iterable[tuple[str, str]], limit: int) -> list[str]:
    """The first sentences of each kind, of which the last says how many more there are.

    Args:
        found: kinds and sentences.
        limit: the number of sentences of a kind.
    """
    kinds: dict[str, list[str]] = {}
    for kind, sentence in found:
        kinds.setdefault(kind, []).append(sentence)
    more = {kind: len(same) - limit for kind, same in kinds.items() if len(same) > limit}
    for kind, number in more.items():
        kinds[kind][limit - 1] += f" (and {number} more like it)"
    return [sentence for same in kinds.values() for sentence in same[:limit]]


def printable(text: object) -> str:
    """Text, such as a file's name, as one line that is harmless in a terminal or a log.

    Escapes, line breaks, direction marks and undecodable bytes become ``\\x1b``, ``\\n``,
    ``\\u202e``, ``\\xff``.
    """
    return "".join(map(_escaped, str(text)))


def shortened(text: object, limit: int = LINE) -> str:
    """The first line of foreign text, such as a library's message, cut to ``limit`` characters."""
    return _cut(printable(next(iter(str(text).strip().splitlines()), "")), limit)


def _escaped(letter: str) -> str:
    if letter in JOINERS or unicodedata.category(letter) not in HARMFUL:
        return letter
    byte = ord(letter) - 0xDC00  # surrogateescape: Python's form of an undecodable byte
    if 0x80 <= byte <= 0xFF:
        return f"\\x{byte:02x}"
    return letter.encode("unicode_escape").decode()


def _cut(text: str, limit: int) -> str:
    """The beginning and the end of a long text: what was found comes first, what to do last."""
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
