"""The bundled networks, by name, and their purposes.

To add a network, put NAME.safetensors into this folder and add a line here. It may have the
name of a preset; see ``restoring.models``.
"""

import contextlib
from importlib import resources
from pathlib import Path

from ..errors import InputError

PURPOSES = {
    "tiny_x4": "enlarges sharp pictures without noise, x4",
    "tiny_x2": "enlarges sharp pictures without noise, x2",
    "real_x4": "enlarges blurred, noisy and compressed photographs, x4",
    "derain": "removes rain streaks, and keeps the size",
    "clean": "removes JPEG artefacts and noise, and keeps the size",
}
DEFAULT = "tiny_x4"


def file(name: str) -> contextlib.AbstractContextManager[Path]:
    """The file of a bundled network, which exists while the context lasts.

    Raises: InputError: it is missing from the package.
    """
    found = resources.files(__name__) / f"{name}.safetensors"
    if not found.is_file():
        raise InputError(f"{found}: the bundled network is missing; give a model (-m FILE)")
    return resources.as_file(found)
