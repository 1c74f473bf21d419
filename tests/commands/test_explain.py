"""vmambair explain: receptive fields and attributions of networks, checked by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vmambair_arch import VmambaIR, cli, save_network
from vmambair_arch.commands.explain import attribution
from vmambair_arch.reporting.plots import attributions


def sums(side: int = 3) -> nn.Module:
    """Each pixel becomes the sum of the side x side pixels around it."""
    conv = nn.Conv2d(1, 1, side, padding=side // 2, bias=False)
    nn.init.ones_(conv.weight)
    return conv.requires_grad_(False)


def test_the_field_of_a_convolution_is_its_kernel():
    field = attribution.receptive_field(sums(5), torch.rand(1, 1, 9, 11), 4, 3)
    expected = torch.zeros(9, 11)
    expected[2:7, 1:6] = 1
    assert torch.equal(field, expected)
    sides = [attribution.side_with(field, 4, 3, share) for share in (0.04, 0.2, 0.5, 1.0)]
    assert sides == [1, 3, 5, 5]


def test_the_field_of_an_enlarging_network_covers_all_output_pixels_of_the_pixel():
    enlarge = nn.Upsample(scale_factor=2)
    field = attribution.receptive_field(enlarge, torch.rand(1, 3, 4, 4), 1, 2)
    assert field[1, 2] == 3 * 4 and field.sum() == 12


def test_an_attribution_sums_to_the_gain_in_edges_and_stays_within_the_receptive_field():
    torch.manual_seed(0)
    x = torch.rand(1, 1, 24, 24)
    gained = attribution.local_attribution(sums(), x, 10, 12, 4, steps=50)
    blurred = next(attribution._path(x, 50))
    edges = [attribution.edges(sums()(picture), 10, 12, 4) for picture in (blurred, x)]
    assert gained.sum() == pytest.approx(float(edges[1] - edges[0]), rel=0.01)
    outside = gained.clone()
    outside[9:16, 11:18] = 0  # the square, one more pixel, and the kernel around it
    assert not outside.any() and gained.any()


def test_a_path_ends_at_the_picture_and_a_flat_picture_has_no_attribution():
    x = torch.rand(1, 3, 8, 3)  # narrower than the blur
    *_, last = attribution._path(x, 4)
    assert torch.equal(last, x)
    flat = torch.full((1, 1, 12, 12), 0.5)
    gained = attribution.local_attribution(sums(), flat, 4, 4, 4, steps=3)
    assert gained.abs().max() < 1e-3


def test_the_diffusion_index_distinguishes_one_pixel_from_all():
    assert attribution.diffusion_index(torch.ones(5, 8)) == pytest.approx(100)
    one = torch.zeros(5, 8)
    one[2, 3] = -7.0
    assert attribution.diffusion_index(one) == pytest.approx(100 / 40)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A picture, and two networks."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    tiny = {"dim": 2, "num_blocks": [1, 0, 0, 0], "num_refinement_blocks": 0, "d_state": 1}
    for name, scale in (("one", 1), ("two", 2)):
        save_network(VmambaIR(scale=scale, **tiny), f"{name}.pth")
    return tmp_path


def explain(*arguments: str) -> int:
    return cli.vmambair(["explain", "photo.png", *arguments])


def test_networks_are_explained_in_a_picture_and_in_numbers(folder, capsys):
    arguments = ("-m", "one.pth", "-m", "larger=two.pth", "--side", "24", "--steps", "2")
    assert explain("out.png", *arguments, "--at", "4", "30") == 0
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(Path("out.json").read_text())
    assert found["at"] == [4, 30] and found["part"] == [0, 16, 24, 24]
    assert list(found["networks"]) == ["one", "larger"]
    for numbers in found["networks"].values():
        sides = list(numbers["receptive_field"].values())
        assert sides == sorted(sides) and 0 < numbers["diffusion_index"] <= 100
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("one: half of the effective receptive field is in")
    assert lines[-1] == "out.png, out.json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.jpg"], "out.jpg: give the name of a PNG"),
        (["photo.png"], "photo.png exists already; give another name or --overwrite"),
        (["out.png", "--at", "50", "3"], "--at 50 3 is not in photo.png, which has 50 x 40 pixels"),
        (["out.png", "--side", "0"], "--side is 0; it must be 1 or more"),
        (["out.png", "--window", "99"], "--window is 99, and one's output has only 50 x 40 pixels"),
        (["out.png", "-m", "no.pth"], "no.pth"),
        (["out.png", "-m", "one.pth", "-m", "one.pth"], "two methods are called one; give one"),
    ],
)
def test_invalid_input_is_one_sentence(folder, arguments, message, capsys):
    given = arguments if "-m" in arguments else [*arguments, "-m", "one.pth"]
    assert explain(*given) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not Path("out.json").exists()


def test_each_row_shows_the_square_of_its_own_network(folder, monkeypatch):
    drawn, draw = [], attributions.draw

    def noted(picture, networks):
        drawn.extend(networks)
        return draw(picture, networks)

    monkeypatch.setattr(attributions, "draw", noted)
    models = ("-m", "one.pth", "-m", "two.pth")
    assert explain("out.png", *models, "--at", "25", "20", "--window", "8", "--steps", "1") == 0
    squares = [network.square for network in drawn]
    assert squares == [(21, 16, 8), (23.5, 18.5, 4)]  # 8 pixels of outputs of scale 1 and 2
