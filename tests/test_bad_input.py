"""A user's mistakes lead to one clear sentence and exit code 2, and overwrite nothing."""

import errno
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from support.experiments import tiny_network
from vmambair_arch import VmambaIR, cli, save_network
from vmambair_arch.commands import options as options_command
from vmambair_arch.commands.bench import session
from vmambair_arch.commands.explain import explanation
from vmambair_arch.errors import InputError, first_of_each_kind
from vmambair_arch.option_files import options


@pytest.fixture
def refused(capsys):
    """Run a command that must fail; returns its one sentence."""

    def run(*arguments: str) -> str:
        existing = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
        assert cli.vmambair(arguments) == 2
        captured = capsys.readouterr()
        last = captured.err.strip().splitlines()[-1]
        assert last.startswith("vmambair: ")
        assert "Traceback" not in captured.err + captured.out
        assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == existing
        return last

    return run


@pytest.fixture
def own_pairs(pairs, tmp_path) -> Path:
    """A copy of the pairs that a test may spoil."""
    return Path(shutil.copytree(pairs, tmp_path / "own"))


def folders(root: Path) -> list[str]:
    """Overrides that point training at a copy of the pairs."""
    return [
        f"datasets:train:dataroot_gt={root / 'gt'}",
        f"datasets:train:dataroot_lq={root / 'lq'}",
    ]


def test_a_missing_option_file_is_named(refused, experiment):
    experiment()
    assert "no/such.yml: there is no such option file" in refused("train", "-opt", "no/such.yml")
    assert ".: cannot be read (" in refused("train", "-opt", ".")


def test_broken_yaml_names_file_and_line(refused, experiment):
    Path(experiment()).write_text("name: x\nscale: [4\ndatasets: {}\n")
    message = refused("train", "-opt", "tiny.yml")
    assert "tiny.yml:3: broken YAML" in message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n"])
def test_a_file_without_options_is_named(refused, experiment, text):
    Path(experiment()).write_text(text)
    assert "tiny.yml: holds no options" in refused("train", "-opt", "tiny.yml")


@pytest.mark.parametrize("key", ["name", "model_type", "datasets", "network_g", "train"])
def test_a_missing_section_is_named(refused, experiment, key):
    opt = yaml.safe_load(Path(experiment()).read_text())
    del opt[key]
    Path("tiny.yml").write_text(yaml.safe_dump(opt))
    assert f"tiny.yml:1: {key}: is missing" in refused("train", "-opt", "tiny.yml")


def test_an_unknown_network_gets_the_nearest_known_one(refused, experiment):
    message = refused("train", "-opt", experiment(network_g={"type": "VmambaR"}))
    assert "network_g.type: 'VmambaR' is not registered; did you mean 'VmambaIR'?" in message


def test_an_unknown_network_option_gets_the_nearest_known_one(refused, experiment):
    options_file = experiment(network_g=tiny_network(num_blokcs=[1, 1, 1, 1]))
    message = refused("train", "-opt", options_file)
    assert "network_g.num_blokcs: VmambaIR has no such option; did you mean 'num_blocks'" in message


def test_an_impossible_value_of_a_network_option_is_named(refused, experiment):
    message = refused("train", "-opt", experiment(network_g=tiny_network(scale=5)))
    assert "scale is 5: choose one of (1, 2, 3, 4, 8)" in message


@pytest.mark.parametrize("kind", ["model_type", "datasets:val:type"])
def test_unknown_models_and_data_sets_are_named(refused, experiment, kind):
    message = refused("train", "-opt", experiment(), "--force_yml", f"{kind}=Nothing")
    assert "'Nothing' is not registered" in message


def test_a_missing_data_folder_is_named(refused, experiment):
    root = "datasets:train:dataroot_gt=no/folder"
    message = refused("train", "-opt", experiment(), "--force_yml", root)
    assert "datasets.train.dataroot_gt: there is no folder no/folder" in message


def test_a_missing_half_of_a_pair_is_named(refused, experiment, own_pairs):
    (own_pairs / "lq/3.png").unlink()
    message = refused("train", "-opt", experiment(), "--force_yml", *folders(own_pairs))
    assert "gt/3.png has no partner" in message
    (own_pairs / "lq/3.png").touch()
    (own_pairs / "gt/3.png").unlink()
    message = refused("train", "-opt", experiment(), "--force_yml", *folders(own_pairs))
    assert "lq/3.png has no partner" in message


def test_a_pair_of_the_wrong_size_is_named(refused, experiment, own_pairs):
    picture = cv2.imread(str(own_pairs / "lq/2.png"))
    cv2.imwrite(str(own_pairs / "lq/2.png"), picture[:-1])
    message = refused("train", "-opt", experiment(), "--force_yml", *folders(own_pairs))
    assert "2.png: lq is 15 x 18 and gt 64 x 72 pixels, which is not 4 times it" in message


