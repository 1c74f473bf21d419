"""Files that are no checkpoint of VmambaIR are refused with one sentence, unexecuted."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from support import released_layout
from support.networks import TINY
from vmambair_arch import VmambaIR, load_network, save_network
from vmambair_arch.checkpoints import load_weights
from vmambair_arch.errors import InputError

pytestmark = pytest.mark.usefixtures("empty_folder")


def refusal(source) -> str:
    with pytest.raises(InputError) as error:
        load_network(source)
    return str(error.value)


def test_a_file_of_another_network_names_its_first_keys():
    names = ["conv_first.weight", "conv_first.bias", "body.0.weight", "body.0.bias", "last.weight"]
    torch.save({"params": {name: torch.zeros(1) for name in names}}, "edsr.pth")
    message = refusal("edsr.pth")
    first = "'conv_first.weight', 'conv_first.bias', 'body.0.weight' and 2 more do not fit"
    assert message.startswith("edsr.pth: not a checkpoint of VmambaIR") and first in message


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


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_a_truncated_file_is_refused(suffix, kept):
    path = Path("network" + suffix)
    save_network(VmambaIR(**TINY), path)
    path.write_bytes(path.read_bytes()[:kept])
    assert refusal(path).startswith(f"{path}: truncated or not a checkpoint")


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\x80\x02", bytes(1000)])
def test_a_file_that_is_no_checkpoint_is_refused(content):
    Path("notes.pth").write_bytes(content)
    assert refusal("notes.pth").startswith("notes.pth: truncated or not a checkpoint")


class Payload:
    """A pickle of it would create a file when loaded."""

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


def test_a_file_that_holds_a_single_tensor_is_refused():
    torch.save(torch.zeros(3), "tensor.pth")
    assert refusal("tensor.pth") == "tensor.pth: holds a Tensor, not tensors by name"


def test_a_missing_file_and_a_folder_are_refused():
    Path("folder").mkdir()
    for path in ("none.pth", "folder"):
        assert refusal(path).startswith(f"{path}: there is no such checkpoint")


def test_an_empty_state_dict_is_refused():
    assert "patch_embed.proj.weight is missing" in refusal({})


def test_a_configuration_of_a_later_version_is_refused():
    state = VmambaIR(**TINY).state_dict()
    text = json.dumps({**VmambaIR(**TINY).config, "experts": 8}).encode()
    state["_extra_state"] = torch.tensor(list(text), dtype=torch.uint8)
    assert "its configuration cannot build a VmambaIR" in refusal(state)
    assert "experts" in refusal(state)


@pytest.mark.parametrize("path", ["network.ckpt", "network", "none/network.pth"])
def test_saving_to_an_impossible_path_is_refused(path):
    with pytest.raises(InputError, match="must end in .pth or .safetensors|there is no folder"):
        save_network(VmambaIR(**TINY), path)
    assert not list(Path().iterdir())


def test_weights_that_fit_in_shape_but_not_in_meaning_are_refused():
    state = VmambaIR(**TINY, gate="gelu").state_dict()
    with pytest.raises(InputError, match="a.pth: the checkpoint was made with gate: gelu"):
        load_weights(VmambaIR(**TINY), state, "a.pth")


def test_a_refused_load_leaves_the_network_unchanged():
    network = VmambaIR(**TINY)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match="its network has dim 16, not 8"):
        load_weights(network, VmambaIR(**{**TINY, "dim": 16}).state_dict(), "a.pth")
    with pytest.raises(InputError, match="channel_merge"):
        load_weights(network, VmambaIR(**TINY, channel_merge="add").state_dict(), "a.pth")
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
