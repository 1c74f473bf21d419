"""vmambair install-basicsr: BasicSR from its published source, patched so that it builds.

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
# Since Python 3.13 exec no longer writes into locals() (PEP 667).
BROKEN_LINE = "return locals()['__version__']"
FIXED_LINE = "return open('VERSION').read().strip()"
# Only the CUDA extensions, which are not built, need these.
SETUP_REQUIRES = "setup_requires=['cython', 'numpy', 'torch'],"
UNUSED = ("future",)  # nothing imports it
REPLACED = {"tb-nightly": "tensorboard"}  # the same modules, released
OPENCV = tuple(f"opencv-{kind}" for kind in ("python", "python-headless", "contrib-python"))
LINES = 15  # of pip's output, shown when it fails


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "install BasicSR, which training needs, on any Python from 3.10 on"
    command = commands.add_parser(
        "install-basicsr",
        help=description,
        description=f"{description}: pip fetches the source of {RELEASE}, whose build fails on"
        " Python 3.13 and later, and installs it with the failing line replaced. Does nothing if"
        " BasicSR is installed.",
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
        terminal.say(f"installing {RELEASE}")
        done = _pip("install", str(source))
        if done.returncode:
            raise InputError(f"{RELEASE} cannot be installed; pip says:", *_last(done))
    terminal.say("BasicSR is installed")


def fetch(folder: Path) -> Path:
    """Have pip fetch, check and unpack the release; returns its folder.

    Args:
        folder: where to put it.
    Raises: InputError: pip cannot get it.
    """
    # pip unpacks a source to get its metadata. That fails where the build is broken, which does not
    # matter here: with --no-clean the unpacked files stay.
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
    """Replace the code that does not build, and drop or replace requirements.

    Args:
        source: the unpacked source.
    Raises: InputError: it is not the expected release.
    """
    setup, requirements = source / "setup.py", source / "requirements.txt"
    script = setup.read_text("utf-8")
    for line in (BROKEN_LINE, SETUP_REQUIRES):
        if script.count(line) != 1:
            raise InputError(f"{setup.name} of {RELEASE} is not as expected: no {line}")
    script = script.replace(BROKEN_LINE, FIXED_LINE).replace(SETUP_REQUIRES, "")
    setup.write_text(script, "utf-8")
    replaced = {**REPLACED, "opencv-python": _opencv()}
    needed = [line.strip() for line in requirements.read_text("utf-8").splitlines()]
    kept = [replaced.get(line, line) for line in needed if line and line not in UNUSED]
    requirements.write_text("\n".join(kept), "utf-8")


def _opencv() -> str:
    """The installed OpenCV distribution, or else the one that needs no display."""
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
