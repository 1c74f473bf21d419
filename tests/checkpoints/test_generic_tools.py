"""Generic tools can save, halve, average and prune our networks like any other module."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from support.networks import TINY, assert_equal
from vmambair_arch import Restorer, Restormer, VmambaIR, load_network, save_network
from vmambair_arch.checkpoints import to_released
from vmambair_arch.errors import InputError

pytestmark = pytest.mark.usefixtures("empty_folder")

NETWORKS = [
    (VmambaIR, {**TINY, "scale": 2, "gate": "silu", "channel_merge": "add"}),
    (VmambaIR, {**TINY, "scale": 3, "gate": "gelu", "bias": True}),
    (VmambaIR, {**TINY, "in_channels": 6, "dual_pixel": True}),
    (Restormer, {"dim": 8, "num_blocks": (1, 0, 0, 1), "heads": (1, 1, 1, 1)}),
]


@pytest.fixture(params=NETWORKS, ids=lambda pair: f"{pair[0].__name__}-{len(pair[1])}")
def network(request):
    kind, options = request.param
    return kind(**options)


def test_every_tensor_of_a_state_dict_is_contiguous_and_shares_the_networks_memory(network):
    state = network.state_dict()
    assert all(tensor.is_contiguous() for tensor in state.values())
    for name, parameter in network.named_parameters():
        assert state[name].data_ptr() == parameter.data_ptr()


def test_safetensors_saves_a_state_dict(network):
    save_file(network.state_dict(), "network.safetensors")
    assert_equal(load_network("network.safetensors"), network)
    copied = type(network)(**network.config)
    copied.load_state_dict(load_file("network.safetensors"), strict=True)
    assert_equal(copied, network)


def test_torch_saves_a_state_dict_and_deepcopy_copies_it(network):
    torch.save(copy.deepcopy(network).state_dict(), "network.pth")
    assert_equal(load_network("network.pth"), network)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_a_network_of_another_precision_saves_loads_and_runs(kind):
    network = VmambaIR(**TINY, scale=2)
    converted = copy.deepcopy(network).to(kind)
    assert all(t.dtype == kind for n, t in converted.state_dict().items() if n != "_extra_state")
    save_file(converted.state_dict(), "network.safetensors")
    loaded = load_network("network.safetensors")
    assert loaded.config == network.config
    assert torch.equal(loaded.shallow.weight, network.shallow.weight.to(kind).float())
    y = converted(torch.rand(1, 3, 16, 24, dtype=kind))
    assert y.dtype == kind and y.isfinite().all()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_a_restorer_takes_a_network_of_another_precision_and_leaves_it_so(kind):
    network = VmambaIR(**TINY).to(kind)
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    restored = Restorer(network, device="cpu")(picture)
    assert (restored == Restorer(load_network(network.state_dict()), device="cpu")(picture)).all()
    assert network.shallow.weight.dtype == kind


@pytest.mark.parametrize(
    ("cast", "share"), [(None, 0.2), (torch.float16, 0.5), (torch.bfloat16, 0.77)], ids=str
)
def test_two_networks_can_be_averaged_tensor_by_tensor(network, cast, share):
    one, other = (saved(type(network)(**network.config), f"{n}.pth", cast) for n in "ab")
    mixed = {name: share * one[name] + (1 - share) * other[name] for name in one}
    torch.save({"params": mixed}, "mixed.pth")
    loaded = load_network("mixed.pth")
    assert loaded.config == network.config
    assert torch.equal(loaded.shallow.weight, mixed["shallow.weight"].float())


def saved(network, path: str, cast: torch.dtype | None) -> dict[str, Tensor]:
    """What generic tools read of a file, every tensor halved."""
    save_network(network, path)
    state = torch.load(path, weights_only=True)["params"]
    return {name: tensor.to(cast or tensor.dtype) for name, tensor in state.items()}


def test_the_configuration_next_to_the_tensors_suffices(network):
    save_network(network, "whole.pth")
    save_network(network, "whole.safetensors")
    content = torch.load("whole.pth", weights_only=True)
    del content["params"]["_extra_state"]
    torch.save(content, "pruned.pth")
    with safe_open("whole.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["config"]) == network.config
    save_file(content["params"], "pruned.safetensors", metadata)
    for path in ("pruned.pth", "pruned.safetensors"):
        assert_equal(load_network(path), network)


def test_the_configuration_among_the_tensors_suffices(network):
    save_network(network, "whole.pth")
    torch.save(torch.load("whole.pth", weights_only=True)["params"], "bare.pth")
    assert_equal(load_network("bare.pth"), network)


@pytest.mark.parametrize("damage", ["missing", "averaged", "no JSON", "too deep"])
def test_without_a_configuration_shapes_are_used_and_assumptions_logged(damage, caplog):
    network = VmambaIR(**TINY, gate="gelu", norm="bias_free", channel_scan_width=2)
    state = network.state_dict()
    text = state.pop("_extra_state")
    damaged = {
        "averaged": 0.5 * text + 0.5 * text.flip(0),
        "no JSON": text[:-3],
        "too deep": torch.full((9000,), ord("["), dtype=torch.uint8),
    }
    if damage in damaged:
        state["_extra_state"] = damaged[damage]
    assert_equal(load_network(state), network)
    assert "assumed are gate: gelu, channel_merge: multiply, residual: True" in caplog.text


@pytest.mark.parametrize("depths", [[1, 0], [0, 0, 2]])
def test_the_shapes_show_the_number_of_levels(depths):
    options = {**TINY, "num_blocks": depths, "ffn_expansion_factor": 2.0}
    network = VmambaIR(**options, gate="gelu", channel_scan_width=2)
    state = {name: t for name, t in network.state_dict().items() if name != "_extra_state"}
    assert_equal(load_network(state), network)
    with pytest.raises(InputError, match="a released network has four levels, but this one has"):
        to_released(network)


def test_a_network_to_train_further_accepts_weights_without_configuration():
    from vmambair_arch.checkpoints import load_weights, read_weights

    network, trained = VmambaIR(**TINY, gate="silu"), VmambaIR(**TINY, gate="silu")
    state = {n: t for n, t in trained.state_dict().items() if n != "_extra_state"}
    torch.save(state, "pruned.pth")
    load_weights(network, read_weights(Path("pruned.pth"), network, None), "pruned.pth")
    assert_equal(network, trained)