def test_an_image_smaller_than_the_crop_is_named(refused, experiment):
    message = refused("train", "-opt", experiment(), "--force_yml", "datasets:train:gt_size=128")
    assert "0.png: gt is 64 x 72 pixels, smaller than gt_size 128" in message


def test_a_file_that_is_no_image_is_named(refused, experiment, own_pairs):
    for side in ("gt", "lq"):
        (own_pairs / side / "Thumbs.db").write_text("not a picture")
    message = refused("train", "-opt", experiment(), "--force_yml", *folders(own_pairs))
    assert "Thumbs.db: is text, not a picture" in message


def test_fewer_images_than_a_batch_are_named(refused, experiment):
    batch = "datasets:train:batch_size_per_gpu=7"
    message = refused("train", "-opt", experiment(), "--force_yml", batch)
    assert "datasets.train has 6 images per process, fewer than a batch of 7" in message


def test_a_picture_that_the_network_cannot_take_is_named():
    network = VmambaIR(**{key: value for key, value in tiny_network().items() if key != "type"})
    expected = "input is 16 x 18 pixels: height and width must be multiples of 8; .*run.* pads and"
    with pytest.raises(InputError, match=expected):
        network(torch.zeros(1, 3, 16, 18))


def test_a_checkpoint_of_another_network_is_named(refused, experiment):
    torch.save({"params": {"conv_first.weight": torch.zeros(3)}}, "other.pth")
    message = refused("test", "-opt", experiment(path={"pretrain_network_g": "other.pth"}))
    assert "other.pth: not a checkpoint of VmambaIR: 'conv_first.weight' do not fit" in message


def test_a_checkpoint_of_another_scale_is_named(refused, experiment):
    network = tiny_network(scale=2)
    network.pop("type")
    save_network(VmambaIR(**network), "x2.pth")
    message = refused("test", "-opt", experiment(path={"pretrain_network_g": "x2.pth"}))
    assert "x2.pth: its network has scale 2, not 4" in message


def test_a_checkpoint_with_another_gate_is_named_although_every_shape_fits(refused, experiment):
    network = tiny_network(gate="gelu")
    network.pop("type")
    save_network(VmambaIR(**network), "gelu.pth")
    message = refused("test", "-opt", experiment(path={"pretrain_network_g": "gelu.pth"}))
    assert "made with gate: gelu, this network has gate: silu" in message


def test_a_missing_checkpoint_is_named(refused, experiment):
    message = refused("test", "-opt", experiment(path={"pretrain_network_g": "none.pth"}))
    assert "none.pth: there is no such checkpoint" in message


@pytest.mark.parametrize("length", [0, 10, 2000])
def test_a_truncated_checkpoint_is_named(refused, experiment, length):
    network = tiny_network()
    network.pop("type")
    save_network(VmambaIR(**network), "whole.pth")
    Path("cut.pth").write_bytes(Path("whole.pth").read_bytes()[:length])
    message = refused("test", "-opt", experiment(path={"pretrain_network_g": "cut.pth"}))
    assert "cut.pth: truncated or not a checkpoint" in message


