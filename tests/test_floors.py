"""The floors of setup.py exclude versions with known vulnerabilities, and are respected here."""

import runpy
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement

SETUP = Path(__file__).parent.parent / "setup.py"
# The newest version with a vulnerability that ``vmambair`` could reach.
HOLES = {
    "torch": "2.9.1",
    "pillow": "12.2.0",
    "starlette": "0.49.0",
    "h11": "0.15.0",
    "opencv-python": "4.11.0.86",
    "opencv-python-headless": "4.11.0.86",
    "onnx": "1.18.0",
    "tqdm": "4.66.2",
    "pyyaml": "5.3.1",
    "pillow-heif": "1.2.1",
}


@pytest.fixture(scope="module")
def requirements() -> list[Requirement]:
    """All requirements of setup.py, with extras and for other Pythons."""
    asked = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", asked.update)
        runpy.run_path(str(SETUP))
    lists = [asked["install_requires"], *asked["extras_require"].values()]
    return [Requirement(line) for line in sum(lists, [])]


def test_no_floor_admits_a_version_with_a_known_vulnerability(requirements):
    asked = {requirement.name for requirement in requirements}
    assert asked >= HOLES.keys()
    for requirement in requirements:
        if hole := HOLES.get(requirement.name):
            assert not requirement.specifier.contains(hole), requirement


def test_packages_that_read_foreign_files_or_listen_have_a_floor(requirements):
    readers = {"numpy", "safetensors", "tifffile", "lmdb", "uvicorn", "av", *HOLES}
    for requirement in requirements:
        assert requirement.specifier or requirement.name not in readers, requirement


def test_installed_packages_respect_the_floors(requirements):
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:  # of an extra
            continue
        assert requirement.specifier.contains(installed, prereleases=True), requirement
