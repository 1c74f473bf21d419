"""Released files of any layout of the family can be read, and converted to ours and back."""

from pathlib import Path

import pytest
import torch

from support import released_layout
from support.networks import TINY, assert_equal
from vmambair_arch import VmambaIR, cli, load_network
from vmambair_arch.checkpoints import read_file, to_released, unwrap
from vmambair_arch.errors import InputError
from vmambair_arch.networks import released

pytestmark = pytest.mark.usefixtures("empty_folder")


# Released layouts, inferred from shapes.


@pytest.mark.parametrize("layout", released_layout.LAYOUTS)
def test_the_rule_for_layouts_yields_the_released_ones(layout):
    """So that the layouts it makes below are those that the released code would write."""
    described, width = released_layout.read(layout), {"realsr": 0, "derain33": 2}.get(layout, 4)
    scale = 4 if layout in ("sisr", "realsr") else 1
    made = released_layout.shapes(**described["kwargs"], width=width, scale=scale)
    assert {name: list(shape) for name, shape in made.items()} == described["tensors"]


@pytest.mark.parametrize("layout", released_layout.LAYOUTS)
def test_every_option_is_inferred_from_a_released_file(layout):
    described = released_layout.read(layout)
    network = load_network(released_layout.fill(described["tensors"]))
    build = released.network_function(described["network"])
    assert network.config == {**build(**described["kwargs"]).config}


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2, "width": 2},
        {"scale": 3, "width": 0},
        {"scale": 8, "width": 8},
        {"scale": 4, "bias": True},
        {"scale": 4, "width": 0, "in_channels": 1, "out_channels": 1},
        {"dim": 32, "num_blocks": (2, 3, 1, 0), "num_refinement_blocks": 0},
        {"dim": 64, "num_blocks": (0, 0, 0, 1)},
        {"dim": 24, "num_blocks": (0, 1, 0, 0), "num_refinement_blocks": 3, "width": 2},
        {"bias": True, "norm_bias": False, "width": 2},
        {"norm_bias": False, "d_state": 8},
        {"d_state": 1, "width": 0, "scale": 2},
        {"in_channels": 6, "dual_pixel": True},
        {"in_channels": 6, "dual_pixel": True, "bias": True, "width": 0},
        {"in_channels": 1, "out_channels": 1, "factor": 2.0, "num_blocks": (11, 1, 1, 1)},
        {"dim": 50, "factor": 1.15, "num_blocks": (1, 0, 0, 0), "num_refinement_blocks": 0},
        {"factor": 2.6667},
    ],
    ids=lambda options: " ".join(f"{name}={value}" for name, value in options.items()),
)
def test_any_layout_of_the_family_can_be_read(options):
    shapes = released_layout.shapes(**options)
    state = released_layout.fill(shapes)
    network = load_network({"params": state})
    config, given = network.config, {"factor": 2.66, "width": 4, "scale": 1, **options}
    assert config["gate"] == "gelu"
    assert config["channel_scan_width"] == given["width"]
    assert config["num_blocks"] == list(given.get("num_blocks", (1, 1, 1, 1)))
    assert config["norm"] == ("with_bias" if given.get("norm_bias", True) else "bias_free")
    assert config["residual"]
    merge = "add" if given["scale"] == 1 and given["width"] == 4 else "multiply"
    assert config["channel_merge"] == merge
    for option in ("scale", "dim", "num_refinement_blocks", "d_state", "bias", "dual_pixel"):
        assert config[option] == given.get(option, config[option])
    with torch.no_grad():
        assert network(torch.rand(1, config["in_channels"], 8, 8)).isfinite().all()
    back = to_released(network)
    assert {name: tuple(tensor.shape) for name, tensor in back.items()} == shapes
    assert all(torch.equal(back[name], state[name]) for name in state)


# Conversion.


@pytest.mark.parametrize(
    ("layout", "suffix"), zip(released_layout.LAYOUTS, 2 * [".pth", ".safetensors"], strict=True)
)
def test_released_to_ours_and_back_is_the_same_file(layout, suffix):
    state = released_layout.fill(released_layout.read(layout)["tensors"])
    torch.save({"params_ema": state}, "theirs.pth")
    assert cli.vmambair(["convert", "theirs.pth", f"ours{suffix}"]) == 0
    assert cli.vmambair(["convert", f"ours{suffix}", f"back{suffix}"]) == 0
    assert cli.vmambair(["convert", f"back{suffix}", "again.pth"]) == 0
    assert_equal(load_network("again.pth"), load_network("theirs.pth"))
    back = unwrap(read_file(Path(f"back{suffix}")), "back")
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize("factor", [2.66, 2.665, 1.1])
def test_options_that_shapes_show_do_not_prevent_a_conversion(factor):
    network = VmambaIR(**TINY, gate="gelu", ffn_expansion_factor=factor)
    loaded = load_network(to_released(network))
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(loaded(x), network(x))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"gate": "silu"}, "cannot express gate: silu"),
        ({"gate": "gelu", "channel_merge": "add"}, "cannot express channel_merge: add"),
        ({"gate": "gelu", "residual": False}, "cannot express residual: False"),
    ],
)
def test_what_a_released_file_cannot_express_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        to_released(VmambaIR(**TINY, **options))


def test_a_released_option_with_an_unknown_value_is_refused():
    message = "LayerNorm_type is 'Batch': choose one of WithBias, BiasFree"
    with pytest.raises(ValueError, match=message):
        released.network_function("MambaSISR6")(LayerNorm_type="Batch")
