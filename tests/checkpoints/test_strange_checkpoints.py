"""Files that claim too much, hold the wrong things or are of another kind: one sentence at once."""

import gzip
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.networks import TINY
from vmambair_arch import VmambaIR, load_network, save_network
from vmambair_arch.checkpoints import load_weights, to_released
from vmambair_arch.errors import InputError
from vmambair_arch.system import memory

pytestmark = pytest.mark.usefixtures("empty_folder")


def refusal(source) -> str:
    with pytest.raises(InputError) as error:
        load_network(source)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def configured(**options) -> dict[str, Tensor]:
    """The state dict of a small network whose configuration says something else."""
    state = VmambaIR(**TINY).state_dict()
    config = json.loads(bytes(state["_extra_state"].tolist())) | options
    state["_extra_state"] = torch.tensor(list(json.dumps(config).encode()), dtype=torch.uint8)
    return state


def replaced(change) -> dict[str, Tensor]:
    """The state dict of a small network with its first tensor changed."""
    state = VmambaIR(**TINY).state_dict()
    return {**state, "shallow.weight": change(state["shallow.weight"])}


# Files of other programs.


def test_the_counter_of_averaged_weights_is_left_out():
    network = VmambaIR(**TINY)
    averaged = torch.optim.swa_utils.AveragedModel(network)
    averaged.update_parameters(network)
    assert averaged.state_dict()["n_averaged"] == 1
    weights = load_network(averaged.state_dict()).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(weights[name], tensor)


@pytest.mark.parametrize("released", [False, True])
def test_a_network_inside_a_larger_module_is_named_by_its_prefix(released):
    state = VmambaIR(**TINY, gate="gelu").state_dict()
    state = to_released(load_network(state)) if released else state
    inside = {"loss.weight": torch.ones(3), **{f"model.{name}": t for name, t in state.items()}}
    assert "names of its network begin with 'model.'" in refusal({"state_dict": inside})


# Files that claim too much.


@pytest.mark.parametrize(
    "options",
    [
        {"dim": 2000},
        {"dim": 10**6},
        {"dim": 10**18},
        {"dim": 8.0},
        {"in_channels": 10**9, "residual": False},
        {"out_channels": 10**9, "residual": False},
        {"d_state": 10**9},
        {"channel_scan_width": 10**8},
        {"channel_scan_width": "8"},
        {"num_blocks": [10**6, 1, 0, 1]},
        {"num_blocks": 10**6},
        {"num_refinement_blocks": 10**9},
        {"ffn_expansion_factor": "2"},
        {"ffn_expansion_factor": 1e300},
        {"norm": ["with_bias"]},
        {"gate": {}},
        {"experts": 8},
    ],
    ids=str,
)
def test_a_configuration_that_does_not_match_the_tensors_is_refused(monkeypatch, options):
    monkeypatch.setattr(nn.Module, "to_empty", lambda *_, **__: pytest.fail("allocated"))
    assert refusal(configured(**options)).startswith("the state dict: ")


@pytest.mark.parametrize("number", ["100000000", "9" * 400, "7"])
def test_gaps_in_the_numbers_of_blocks_are_refused(number):
    state = {**VmambaIR(**TINY).state_dict(), f"latent.{number}.norm1.weight": torch.ones(64)}
    del state["_extra_state"]
    assert "do not fit VmambaIR" in refusal(state)


def test_more_blocks_than_any_network_has_are_refused():
    state = VmambaIR(**TINY).state_dict()
    blocks = {f"latent.{number}.norm1.weight": torch.ones(1) for number in range(1, 2000)}
    assert "its tensors [1, 1, 0, 2000] and 1" in refusal({**state, **blocks})
    del state["_extra_state"]
    assert "more than 1000 blocks" in refusal({**state, **blocks})


