"""Networks in files of other repositories: loaded in place, trained, and their faults."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from vmambair_arch import cli

# In the style of Mamba restorers: mamba_ssm's scan, BasicSR's registry, a module in its folder.
NETWORK = """
import torch
from basicsr.archs.flip_util import flipped
from basicsr.utils.registry import ARCH_REGISTRY
from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
from torch import nn


{decorator}
class LineMamba(nn.Module):
    def __init__(self, dim=4, scale=4):
        super().__init__()
        self.first, self.steps = nn.Conv2d(3, dim, 3, padding=1), nn.Conv2d(dim, 3 * dim, 1)
        self.A = nn.Parameter(-torch.ones(dim, 1))
        self.last = nn.Sequential(
            nn.Conv2d(dim, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )

    def forward(self, x):
        u = self.first(x)
        y = 0
        for turn in (u, flipped(u)):
            delta, B, C = self.steps(turn).flatten(2).chunk(3, dim=1)
            B, C = B.mean(1, keepdim=True), C.mean(1, keepdim=True)
            scanned = selective_scan_fn(
                turn.flatten(2), delta, self.A, B, C, delta_softplus=True
            ).view_as(u)
            y = y + (scanned if turn is u else flipped(scanned))
        return self.last(u + y)
"""
SECTIONS = {"model_type": "SRModel", "network_g": {"type": "LineMamba", "scale": 4}}


@pytest.fixture
def repository(tmp_path):
    """Write a repository with a copy of BasicSR's folders; returns the network's file."""
    from basicsr.utils.registry import ARCH_REGISTRY

    def write(decorator="@ARCH_REGISTRY.register()", network=NETWORK) -> Path:
        folder = tmp_path / "LineMamba repository/basicsr/archs"
        folder.mkdir(parents=True)
        (folder / "flip_util.py").write_text("def flipped(x):\n    return x.flip(2, 3)\n")
        path = folder / "line_mamba_arch.py"
        path.write_text(network.replace("{decorator}", decorator))
        return path

    yield write
    ARCH_REGISTRY._obj_map.pop("LineMamba", None)


def trained(name: str) -> list[dict]:
    """The figures of a training's validations."""
    lines = Path("experiments", name, "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("decorator", ["@ARCH_REGISTRY.register()", "# nothing"])
def test_a_network_of_a_file_trains_whether_it_is_registered_or_not(
    repository, experiment, decorator
):
    file = str(repository(decorator))
    path = experiment(**SECTIONS, plugins=[file])
    forced = ["train:total_iter=20", "val:val_freq=10", "logger:save_checkpoint_freq=20"]
    assert cli.basicsr(["train", "-opt", path, "--force_yml", *forced]) == 0
    first, last = trained("tiny")
    assert last["iter"] == 20 and last["psnr"] > first["psnr"]


def test_a_file_can_be_given_on_the_command_line_and_to_restore(repository, experiment, capsys):
    from basicsr.utils.registry import ARCH_REGISTRY

    path, plugin = experiment(**SECTIONS), str(repository())
    assert cli.vmambair(["train", "-opt", path, "--plugin", plugin]) == 0
    Image.fromarray(np.full((7, 9, 3), 90, np.uint8)).save("a.png")
    restore = ["restore", "a.png", "-m", "experiments/tiny/models/net_g_latest.pth", "-o"]
    assert cli.vmambair([*restore, "b.png"]) == 0  # the file tells its network's options
    assert Image.open("b.png").size == (36, 28)
    ARCH_REGISTRY._obj_map.pop("LineMamba")
    assert cli.vmambair([*restore, "c.png"]) == 2
    assert "its network is LineMamba, which is not registered" in capsys.readouterr().err


def test_a_path_may_be_below_the_folder_of_the_option_file(
    repository, experiment, monkeypatch, tmp_path
):
    file = repository().relative_to(tmp_path)
    path = Path(experiment(**SECTIONS, plugins=[str(file)])).resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli.vmambair(["train", "-opt", str(path)]) == 0


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("import no_such_package\n", "it imports no_such_package, which is not installed here"),
        ("def broken(:\n", "it cannot be run: SyntaxError: "),
        ("raise OSError('no\\nlibrary')\n", "it cannot be run: OSError: no\n"),
    ],
)
def test_a_file_that_cannot_be_run_is_one_sentence(
    repository, experiment, capsys, network, sentence
):
    file = repository(network=network)
    assert cli.basicsr(["train", "-opt", experiment(**SECTIONS, plugins=[str(file)])]) == 2
    (line,) = capsys.readouterr().err.splitlines(keepends=True)
    assert f"plugin {file}: " in line and sentence in line
    assert not Path("experiments").exists()


