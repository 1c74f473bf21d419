"""The node package in a stand-in for ComfyUI, which imports, loads and tiles as ComfyUI does."""

import importlib.util
import sys
from types import ModuleType

import pytest
import torch

from support.networks import TINY
from support.pages import ROOT
from vmambair_arch import VmambaIR, inference, save_network

spandrel = pytest.importorskip("spandrel")
PACKAGE = ROOT / "integrations/comfyui"


@pytest.fixture
def package(monkeypatch) -> ModuleType:
    """The package, imported under ComfyUI's name for it, with a fresh spandrel."""
    monkeypatch.setattr(spandrel, "MAIN_REGISTRY", spandrel.ArchRegistry())
    monkeypatch.delitem(sys.modules, "vmambair_arch.spandrel", raising=False)
    name = str(PACKAGE).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, PACKAGE / "__init__.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def load_upscale_model(path):
    """ComfyUI's "Load Upscale Model": spandrel's model from a file of tensors."""
    state = torch.load(path, weights_only=True)
    model = spandrel.ModelLoader(registry=spandrel.MAIN_REGISTRY).load_from_state_dict(state).eval()
    assert isinstance(model, spandrel.ImageModelDescriptor)
    return model


@pytest.fixture
def network(tmp_path) -> tuple[VmambaIR, str]:
    torch.manual_seed(0)
    made = VmambaIR(**TINY, scale=2).eval()
    save_network(made, tmp_path / "network.pth")
    return made, str(tmp_path / "network.pth")


def test_comfyui_loads_our_networks_and_runs_them(package, network):
    ours, path = network
    model = load_upscale_model(path)
    image = torch.rand(1, 13, 21, 3)  # ComfyUI's: (b, h, w, c)
    with torch.no_grad():
        made = model(image.movedim(-1, -3)).movedim(-3, -1)
        expected = inference.run(ours, image.movedim(-1, -3)).clamp(0, 1).movedim(-3, -1)
    assert model.scale == 2
    assert torch.equal(made, expected)


def test_its_node_restores_a_batch_whole(package, network):
    ours, path = network
    node = package.NODE_CLASS_MAPPINGS["VmambaIRRestoreWhole"]
    assert node.INPUT_TYPES()["required"] == {
        "upscale_model": ("UPSCALE_MODEL",),
        "image": ("IMAGE",),
    }
    assert package.NODE_DISPLAY_NAME_MAPPINGS.keys() == package.NODE_CLASS_MAPPINGS.keys()
    images = torch.rand(2, 13, 21, 3)
    (made,) = getattr(node(), node.FUNCTION)(load_upscale_model(path), images)
    assert made.shape == (2, 26, 42, 3)
    with torch.no_grad():
        expected = inference.run(ours, images.movedim(-1, -3)).clamp(0, 1).movedim(-3, -1)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)


def test_what_it_installs_is_our_extra():
    assert (PACKAGE / "requirements.txt").read_text().split() == ["vmambair-arch[spandrel]"]
