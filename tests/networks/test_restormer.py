"""Restormer computes what the released networks compute, and its files load like ours."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from basicsr.archs import build_network
from torch import nn

from support import released_layout
from support.experiments import load_tensors
from vmambair_arch import Restormer, VmambaIR, cli, inference, load_network, save_network
from vmambair_arch.checkpoints import load_weights, to_released
from vmambair_arch.errors import InputError
from vmambair_arch.networks.modules import MDTA

TINY = {"dim": 8, "num_blocks": [1, 1, 1, 1], "num_refinement_blocks": 0, "heads": [1, 2, 2, 4]}


def released_state() -> dict[str, torch.Tensor]:
    """A small released checkpoint, each tensor filled from its own name."""
    return released_layout.fill(released_layout.read("restormer")["tensors"])


def test_a_released_network_loads_and_computes_what_the_released_code_computes():
    network = load_network({"params": released_state()})
    image, expected = released_layout.golden("restormer")
    with torch.no_grad():
        output = network(image)
    assert (output - expected).norm() <= 1e-5 * expected.norm()


def test_every_option_is_inferred_from_a_released_file():
    network = load_network(released_state())
    assert isinstance(network, Restormer)
    assert network.config == Restormer(**released_layout.read("restormer")["kwargs"]).config


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "bias_free", "in_channels": 1, "out_channels": 1},  # released for grey denoising
        {"in_channels": 6, "dual_pixel": True},  # released for defocus deblurring
        {"bias": True, "ffn_expansion_factor": 2.0},
    ],
)
def test_networks_survive_the_released_layout_and_our_own(options, tmp_path):
    network = Restormer(**{**TINY, **options}).eval()
    image = torch.rand(1, network.config["in_channels"], 8, 16)
    expected = network(image)
    state = to_released(network)
    assert "encoder_level1.0.attn.qkv_dwconv.weight" in state
    save_network(network, tmp_path / "own.pth")
    save_network(network, tmp_path / "own.safetensors")
    for source in (state, tmp_path / "own.pth", tmp_path / "own.safetensors"):
        loaded = load_network(source)
        assert loaded.config == network.config
        assert torch.equal(loaded(image), expected)


def test_the_published_deraining_network_has_26_13_million_parameters():
    released = {
        "type": "Restormer",
        "inp_channels": 3,
        "out_channels": 3,
        "dim": 48,
        "num_blocks": [4, 6, 6, 8],
        "num_refinement_blocks": 4,
        "heads": [1, 2, 4, 8],
        "ffn_expansion_factor": 2.66,
        "bias": False,
        "LayerNorm_type": "WithBias",
        "dual_pixel_task": False,
    }
    with torch.device("meta"):
        network = build_network(released)
        assert network.config == Restormer().config
    assert sum(p.numel() for p in network.parameters()) == 26_126_644


def test_an_unknown_norm_is_named():
    with pytest.raises(ValueError, match="LayerNorm_type is 'Batch': choose one of WithBias"):
        build_network({"type": "Restormer", "LayerNorm_type": "Batch"})


def test_attention_equals_its_formula_computed_channel_by_channel():
    torch.manual_seed(0)
    attention = MDTA(dim=6, heads=2, bias=True).double()
    nn.init.uniform_(attention.temperature, 0.5, 2)
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    q, k, v = attention.dwconv(attention.in_proj(x)).flatten(2).chunk(3, dim=1)
    y = torch.zeros_like(v)
    for image in range(2):
        for channel in range(6):
            head = channel // 3
            others = range(3 * head, 3 * head + 3)
            scores = [
                float(torch.cosine_similarity(q[image, channel], k[image, other], dim=0))
                * float(attention.temperature[head])
                for other in others
            ]
            shares = np.exp(scores) / np.exp(scores).sum()
            for share, other in zip(shares, others, strict=True):
                y[image, channel] += share * v[image, other]
    expected = attention.out_proj(y.unflatten(2, (3, 5)))
    torch.testing.assert_close(attention(x), expected)


def test_gradients_of_the_attention():
    attention = MDTA(dim=4, heads=2).double()
    x = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(attention, x)


def test_activation_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    kept = Restormer(**TINY)
    again = Restormer(**TINY, activation_checkpointing=True)
    again.load_state_dict(kept.state_dict())
    image = torch.rand(1, 3, 8, 16)
    for network in (kept, again):
        network(image).square().mean().backward()
    for a, b in zip(kept.parameters(), again.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 10)])
def test_images_of_any_size_keep_their_size(size):
    network = Restormer(**TINY).eval()
    with torch.no_grad():
        assert inference.run(network, torch.rand(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": [1, 2, 4]}, "heads is \\[1, 2, 4\\]; it must be 4 numbers"),
        ({"heads": [3, 1, 1, 1]}, "8 channels cannot be divided into 3 heads"),
        ({"out_channels": 1}, "the residual adds 3 channels to 1: make in_channels"),
        ({"num_blocks": [1], "heads": [1]}, "they must be two to four numbers of blocks"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Restormer(**{**TINY, **options})


def test_a_file_of_the_other_network_is_refused(tmp_path):
    small = {"dim": 8, "num_blocks": [1, 0, 0, 0], "num_refinement_blocks": 0}
    save_network(VmambaIR(**small), tmp_path / "vmambair.pth")
    own = load_tensors(tmp_path / "vmambair.pth")["params"]
    with pytest.raises(InputError, match="do not fit Restormer|its network has"):
        load_weights(Restormer(**TINY), own, "vmambair.pth")


def test_training_starts_from_a_released_file(experiment, pairs):
    """The network of the option file has the published keys, the file the published names."""
    torch.manual_seed(0)
    torch.save({"params": to_released(Restormer(**TINY))}, "released.pth")
    data_sets = yaml.safe_load(Path(experiment()).read_text())["datasets"]
    for section in data_sets.values():
        section["dataroot_lq"] = section["dataroot_gt"]
    opt = experiment(
        "restormer",
        scale=1,
        datasets=data_sets,
        network_g={"type": "Restormer", "inp_channels": 3, "LayerNorm_type": "WithBias", **TINY},
        path={"pretrain_network_g": "released.pth"},
    )
    assert cli.basicsr(["train", "-opt", opt, "--force_yml", "train:total_iter=2"]) == 0
    trained = load_network("experiments/restormer/models/net_g_latest.pth")
    assert isinstance(trained, Restormer)