def test_a_missing_file_is_named_with_its_line(experiment, capsys):
    path = experiment(**SECTIONS, plugins=["nowhere.py"])
    assert cli.basicsr(["train", "-opt", path]) == 2
    err = capsys.readouterr().err
    assert f"{path}:" in err and "plugins.0: there is no file nowhere.py" in err
    assert cli.basicsr(["train", "-opt", experiment(), "--plugin", "gone.py"]) == 2
    assert "--plugin: there is no file gone.py" in capsys.readouterr().err
    assert cli.basicsr(["train", "-opt", experiment(), "--plugin", "tiny.yml"]) == 2
    assert "tiny.yml: is not a Python file" in capsys.readouterr().err


DOUBLING = """
import torch
from torch import nn


class Doubling(nn.Module):  # takes sides that are multiples of 4
    def __init__(self, num_in_ch=3):
        super().__init__()
        self.conv = nn.Conv2d(num_in_ch, 4 * num_in_ch, 1)

    def forward(self, x):
        assert x.shape[2] % 4 == x.shape[3] % 4 == 0
        return torch.pixel_shuffle(self.conv(x), 2)
"""


@pytest.fixture
def doubling(tmp_path, monkeypatch):
    """Run in a folder with doubling.py, its weights and an option file, which is returned."""
    from basicsr.utils.registry import ARCH_REGISTRY

    monkeypatch.chdir(tmp_path)
    Path("doubling.py").write_text(DOUBLING)
    weights = torch.eye(3).repeat_interleave(4, 0)[..., None, None]
    torch.save({"params": {"conv.weight": weights, "conv.bias": torch.zeros(12)}}, "weights.pth")

    def write(name="doubling.yml", **sections) -> str:
        path = {"pretrain_network_g": "weights.pth", "param_key_g": "params"}
        network = {"type": "Doubling", "num_in_ch": 3}
        opt = {"network_g": network, "path": path, "plugins": ["doubling.py"], **sections}
        Path(name).write_text(yaml.safe_dump(opt))
        return name

    yield write
    ARCH_REGISTRY._obj_map.pop("Doubling", None)


def test_an_option_file_is_a_model_for_every_command(doubling, monkeypatch):
    model = doubling()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    for folder, image in (("lq", pixels), ("gt", pixels.repeat(2, 0).repeat(2, 1))):
        Path(folder).mkdir()
        Image.fromarray(image).save(f"{folder}/a.png")
    assert cli.vmambair(["restore", "lq/a.png", "-o", "b.png", "-m", model]) == 0
    assert np.array_equal(np.asarray(Image.open("b.png")), np.asarray(Image.open("gt/a.png")))
    compare = ["compare", "gt", "--lq", "lq", "--model", model, "--crop-border", "0", "-o", "out"]
    assert cli.vmambair(compare) == 0
    (row,) = json.loads(Path("out/report.json").read_text())["rows"]
    assert (row["method"], row["psnr"]) == ("doubling", "inf")
    export = ["export", model, "out.pt2", "--format", "torch-export", "--size", "8", "12"]
    assert cli.vmambair(export) == 0

    from vmambair_arch.commands.bench import measure
    from vmambair_arch.commands.bench.cases import Case

    monkeypatch.setattr(measure, "SECONDS", 0)
    bare = doubling("bare.yml", plugins=[])
    assert measure.measure(Case(bare, 6, plugins="doubling.py"), "cpu")["parameters"] == 48


def test_a_grey_network_without_an_option_for_its_channels_restores_colours(doubling):
    source = DOUBLING.replace("num_in_ch=3", "").replace("4 * num_in_ch", "4")
    Path("doubling.py").write_text(source.replace("num_in_ch", "1"))
    weights = {"conv.weight": torch.ones(4, 1, 1, 1), "conv.bias": torch.zeros(4)}
    torch.save({"params": weights}, "g.pth")
    model = doubling(network_g={"type": "Doubling"}, path={"pretrain_network_g": "g.pth"})
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    Image.fromarray(pixels).save("a.png")
    assert cli.vmambair(["restore", "a.png", "-o", "b.png", "-m", model]) == 0
    restored = np.asarray(Image.open("b.png"))
    assert np.array_equal(restored, pixels.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"plugins": []}, "network_g: Doubling is not registered; give the Python file"),
        ({"network_g": {"type": "Doubling", "dim": 3}}, "network_g: Doubling cannot be built: "),
        ({"network_g": {}}, "network_g: network_g names no type"),
        ({"network_g": None}, "has no section network_g"),
        ({"path": {}}, "path.pretrain_network_g: names no weights; set it to a weights file"),
        ({"network_g": {"type": "Doubling", "num_in_ch": 1}}, "do not fit Doubling"),
        ({"path": {"pretrain_network_g": "gone.pth"}}, "gone.pth: there is no such checkpoint"),
    ],
)
def test_an_option_file_that_gives_no_network_is_one_sentence(doubling, capsys, sections, sentence):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    model = doubling(**sections)
    assert cli.vmambair(["restore", "a.png", "-o", "b.png", "-m", model]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_plugins_must_be_a_list_of_files(experiment, capsys):
    assert cli.basicsr(["train", "-opt", experiment(**SECTIONS, plugins="one.py")]) == 2
    assert "plugins" in capsys.readouterr().err