def test_tensors_that_claim_more_than_the_file_holds_are_refused():
    state = VmambaIR(**TINY).state_dict()
    expanded = {name: torch.zeros(1).expand(t.shape) for name, t in state.items()}
    torch.save({"params": {**expanded, "_extra_state": state["_extra_state"]}}, "small.pth")
    assert "its tensors claim 1 MB but hold 0; save them contiguous" in refusal("small.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_larger_than_memory_is_not_read(monkeypatch, suffix):
    with Path(f"sparse{suffix}").open("wb") as file:
        file.truncate(2 * 10**9)
    monkeypatch.setattr(memory, "free", lambda device: 10**9)
    assert "takes 2.0 GB of memory, but only 1.0 are free" in refusal(f"sparse{suffix}")


def test_an_archive_that_unpacks_to_more_than_memory_is_refused(monkeypatch):
    with zipfile.ZipFile("bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**6))
    monkeypatch.setattr(memory, "free", lambda device: 10**5)
    assert "bomb.pth: takes 0.0 GB of memory" in refusal("bomb.pth")


# Tensors of the wrong kind.


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda t: t.to("meta"), "is a meta tensor"),
        (lambda t: t.to_sparse(), "is a sparse tensor"),
        (lambda t: torch.nested.as_nested_tensor([*t], layout=torch.strided), "is a nested tensor"),
        (lambda t: torch.nested.as_nested_tensor([*t], layout=torch.jagged), "is a nested tensor"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "is a quantised tensor"),
        (lambda t: t.char(), "torch.int8 instead of floating-point numbers"),
        (lambda t: t.bool(), "torch.bool instead"),
        (lambda t: t.to(torch.complex64), "torch.complex64 instead"),
        (lambda t: t * torch.nan, "values that are not finite"),
        (lambda t: t.double() * 1e300, "values that are not finite, or above 1e+15"),
        (lambda t: t.numpy(), "is a ndarray, not a tensor"),
        (lambda t: None, "is a NoneType, not a tensor"),
    ],
)
def test_a_tensor_that_is_no_weight_is_refused(change, kind):
    message = refusal(replaced(change))
    assert "'shallow.weight'" in message and kind in message


def test_weights_that_are_not_finite_do_not_start_a_training_either():
    network = VmambaIR(**TINY)
    with pytest.raises(InputError, match="w.pth: 'shallow.weight': values that are not finite"):
        load_weights(network, replaced(lambda t: t / 0), "w.pth")
    assert network.shallow.weight.isfinite().all()


@pytest.mark.parametrize("change", [Tensor.half, Tensor.bfloat16, Tensor.double], ids=str)
def test_other_floating_points_load_as_float32(change):
    assert load_network(replaced(change)).shallow.weight.dtype == torch.float32


@pytest.mark.parametrize("name", [1, 1.5, None, True, (1, 2), b"x", "x" * 10**6])
def test_an_invalid_name_is_refused(name):
    assert "is not a tensor's name" in refusal({name: torch.zeros(1)})


def test_a_mapping_that_contains_itself_is_refused():
    content = {}
    content["params"] = content
    torch.save(content, "cycle.pth")
    assert "more than 8 wrappers" in refusal("cycle.pth")


# Files of another kind.


def pickled(protocol: int):
    return lambda path: path.write_bytes(pickle.dumps({"a": [1.0]}, protocol))


def packed(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("network.pth", b"")


def tarred(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(os.devnull)


def program(path: Path) -> None:
    exported = torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))
    torch.export.save(exported, path.with_suffix(".pt2"))
    path.with_suffix(".pt2").rename(path)


def arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(2))


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda path: path.write_text("<!DOCTYPE html><html>"), "is a web page"),
        (lambda path: path.write_text("\n <HTML lang='en'>"), "is a web page"),
        (
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"),
            "git lfs pull",
        ),
        (lambda path: path.write_text('{"error": "gated"}'), 'is text (\'{"error": "gated"}\')'),
        (lambda path: path.write_text("é" * 1000, "utf-8"), "is text ('é"),
        (lambda path: path.write_bytes(gzip.compress(b"x")), "is an archive"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), "is a picture"),
        (lambda path: path.write_bytes(bytes(4) + b"ftypisom" + bytes(99)), "is a video"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "is an HDF5 file"),
        (packed, "is a zip archive (of network.pth ...); unpack it"),
        (
            program,
            "is a file of torch.export, not a checkpoint; give the .pth or .safetensors file",
        ),
        (tarred, "is a tar archive"),
        (arrays, "is an archive of NumPy arrays"),
        (pickled(0), "is text"),
        (pickled(2), "not what torch.save writes"),
        (pickled(5), "not what torch.save writes"),
    ],
)
def test_other_files_are_recognised_by_their_content(write, kind):
    path = Path("network.pth")
    write(path)
    message = refusal(path)
    assert message.startswith("network.pth: ") and kind in message and "pickled code" not in message


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_broken_pickle_in_a_whole_archive_is_refused(cut):
    torch.save({"params": {"a": torch.zeros(1)}}, "whole.pth")
    with zipfile.ZipFile("whole.pth") as whole, zipfile.ZipFile("broken.pth", "w") as broken:
        for entry in whole.infolist():
            content = whole.read(entry)
            if entry.filename.endswith("data.pkl"):
                content = content[: cut * len(content) // 12] + b"." * cut
            broken.writestr(entry.filename, content)
    assert refusal("broken.pth").startswith("broken.pth: ")


@pytest.mark.parametrize("special", ["folder", "/dev/zero", "pipe"])
def test_what_is_not_a_file_is_not_read(special):
    Path("folder").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")
    assert f"{special}: there is no such checkpoint" in refusal(special)


def test_the_content_decides_not_the_suffix():
    network = VmambaIR(**TINY)
    save_network(network, "a.pth")
    save_network(network, "b.safetensors")
    Path("a.pth").rename("a.safetensors")
    Path("b.safetensors").rename("b.ckpt")
    for path in ("a.safetensors", "b.ckpt"):
        assert load_network(path).config == network.config


def test_a_training_state_names_the_network_that_belongs_to_it():
    state = {"epoch": 0, "iter": 5, "optimizers": [], "schedulers": []}
    Path("tiny/training_states").mkdir(parents=True)
    torch.save(state, "tiny/training_states/5.state")
    message = refusal("tiny/training_states/5.state")
    assert "is a training state" in message and "give net_g_5.pth" in message
    Path("tiny/models").mkdir()
    save_network(VmambaIR(**TINY), "tiny/models/net_g_5.pth")
    assert f"give {Path('tiny/models/net_g_5.pth').absolute()}" in refusal(
        "tiny/training_states/5.state"
    )


@pytest.mark.parametrize(
    ("network", "options", "kind"),
    [
        ("RRDBNet", {"num_in_ch": 3, "num_out_ch": 3, "num_block": 1}, "ESRGAN or Real-ESRGAN"),
        ("MSRResNet", {"num_block": 1}, "EDSR or MSRResNet"),
        ("SwinIR", {"depths": [1], "num_heads": [2], "embed_dim": 8}, "SwinIR"),
        ("UNetDiscriminatorSN", {"num_in_ch": 3, "num_feat": 8}, "a discriminator"),
        ("VGGStyleDiscriminator", {"num_in_ch": 3, "num_feat": 8}, "a discriminator"),
        ("RCAN", {"num_in_ch": 3, "num_out_ch": 3, "num_group": 1, "num_block": 1}, "RCAN"),
    ],
)
def test_weights_of_another_network_are_named(network, options, kind):
    from basicsr.utils.registry import ARCH_REGISTRY

    torch.save({"params": ARCH_REGISTRY.get(network)(**options).state_dict()}, "other.pth")
    assert f"(it looks like {kind}): 'conv" in refusal("other.pth") or network == "SwinIR"
