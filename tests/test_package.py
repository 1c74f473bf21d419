"""The metadata in setup.py, and the contents of a wheel."""

import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).parents[1]


def metadata(monkeypatch) -> dict:
    """What setup.py passes to setuptools."""
    asked = {}
    monkeypatch.setattr(setuptools, "setup", asked.update)
    runpy.run_path(str(ROOT / "setup.py"))
    return asked


def test_the_page_of_a_release_has_no_relative_links(monkeypatch):
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.org")
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    asked = metadata(monkeypatch)
    addresses = re.findall(r"\]\((.*?)\)", asked["long_description"])
    assert addresses and all(address.startswith("https://") for address in addresses)
    version = asked["version"]
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", asked["long_description"])
    assert len(pictures) == 5
    for picture in pictures:
        _, path = picture.split(f"https://example.org/owner/name/raw/v{version}/")
        assert (ROOT / path).is_file()
    assert asked["project_urls"]["Issues"] == "https://example.org/owner/name/issues"


def test_the_metadata_names_the_pythons_the_licence_and_the_paper(monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    asked = metadata(monkeypatch)
    for minor in range(10, 15):
        assert f"Programming Language :: Python :: 3.{minor}" in asked["classifiers"]
    assert asked["license"] == "Apache-2.0" and asked["license_files"] == ["LICENSE"]
    assert asked["project_urls"] == {"Paper": "https://arxiv.org/abs/2403.11423"}
    assert asked["author"] and asked["keywords"]


def test_a_wheel_holds_the_recipes_and_copies_them(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in ("vmambair_arch", "options"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-cache-dir"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode:
        pytest.skip("pip is not in this environment")
    offline = ("--no-deps", "--no-build-isolation", "--no-index")
    subprocess.run([*pip, "wheel", *offline, "-w", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    code = "from vmambair_arch import cli; cli.vmambair(['options', '--copy', 'mine'])"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {code}"]
    subprocess.run(command, cwd=tmp_path, check=True)
    recipes = sorted(path.name for path in (ROOT / "options").glob("*.yml"))
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == recipes
    assert str(target) in (tmp_path / "mine" / recipes[0]).read_text()
    assert list(target.glob("*.dist-info/licenses/LICENSE"))
