"""What a killed command left half written is removed by the next one that writes there."""

from pathlib import Path

import pytest

from support import OPTIONS, picture_files as files
from support.networks import TINY
from vmambair_arch import VmambaIR, cli, save_network

RECIPE = str(OPTIONS / "train_vmambair_clean.yml")


@pytest.fixture
def networks(empty_folder) -> None:
    files.saved_identity(Path(), 1)
    save_network(VmambaIR(**TINY, gate="gelu"), "gelu.pth")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("restore", ["gt", "-o", "out", "-m", "identity_x1.safetensors"]),
        ("degrade", ["gt", "out", "-opt", RECIPE]),
        ("compare", ["gt", "gt", "-o", "out"]),
        ("prepare", ["gt", "out"]),
        ("convert", ["gelu.pth", "out/released.pth"]),
    ],
)
def test_it_is_removed(command, arguments, pairs, networks):
    Path("gt").symlink_to(pairs / "gt")
    Path("out").mkdir()
    half, other = Path("out/.a.png.1.0123456789abcdef.tmp"), Path("out/.a.png.tmp")
    half.touch(), other.touch()
    assert cli.vmambair([command, *arguments]) == 0
    assert other.exists() and not half.exists()
