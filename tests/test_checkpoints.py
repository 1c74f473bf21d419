"""Checkpoints: every wrapper and layout is read, both formats are written, the rest is refused."""

import json
import os
import stat
from pathlib import Path

import pytest
import released_layout
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vmambair_arch import VmambaIR, cli, load_network, released, save_network
from vmambair_arch.checkpoints import load_weights, read_file, to_released, unwrap
from vmambair_arch.errors import InputError

TINY = {"dim": 8, "num_blocks": [1, 1, 0, 1], "num_refinement_blocks": 1, "d_state": 4}
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


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


def assert_equal(ours: nn.Module, theirs: nn.Module) -> None:
    """The same options, the same weights and the same output, bit for bit."""
    assert ours.config == theirs.config
    states = ours.state_dict(), theirs.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    x = torch.rand(1, ours.config["in_channels"], 8, 8)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def refusal(source) -> str:
    with pytest.raises(InputError) as error:
        load_network(source)
    return str(error.value)


# Released layouts, read off the shapes.


@pytest.mark.parametrize("layout", released_layout.LAYOUTS)
def test_the_rule_for_layouts_gives_the_released_ones(layout):
    """So that the layouts it makes below are what the released code would write."""
    described, width = released_layout.read(layout), {"realsr": 0, "derain33": 2}.get(layout, 4)
    scale = 4 if layout in ("sisr", "realsr") else 1
    made = released_layout.shapes(**described["kwargs"], width=width, scale=scale)
    assert {name: list(shape) for name, shape in made.items()} == described["tensors"]


@pytest.mark.parametrize("layout", released_layout.LAYOUTS)
def test_every_option_is_read_off_a_released_file(layout):
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
def test_any_layout_of_the_family_is_read(options):
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


# Wrappers and formats.


def wrapped(state: dict[str, Tensor], how: str) -> dict:
    """A state dict as the many programs that write one leave it."""
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
    }[how]


WRAPPERS = (
    *("raw", "params", "params_ema", "state_dict", "model", "nested"),
    *("module.", "_orig_mod.", "both"),
)


@pytest.mark.parametrize("how", WRAPPERS)
@pytest.mark.parametrize("layout", ["ours", "released"])
def test_every_wrapper_loads(how, layout):
    network = VmambaIR(**TINY, gate="gelu")
    state = network.state_dict() if layout == "ours" else to_released(network)
    content = wrapped(state, how)
    torch.save(content, "saved.pth")
    assert_equal(load_network("saved.pth"), network)
    assert_equal(load_network(content), network)


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


@pytest.mark.parametrize("without", [None, *EVERY_OPTION])
def test_every_option_survives_save_and_load(without):
    """All options at once, and each of them at its default among the others."""
    options = {name: value for name, value in EVERY_OPTION.items() if name != without}
    if without == "residual":  # which wants equal channels
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
def test_what_the_shapes_show_is_no_reason_to_refuse_a_conversion(factor):
    network = VmambaIR(**TINY, gate="gelu", ffn_expansion_factor=factor)
    loaded = load_network(to_released(network))
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(loaded(x), network(x))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"gate": "silu"}, "cannot say gate: silu"),
        ({"gate": "gelu", "channel_merge": "add"}, "cannot say channel_merge: add"),
        ({"gate": "gelu", "residual": False}, "cannot say residual: False"),
    ],
)
def test_what_a_released_file_cannot_say_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        to_released(VmambaIR(**TINY, **options))


# What is refused.


def test_a_file_of_another_network_names_its_first_keys():
    names = ["conv_first.weight", "conv_first.bias", "body.0.weight", "body.0.bias", "last.weight"]
    torch.save({"params": {name: torch.zeros(1) for name in names}}, "edsr.pth")
    message = refusal("edsr.pth")
    first = "'conv_first.weight', 'conv_first.bias', 'body.0.weight' and 2 more do not fit"
    assert message.startswith(f"edsr.pth: not a checkpoint of VmambaIR: {first}")


def test_a_released_file_with_a_strange_or_misshapen_tensor_names_it():
    state = released_layout.fill(released_layout.shapes())
    for name, tensor in {
        "encoder_level1.0.attn.qkv.weight": torch.zeros(1),
        "encoder_level5.0.norm1.body.weight": torch.zeros(1),
        "latent.0.attn.A_logs": torch.zeros(2, 3, 4),
        "refinement.x.norm1.body.weight": torch.zeros(1),
    }.items():
        assert f"{name!r} do not fit" in refusal({**state, name: tensor})


