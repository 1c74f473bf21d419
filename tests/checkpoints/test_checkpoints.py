"""Checkpoints: every wrapper is read, both formats are written, and options survive."""

import json
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from support.networks import TINY, assert_equal
from vmambair_arch import VmambaIR, load_network, save_network
from vmambair_arch.checkpoints import to_released
from vmambair_arch.errors import InputError

pytestmark = pytest.mark.usefixtures("empty_folder")

# Every option of VmambaIR at a value that is not its default.
EVERY_OPTION = {
    "in_channels": 4,
    "out_channels": 2,
    "scale": 2,
    "dim": 8,
    "num_blocks": [1, 0, 2, 1],
    "num_refinement_blocks": 2,
    "ffn_expansion_factor": 1.5,
    "d_state": 3,
    "channel_scan_width": 2,
    "channel_merge": "add",
    "gate": "gelu",
    "norm": "bias_free",
    "bias": True,
    "residual": False,
}


# Wrappers and formats.


def wrapped(state: dict[str, Tensor], how: str) -> dict:
    """A state dict as various programs write it."""
    decoy = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    prefixes = {"module.": "module.", "_orig_mod.": "_orig_mod.", "both": "module._orig_mod."}
    if how in prefixes:
        return {"params": {prefixes[how] + name: tensor for name, tensor in state.items()}}
    return {
        "raw": state,
        "params": {"params": state},
        "params_ema": {"params": decoy, "params_ema": state},
        "state_dict": {"state_dict": state, "epoch": 3, "optimizer": {"lr": 1e-4}},
        "model": {"model": state},
        "nested": {"model": {"state_dict": state}},
        "generator": {"generator": state, "discriminator": decoy},
        "another name": {"my_network": state, "step": 3, "adam": {"state": {}}},
    }[how]


WRAPPERS = (
    "raw", "params", "params_ema", "state_dict", "model", "nested", "generator", "another name",
    "module.", "_orig_mod.", "both",
)  # fmt: skip


@pytest.mark.parametrize("how", WRAPPERS)
@pytest.mark.parametrize("layout", ["ours", "released"])
def test_every_wrapper_loads(how, layout):
    network = VmambaIR(**TINY, gate="gelu")
    state = network.state_dict() if layout == "ours" else to_released(network)
    content = wrapped(state, how)
    torch.save(content, "saved.pth")
    assert_equal(load_network("saved.pth"), network)
    assert_equal(load_network(content), network)


def test_a_file_of_several_networks_names_them():
    state = VmambaIR(**TINY).state_dict()
    with pytest.raises(InputError, match="several networks: 'first', 'second'; save those of one"):
        load_network({"first": state, "second": state})


@pytest.mark.parametrize("layout", ["ours", "released"])
def test_a_safetensors_file_loads(layout):
    network = VmambaIR(**TINY, gate="gelu")
    state = network.state_dict() if layout == "ours" else to_released(network)
    save_file({f"module.{name}": t.contiguous() for name, t in state.items()}, "s.safetensors")
    assert_equal(load_network(Path("s.safetensors")), network)


def test_a_half_precision_file_loads_into_float32():
    network = VmambaIR(**TINY, gate="gelu")
    state = {name: tensor.half() for name, tensor in to_released(network).items()}
    loaded = load_network(state)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    assert torch.equal(loaded.shallow.weight, network.shallow.weight.half().float())


def test_a_loaded_network_is_ready_to_run():
    network = load_network(VmambaIR(**TINY).state_dict(), device=torch.device("cpu"))
    assert not network.training


# Saving.


@pytest.mark.parametrize("without", [None, *EVERY_OPTION])
def test_every_option_survives_save_and_load(without):
    """All options changed at once, and each at its default with the others changed."""
    options = {name: value for name, value in EVERY_OPTION.items() if name != without}
    if without == "residual":  # which needs equal channels
        options["in_channels"] = options["out_channels"]
    network = VmambaIR(**options)
    save_network(network, "network.pth")
    save_network(network, "network.safetensors")
    assert_equal(load_network("network.pth"), network)
    assert load_network("network.safetensors").config == network.config


def test_the_dual_pixel_form_survives_save_and_load():
    network = VmambaIR(**TINY, in_channels=6, dual_pixel=True)
    save_network(network, "network.pth")
    assert_equal(load_network("network.pth"), network)


def test_a_pth_file_is_one_that_basicsr_reads():
    save_network(VmambaIR(**TINY), "network.pth")
    content = torch.load("network.pth", weights_only=True)
    VmambaIR(**TINY).load_state_dict(content["params"], strict=True)


def test_a_safetensors_file_says_its_options_to_any_reader():
    network = VmambaIR(**TINY)
    save_network(network, "network.safetensors")
    with safe_open("network.safetensors", "pt") as file:
        assert json.loads(file.metadata()["config"]) == network.config


def test_saving_replaces_a_file_whole_with_the_usual_mode():
    umask = os.umask(0o022)
    try:
        save_network(VmambaIR(**TINY), "network.pth")
        save_network(VmambaIR(**TINY, scale=2), "network.pth")
    finally:
        os.umask(umask)
    assert load_network("network.pth").config["scale"] == 2
    assert [path.name for path in Path().iterdir()] == ["network.pth"]
    assert stat.S_IMODE(Path("network.pth").stat().st_mode) == 0o644


def test_a_failing_save_leaves_the_old_file(monkeypatch):
    save_network(VmambaIR(**TINY), "network.pth")
    before = Path("network.pth").read_bytes()

    def fail(state, file):
        file.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        save_network(VmambaIR(**TINY), "network.pth")
    assert Path("network.pth").read_bytes() == before
    assert [path.name for path in Path().iterdir()] == ["network.pth"]
