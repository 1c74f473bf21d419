"""vmambair convert and export take the names that restore takes."""

import resource
from pathlib import Path

import pytest

from vmambair_arch import VmambaIR, cli, load_network, save_network, weights

TINY = {"dim": 4, "num_blocks": (0, 0, 0, 1), "num_refinement_blocks": 0, "d_state": 1}


def test_a_network_of_the_cache_folder_is_converted_by_its_name(
    empty_folder, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "vmambair").mkdir()
    network = VmambaIR(**TINY, scale=4, gate="gelu")
    save_network(network, tmp_path / "vmambair/sisr_x4.pth")
    assert cli.vmambair(["convert", "sisr_x4", "released.pth"]) == 0
    assert cli.vmambair(["convert", "released.pth", "ours.pth"]) == 0
    assert load_network("ours.pth").config == network.config


def test_a_file_that_fills_the_disk_is_reported_and_removed(empty_folder, capsys):
    """Simulated by a limit on file sizes; torch.save reports neither as an OSError."""
    save_network(VmambaIR(**{**TINY, "dim": 16}, scale=4, gate="gelu"), "in.pth")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path("in.pth").stat().st_size // 2, limits[1]))
    try:
        assert cli.vmambair(["convert", "in.pth", "out.pth"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "out.pth: cannot be read or written: File too large" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["in.pth"]


def test_a_bundled_network_is_exported_by_its_name(empty_folder, capsys):
    command = ["export", weights.DEFAULT, "out.onnx", "--size", "18", "16"]
    assert cli.vmambair(command) == 2  # found once the network is read
    assert "multiples of 4" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["convert", "export"])
def test_an_unknown_name_is_answered_with_the_known_names(command, empty_folder, capsys):
    assert cli.vmambair([command, "tiny_x5", "out.onnx"]) == 2
    assert f"nor a bundled network ({weights.DEFAULT}" in capsys.readouterr().err
