"""Why a picture could not be restored, in one sentence."""

from ..errors import InputError, printable


def sentence(error: InputError | MemoryError | OSError, where: str) -> str:
    """What went wrong with a picture, led by its name.

    Args:
        error: what was raised; an OSError as its file was written.
        where: the picture.
    """
    where = printable(where)
    if isinstance(error, OSError):
        return f"{where}: cannot be written: {error}"
    if isinstance(error, MemoryError):
        error = InputError("memory does not suffice; close other programs or resize it")
    return str(error) if str(error).startswith(where) else f"{where}: {error}"