@pytest.mark.parametrize(
    "missing",
    [
        "patch_embed.proj.weight",
        "output.weight",
        "latent.0.attn.A_logs",
        "decoder_level1.0.ffn.dwconv.weight",
    ],
)
def test_a_released_file_that_lacks_a_tensor_is_refused(missing):
    state = released_layout.fill(released_layout.shapes())
    assert "checkpoint" in refusal({name: t for name, t in state.items() if name != missing})


def test_a_file_of_ours_that_lacks_a_tensor_names_it():
    state = VmambaIR(**TINY).state_dict()
    del state["latent.0.oss.planar_scan.D"]
    assert "'latent.0.oss.planar_scan.D' do not fit VmambaIR" in refusal(state)


def test_a_training_state_is_no_network():
    torch.save({"epoch": 1, "iter": 100, "optimizers": [], "schedulers": []}, "100.state")
    assert refusal("100.state").startswith("100.state: 'epoch' is a int, not a tensor")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_a_truncated_file(suffix, kept):
    path = Path("network" + suffix)
    save_network(VmambaIR(**TINY), path)
    path.write_bytes(path.read_bytes()[:kept])
    assert refusal(path).startswith(f"{path}: truncated or not a checkpoint")


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04", bytes(1000)])
def test_a_file_that_is_no_checkpoint(content):
    Path("notes.pth").write_bytes(content)
    assert refusal("notes.pth").startswith("notes.pth: truncated or not a checkpoint")


class Payload:
    """A pickle of it would create a file when it is loaded."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_needs_pickled_code_is_refused_with_the_reason(zipped):
    content = {"params": {"shallow.weight": torch.zeros(1)}, "opt": Payload()}
    torch.save(content, "evil.pth", _use_new_zipfile_serialization=zipped)
    message = refusal("evil.pth")
    assert message.startswith("evil.pth: refused, because reading it would run pickled code (")
    assert message.endswith("; ask its author for a file of tensors only")
    assert not Path("executed").exists()


def test_a_whole_pickled_module_is_refused():
    torch.save(nn.Conv2d(1, 1, 1), "module.pth")
    assert "would run pickled code (torch.nn.modules.conv.Conv2d)" in refusal("module.pth")


def test_a_file_that_holds_one_tensor():
    torch.save(torch.zeros(3), "tensor.pth")
    assert refusal("tensor.pth") == "tensor.pth: holds a Tensor, not tensors by name"


def test_a_missing_file_and_a_folder():
    Path("folder").mkdir()
    for path in ("none.pth", "folder"):
        assert refusal(path).startswith(f"{path}: there is no such checkpoint")


def test_an_empty_state_dict():
    assert "patch_embed.proj.weight is missing" in refusal({})


def test_a_configuration_of_some_later_version():
    state = VmambaIR(**TINY).state_dict()
    text = json.dumps({**VmambaIR(**TINY).config, "experts": 8}).encode()
    state["_extra_state"] = torch.tensor(list(text), dtype=torch.uint8)
    assert "its configuration builds no VmambaIR" in refusal(state)
    assert "experts" in refusal(state)


@pytest.mark.parametrize("path", ["network.ckpt", "network", "none/network.pth"])
def test_saving_where_it_cannot_be(path):
    with pytest.raises(InputError, match="must end in .pth or .safetensors|there is no folder"):
        save_network(VmambaIR(**TINY), path)
    assert not list(Path().iterdir())


def test_weights_that_fit_in_shape_but_not_in_meaning_are_refused():
    state = VmambaIR(**TINY, gate="gelu").state_dict()
    with pytest.raises(InputError, match="a.pth: the checkpoint was made with gate: gelu"):
        load_weights(VmambaIR(**TINY), state, "a.pth")


def test_a_refused_load_leaves_the_network_as_it_was():
    network = VmambaIR(**TINY)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match="its network has dim 16, not 8"):
        load_weights(network, VmambaIR(**{**TINY, "dim": 16}).state_dict(), "a.pth")
    with pytest.raises(InputError, match="channel_merge"):
        load_weights(network, VmambaIR(**TINY, channel_merge="add").state_dict(), "a.pth")
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
