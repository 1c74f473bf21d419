"""What importing the plugin adds to BasicSR, and what the released option files build."""

import pickle
import subprocess
import sys

import pytest
import torch
from basicsr.archs import build_network
from basicsr.utils import registry

from vmambair_arch import OSSBlock, cli, compat, presets

RELEASED = {
    "inp_channels": 3,
    "out_channels": 3,
    "dim": 48,
    "heads": [1, 2, 4, 8],
    "ffn_expansion_factor": 2.66,
    "bias": False,
    "LayerNorm_type": "WithBias",
}
# network_g sections of the released option files, and the preset that each is.
SECTIONS = [
    ("MambaSISR6", {"num_blocks": [15, 1, 1, 1], "num_refinement_blocks": 15}, "sisr_x4"),
    ("MambaRealSR11", {"num_blocks": [6, 2, 2, 1], "num_refinement_blocks": 6}, "realsr_x4"),
    (
        "Mamber32",
        {"num_blocks": [3, 5, 7, 9], "num_refinement_blocks": 2, "dual_pixel_task": False},
        "derain",
    ),
    (
        "Mamber33",
        {"num_blocks": [6, 6, 7, 8], "num_refinement_blocks": 2, "dual_pixel_task": False},
        "derain_w2",
    ),
]


@pytest.mark.parametrize(("name", "section", "preset"), SECTIONS)
def test_a_released_network_section_builds_the_same_network(name, section, preset):
    network = build_network({"type": name, **RELEASED, **section})
    expected = presets.build(preset)
    assert network.config == expected.config
    assert network.state_dict().keys() == expected.state_dict().keys()


def test_our_networks_models_and_data_sets_are_registered_under_their_names():
    networks = ("VmambaIR", "OSSBlock", "OSSModule", "EFFN", *(name for name, _, _ in SECTIONS))
    assert all(name in registry.ARCH_REGISTRY for name in networks)
    assert registry.ARCH_REGISTRY.get("OSSBlock") is OSSBlock
    assert "VmambaIRModel" in registry.MODEL_REGISTRY
    assert "BicubicImageDataset" in registry.DATASET_REGISTRY


@pytest.fixture(scope="module")
def imported() -> tuple[int, str]:
    """The exit code and the errors of a process that imports the plugin, then BasicSR's script."""
    code = (
        "import vmambair_arch.plugin, sys, warnings\n"
        "print('imported', file=sys.stderr)\n"
        "warnings.simplefilter('ignore')\n"
        "import basicsr.train, basicsr.utils.dist_util as d\n"
        "from vmambair_arch import compat\n"
        "assert basicsr.train.load_resume_state is compat.load_resume_state\n"
        "assert d._init_dist_pytorch is compat.init_process_group\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_importing_the_plugin_first_makes_basicsr_train_importable(imported):
    code, errors = imported
    assert code == 0, errors


def test_another_package_registers_by_its_entry_point(tmp_path, experiment, monkeypatch):
    distribution = tmp_path / "site" / "third-1.0.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("[basicsr.plugins]\nthird = third_plugin\n")
    (tmp_path / "site" / "third_plugin.py").write_text(
        "from basicsr.utils.registry import ARCH_REGISTRY\n"
        "from torch import nn\n"
        "class ThirdNetwork(nn.Upsample):\n"
        "    def __init__(self):\n"
        "        super().__init__(scale_factor=4)\n"
        "        self.weight = nn.Parameter(nn.Conv2d(1, 1, 1).weight.detach())\n"
        "    def forward(self, x):\n"
        "        return super().forward(x) * self.weight\n"
        "ARCH_REGISTRY.register(ThirdNetwork)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    options = experiment(model_type="SRModel", network_g={"type": "ThirdNetwork"})
    assert cli.basicsr(["train", "-opt", options]) == 0


def test_a_plugin_that_cannot_be_imported_is_named(tmp_path, experiment, monkeypatch, capsys):
    distribution = tmp_path / "site" / "broken-1.0.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("[basicsr.plugins]\nbroken = no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert cli.basicsr(["train", "-opt", experiment()]) == 2
    assert "plugin broken (no_such_module) cannot be imported" in capsys.readouterr().err


@pytest.mark.parametrize("zipped", [True, False])
def test_basicsr_reads_only_tensors_whatever_torchs_default(tmp_path, monkeypatch, zipped):
    class Payload:
        def __reduce__(self):
            return (tmp_path / "executed").touch, ()

    torch.save({"params": Payload()}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    load = torch.load.__wrapped__
    monkeypatch.setattr(
        torch, "load", lambda *args, **options: load(*args, **{"weights_only": False, **options})
    )
    compat.read_tensors_only()
    reading = "torch.load(path, map_location=lambda storage, loc: storage)"
    with pytest.raises(pickle.UnpicklingError):
        eval(reading, {"__name__": "basicsr.archs.a", "torch": torch, "path": tmp_path / "a.pth"})
    assert not (tmp_path / "executed").exists()
    torch.load(tmp_path / "a.pth")  # others have the default
    assert (tmp_path / "executed").exists()


def test_importing_the_plugin_warns_of_nothing(imported):
    assert imported[1].startswith("imported\n"), imported[1]
