"""spandrel loads our files and the released ones, and computes the same pixels."""

import pytest
import torch

from support.networks import TINY
from support.released_layout import fill, golden, read
from vmambair_arch import Restormer, VmambaIR, inference, load_network, save_network

spandrel = pytest.importorskip("spandrel")
pytest.importorskip("vmambair_arch.spandrel")


def network(**options) -> VmambaIR:
    torch.manual_seed(0)
    return VmambaIR(**TINY, **options).eval()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("scale", [1, 4])
def test_our_file_yields_equal_pixels(tmp_path, suffix, scale):
    ours = network(scale=scale)
    save_network(ours, tmp_path / f"network{suffix}")
    model = spandrel.ModelLoader().load_from_file(tmp_path / f"network{suffix}")
    image = torch.rand(1, 3, 13, 21)
    with torch.no_grad():
        expected = inference.run(ours, image).clamp(0, 1)
    assert torch.equal(model(image), expected)
    assert model.architecture.id == "VmambaIR"
    assert (model.scale, model.input_channels, model.output_channels) == (scale, 3, 3)
    assert model.purpose == ("SR" if scale == 4 else "Restoration")


@pytest.mark.parametrize("layout", ["sisr", "realsr", "derain32", "derain33"])
def test_a_released_file_yields_the_released_networks_output(tmp_path, layout):
    torch.save({"params": fill(read(layout)["tensors"])}, tmp_path / "released.pth")
    model = spandrel.ModelLoader().load_from_file(tmp_path / "released.pth")
    image, output = golden(layout)
    assert torch.equal(model(image), load_network(tmp_path / "released.pth")(image).clamp(0, 1))
    expected = output.clamp(0, 1)
    assert (model(image) - expected).norm() < 1e-5 * expected.norm()


def test_tiling_is_discouraged(tmp_path):
    save_network(network(), tmp_path / "network.pth")
    model = spandrel.ModelLoader().load_from_file(tmp_path / "network.pth")
    assert model.tiling is spandrel.ModelTiling.DISCOURAGED


def test_it_runs_in_bfloat16_and_declares_float16_unsupported(tmp_path):
    save_network(network(scale=2), tmp_path / "network.pth")
    model = spandrel.ModelLoader().load_from_file(tmp_path / "network.pth")
    image = torch.rand(1, 3, 16, 16)
    exact = model(image)
    rounded = model.bfloat16()(image.bfloat16())
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).norm() < 0.05 * exact.norm()
    with pytest.raises(spandrel.UnsupportedDtypeError):
        model.half()


def test_other_networks_are_left_to_spandrel(tmp_path):
    restormer = Restormer(dim=8, num_blocks=(1, 0, 0, 1), heads=(1, 1, 1, 1))
    save_network(restormer, tmp_path / "restormer.pth")
    with pytest.raises(spandrel.UnsupportedModelError):
        spandrel.ModelLoader().load_from_file(tmp_path / "restormer.pth")


def test_a_network_that_spandrel_cannot_describe_is_refused_in_a_sentence(tmp_path):
    save_network(network(dual_pixel=True, in_channels=6), tmp_path / "network.pth")
    with pytest.raises(ValueError, match="takes? two pictures at once.*load_network"):
        spandrel.ModelLoader().load_from_file(tmp_path / "network.pth")


def test_importing_it_twice_registers_it_once():
    import importlib

    import vmambair_arch.spandrel

    importlib.reload(vmambair_arch.spandrel)
    assert [arch.architecture.id for arch in spandrel.MAIN_REGISTRY].count("VmambaIR") == 1