class Payload:
    """A pickle of it would create a file when loaded."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize("key", ["pretrain_network_g", "resume_state"])
def test_a_file_that_needs_pickled_code_is_refused_and_not_executed(refused, experiment, key):
    torch.save({"params": {"shallow.weight": Payload()}}, "payload.pth")
    message = refused("train", "-opt", experiment(path={key: "payload.pth"}))
    assert "payload.pth: refused, because reading it would run pickled code" in message
    assert not Path("executed").exists()


def test_a_resume_state_that_is_missing_is_named(refused, experiment):
    message = refused("train", "-opt", experiment(path={"resume_state": "9.state"}))
    assert message.endswith("9.state: there is no such training state; give a .state file")


def test_a_resume_state_that_is_a_network_is_named(refused, experiment):
    torch.save({"params": {}}, "network.pth")
    message = refused("train", "-opt", experiment(path={"resume_state": "network.pth"}))
    assert "network.pth: not a training state: it has no 'epoch'" in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_named(refused, experiment):
    message = refused("train", "-opt", experiment(num_gpu=1))
    assert "num_gpu is 1, and this machine has 0 GPUs" in message


@pytest.mark.parametrize("override", ["nothing", "trian:total_iter=5", "train:total_iter=[1"])
def test_an_override_that_fits_nowhere_is_named(refused, experiment, override):
    assert f"--force_yml {override}" in refused(
        "train", "-opt", experiment(), "--force_yml", override
    )


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("train:scheduler:milestones:0=2", "'milestones' is [3], which has no keys"),
        ("val:metrics:psnr:crop_border=2", "'metrics' is null, which has no keys"),
    ],
)
def test_an_override_inside_what_has_no_keys_says_so(override, sentence, refused, experiment):
    options = experiment(val={"metrics": None})
    assert sentence in refused("train", "-opt", options, "--force_yml", override)


def test_a_repeated_flag_adds_to_the_values_before_it(refused, experiment):
    options = experiment()
    several = ["--force_yml", "nothing=1", "--force_yml", "name=other"]
    assert "nothing: there is no such option" in refused("train", "-opt", options, *several)
    assert "nothing: there is no such option" in refused("check", "-opt", options, *several)
    assert "no/such.yml" in refused("train", "-opt", "no/such.yml", "-opt", options)


def test_overrides_are_yaml_and_never_evaluated(experiment):
    code = "name=__import__('pathlib').Path('executed').touch()"
    opt = options.read(experiment(), is_train=True, overrides=[code, "train:optim_g:lr=2e-4"])
    assert not Path("executed").exists()
    assert opt["train"]["optim_g"]["lr"] == 2e-4


def test_converting_onto_an_existing_file_is_refused(refused, experiment):
    experiment()
    Path("out.pth").write_text("precious")
    network = tiny_network(gate="gelu")
    network.pop("type")
    save_network(VmambaIR(**network), "in.pth")
    assert "out.pth: exists already" in refused("convert", "in.pth", "out.pth")


def test_only_the_problems_of_a_kind_that_are_left_out_are_counted():
    found = [("a", "x"), ("b", "y"), ("a", "z"), ("a", "w")]
    assert first_of_each_kind(found, 3) == ["x", "z", "w", "y"]
    assert first_of_each_kind(found, 2) == ["x", "z (and 1 more like it)", "y"]


LONG = 300 * "x"  # longer than a name can be


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", "in.pth", "/proc/out.pth"],
        ["convert", "in.pth", f"{LONG}.pth"],
        ["convert", "in.pth", "in.pth/out.pth"],
        ["card", "-o", "/proc/card.md", "in.pth"],
        ["export", "in.pth", "/proc/out.onnx", "--size", "8", "8"],
        ["export", "in.pth", f"{LONG}.onnx", "--size", "8", "8"],
        ["explain", "photo.png", "/proc/out.png", "-m", "in.pth"],
        ["options", "--copy", "in.pth/options"],
    ],
    ids=lambda arguments: " ".join(arguments)[:30],
)
def test_a_place_that_cannot_be_written_is_named_before_long_work(
    refused, experiment, arguments, monkeypatch
):
    experiment()
    network = tiny_network()
    network.pop("type")
    save_network(VmambaIR(**network), "in.pth")
    cv2.imwrite("photo.png", np.zeros((96, 96, 3), np.uint8))
    monkeypatch.setattr(VmambaIR, "forward", None)
    message = refused(*arguments)
    place = arguments[2][:200]
    assert message.startswith(f"vmambair: {place}") and "cannot be read or written: " in message
    assert ".tmp" not in message


def test_a_full_disk_is_one_sentence_with_the_files_name(refused, experiment, monkeypatch):
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    experiment()
    network = tiny_network()
    network.pop("type")
    save_network(VmambaIR(**network, gate="gelu"), "in.pth")
    monkeypatch.setattr(os, "fsync", full)
    message = refused("convert", "in.pth", "out.pth")
    assert "vmambair: out.pth: cannot be read or written: No space left on device;" in message


def test_a_silu_network_has_no_released_form(refused, experiment):
    experiment()
    network = tiny_network()
    network.pop("type")
    save_network(VmambaIR(**network), "in.pth")
    assert "cannot express gate: silu" in refused("convert", "in.pth", "out.pth")


def test_a_bug_keeps_its_traceback(experiment, monkeypatch):
    """Only the user's mistakes become a sentence; anything else must be debugged."""
    monkeypatch.setattr(options, "read", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.vmambair(["train", "-opt", experiment()])


@pytest.mark.parametrize("command", ["bench", "explain", "options"])
def test_a_stopped_command_is_one_sentence(command, experiment, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    experiment()
    cv2.imwrite("photo.png", np.zeros((16, 16, 3), np.uint8))
    for module, name in ((session, "run"), (explanation, "explain"), (options_command, "recipes")):
        monkeypatch.setattr(module, name, stop)
    given = ["photo.png", "out.png"] if command == "explain" else []
    assert cli.vmambair([command, *given]) == 130
    assert capsys.readouterr().err == "vmambair: stopped\n"
