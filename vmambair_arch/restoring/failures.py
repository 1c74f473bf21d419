"""Why a picture could not be restored, in one sentence."""

from ..errors import InputError, printable


def sentence(error: InputError | MemoryError | OSError, where: str) -> str:
    """A sentence on a picture's failure that begins with its name.

    Args:
        error: the exception; an OSError was raised while writing the file.
        where: the picture.
    """
    where = printable(where)
    if isinstance(error, OSError):
        return f"{where}: cannot be written: {error.strerror or error}"
    if isinstance(error, MemoryError):
        error = InputError("not enough memory; close other programs or resize it")
    return str(error) if str(error).startswith(where) else f"{where}: {error}"
