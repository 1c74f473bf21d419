"""Networks in files of other repositories: loaded as they lie there, trained, and their faults."""

import json
from pathlib import Path

import pytest

from vmambair_arch import cli

# In the style of Mamba restorers: the scan of mamba_ssm, BasicSR's registry, a module beside it.
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


def test_a_file_is_given_on_the_command_line_too(repository, experiment):
    path = experiment(**SECTIONS)
    assert cli.vmambair(["train", "-opt", path, "--plugin", str(repository())]) == 0


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


def test_a_file_that_is_not_there_is_named_with_its_line(experiment, capsys):
    path = experiment(**SECTIONS, plugins=["nowhere.py"])
    assert cli.basicsr(["train", "-opt", path]) == 2
    err = capsys.readouterr().err
    assert f"{path}:" in err and "plugins.0: there is no file nowhere.py" in err
    assert cli.basicsr(["train", "-opt", experiment(), "--plugin", "gone.py"]) == 2
    assert "--plugin: there is no file gone.py" in capsys.readouterr().err
    assert cli.basicsr(["train", "-opt", experiment(), "--plugin", "tiny.yml"]) == 2
    assert "tiny.yml: is no file of Python" in capsys.readouterr().err


def test_a_list_of_files_is_wanted(experiment, capsys):
    assert cli.basicsr(["train", "-opt", experiment(**SECTIONS, plugins="one.py")]) == 2
    assert "plugins" in capsys.readouterr().err
