"""Digests of files, which recognise them in another place and at another time."""

import hashlib
from pathlib import Path

BLOCK = 1 << 20  # bytes read at once


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits.

    Raises: OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
