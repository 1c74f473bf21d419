"""vmambair install-basicsr: BasicSR from its registry's own source, mended so that it builds.

BasicSR 1.4.2 is the last release, and its setup.py fails on Python 3.13 and later.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from ..errors import InputError
from ..system import terminal

RELEASE = "basicsr==1.4.2"
# exec no longer writes into locals() since Python 3.13 (PEP 667).
BROKEN = "return locals()['__version__']"
MENDED = "return open('VERSION').read().strip()"
# The build needs these for its CUDA extensions alone, which are not built.
SETUP_REQUIRES = "setup_requires=['cython', 'numpy', 'torch'],"
UNUSED = ("future",)  # nothing imports it
REPLACED = {"tb-nightly": "tensorboard"}  # the same modules, released
OPENCV = tuple(f"opencv-{kind}" for kind in ("python", "python-headless", "contrib-python"))
LINES = 15  # of pip's, that are shown when it fails


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "install BasicSR, which training needs, on any Python from 3.10 on"
    command = commands.add_parser(
        "install-basicsr",
        help=description,
        description=f"{description}: pip fetches the source of {RELEASE}, whose build fails on"
        " Python 3.13 and later, and installs it with that line replaced. Where BasicSR is"
        " installed, nothing is done.",
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if importlib.util.find_spec("basicsr"):
        terminal.say("BasicSR is installed already")
        return
    if not importlib.util.find_spec("pip"):
        raise InputError("pip is not in this environment; run: python -m ensurepip")
    with tempfile.TemporaryDirectory(prefix="vmambair-basicsr-") as folder:
        source = fetch(Path(folder))
        mend(source)
        terminal.say(f"installs {RELEASE}")
        done = _pip("install", str(source))
        if done.returncode:
            raise InputError(f"{RELEASE} cannot be installed; pip says:", *_last(done))
    terminal.say("BasicSR is installed")


def fetch(folder: Path) -> Path:
    """The source of the release, which pip fetches, checks and unpacks.

    Args:
        folder: where to put it.
    Raises: InputError: pip cannot get it.
    """
    # pip unpacks a source to ask it for its metadata. That fails where the build is broken, and is
    # no failure here: what was unpacked stays, because of --no-clean.
    done = _pip(
        *("download", "--no-clean", "--no-deps", "--no-binary", "basicsr", "--no-build-isolation"),
        *("--no-cache-dir", "--dest", str(folder), RELEASE),
        temporary=folder,
    )
    found = list(folder.glob("*/basicsr*/setup.py"))
    if not found:
        sentence = f"the source of {RELEASE} cannot be fetched; pip says:"
        raise InputError(sentence, *_last(done))
    return found[0].parent


def mend(source: Path) -> None:
    """Replace what does not build, and the requirements that are not needed or not the best.

    Args:
        source: the unpacked source.
    Raises: InputError: it is not the release that is known here.
    """
    setup, requirements = source / "setup.py", source / "requirements.txt"
    script = setup.read_text("utf-8")
    for line in (BROKEN, SETUP_REQUIRES):
        if script.count(line) != 1:
            raise InputError(f"{setup.name} of {RELEASE} is not the one known here: no {line}")
    script = script.replace(BROKEN, MENDED).replace(SETUP_REQUIRES, "")
    setup.write_text(script, "utf-8")
    replaced = {**REPLACED, "opencv-python": _opencv()}
    needed = [line.strip() for line in requirements.read_text("utf-8").splitlines()]
    kept = [replaced.get(line, line) for line in needed if line and line not in UNUSED]
    requirements.write_text("\n".join(kept), "utf-8")


def _opencv() -> str:
    """The distribution of OpenCV that is installed, or the one that needs no display."""
    installed = {(entry.metadata["Name"] or "").lower() for entry in metadata.distributions()}
    return next((name for name in OPENCV if name in installed), "opencv-python-headless")


def _pip(*arguments: str, temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if temporary is not None:
        environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def _last(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The last lines that a process wrote."""
    return (done.stdout + done.stderr).strip().splitlines()[-LINES:]
