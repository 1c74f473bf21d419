"""vmambair plot --crop: a box in a picture, and the same part of every method's picture."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from vmambair_arch import cli
from vmambair_arch.commands.compare import details
from vmambair_arch.errors import InputError
from vmambair_arch.reporting.plots import crops
from vmambair_arch.reporting.plots.crops import Box, Panel

BOX = Box(40, 32, 12, 8)


def picture(h: int = 48, w: int = 64) -> np.ndarray:
    """Random pixels, the same for every call."""
    return np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A comparison of two pictures, of bicubic interpolation and a folder of results."""
    monkeypatch.chdir(tmp_path)
    for place in ("gt", "lq", "out"):
        Path(place).mkdir()
    for name in ("baby", "bird"):
        Image.fromarray(picture()).save(f"gt/{name}.png")
        Image.fromarray(picture()[::4, ::4]).save(f"lq/{name}.png")
        Image.fromarray(picture() // 2).save(f"out/{name}.png")
    assert cli.vmambair(["compare", "gt", "half=out", "--lq", "lq", "--bicubic"]) == 0
    return tmp_path


def plot(*arguments: str) -> int:
    return cli.vmambair(["plot", *arguments])


def test_the_box_is_drawn_in_the_first_picture_and_every_crop_shows_what_is_in_it():
    small = picture()[::4, ::4]
    panels = [Panel("gt", picture()), Panel("lq", small, "20.00 dB"), Panel("same", picture())]
    figure = crops.draw(panels, Box(16, 8, 24, 20))
    whole, *shown = figure.axes
    (box,) = whole.patches
    assert (box.get_xy(), box.get_width(), box.get_height()) == ((15.5, 7.5), 24, 20)
    assert np.array_equal(shown[0].images[0].get_array(), picture()[8:28, 16:40])
    assert np.array_equal(shown[1].images[0].get_array(), small[2:7, 4:10])
    labels = [axes.get_xlabel() for axes in shown]
    assert labels == ["gt", "lq\n20.00 dB", "same"]


def test_long_names_do_not_run_into_each_other():
    names = ("gt", "six blocks at a quarter of the size", "ffn_expansion_factor 1.5", "two levels")
    figure = crops.draw([Panel(name, picture()) for name in 3 * names], Box(16, 8, 24, 20))
    figure.draw_without_rendering()
    boxes = [axes.xaxis.label.get_window_extent() for axes in figure.axes[1:]]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_pictures_cropped_to_multiples_of_the_scale_show_the_same_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth, ours = picture()[:47, :63], picture()[:44, :60]
    small = ours[::4, ::4]
    figure = crops.draw([Panel(*p) for p in (("gt", truth), ("ours", ours), ("lq", small))], BOX)
    gt, same, low = (axes.images[0].get_array() for axes in figure.axes[1:])
    assert np.array_equal(gt, same) and np.array_equal(low, small[8:10, 10:13])
    for name, pixels in (("gt", truth), ("ours", ours)):
        Image.fromarray(pixels).save(f"{name}.png")
    first, other = details.measured(details.from_files(["gt.png", "ours.png"]), BOX)
    assert (first.note, other.note) == ("", "inf dB")
    with pytest.raises(InputError, match="is not within ours, which has 60 x 44 pixels"):
        details.measured([first, other], Box(50, 32, 12, 8))


def test_the_crops_of_a_comparison_are_its_methods_outputs(folder, monkeypatch):
    drawn = []
    draw = crops.draw
    monkeypatch.setattr(
        crops, "draw", lambda panels, box: drawn.extend(panels) or draw(panels, box)
    )
    box = ("--crop", "8", "8", "16", "12")
    assert plot("comparison/report.json", "detail.pdf", "--image", "bird", *box) == 0
    assert Path("detail.pdf").read_bytes().startswith(b"%PDF")
    assert [panel.name for panel in drawn] == ["original", "bicubic", "half"]
    assert np.array_equal(drawn[0].pixels, picture())
    assert np.array_equal(drawn[2].pixels, picture() // 2)
    assert drawn[1].pixels.shape == (48, 64, 3) and drawn[1].note.endswith(" dB")


def test_an_image_is_found_beside_others_whose_names_begin_with_its_own(folder):
    for place in ("gt", "lq", "out"):
        Path(place, "bird.png").rename(Path(place, "baby_2.png"))
    assert cli.vmambair(["compare", "gt", "out", "--lq", "lq", "--bicubic", "--overwrite"]) == 0
    Path("out/baby_2.png").unlink()  # of another image
    box = ("--image", "baby", "--crop", "8", "8", "9", "9")
    assert plot("comparison/report.json", "a.png", *box) == 0


def test_pictures_in_files_are_measured_against_the_first(folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(crops, "draw", lambda panels, box: drawn.extend(panels) or Figure())
    files = ("gt/baby.png", "ours=out/baby.png", "input=lq/baby.png")
    assert plot(*files, "detail.png", "--crop", "8", "8", "16", "12") == 0
    assert [panel.name for panel in drawn] == ["baby", "ours", "input"]
    assert [bool(panel.note) for panel in drawn] == [False, True, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["comparison/report.json", "out.png"], "give --image with one of the report of"),
        (["comparison/report.json", "out.png", "--image", "brd"], "did you mean 'bird'?"),
        (["gt/baby.png", "out.png", "--image", "bird"], "--image is for a report"),
        (["gt/baby.png", "out.tex"], "out.tex: give a picture (.png, .svg, .pdf)"),
        (["gt/no.png", "out.png"], "gt/no.png"),
        (
            ["comparison/report.json", "comparison/report.json", "out.png"],
            "crops need a single report",
        ),
    ],
)
def test_invalid_crops_are_one_sentence(folder, arguments, message, capsys):
    capsys.readouterr()
    assert plot(*arguments, "--crop", "8", "8", "16", "12") == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not Path("out.png").exists()


@pytest.mark.parametrize("box", ["50 8 16 12", "8 40 16 12", "-1 8 16 12", "8 8 0 12"])
def test_a_box_must_be_within_the_picture(folder, box, capsys):
    capsys.readouterr()
    assert plot("gt/baby.png", "out/baby.png", "out.png", "--crop", *box.split()) == 2
    assert "is not within baby, which has 64 x 48 pixels" in capsys.readouterr().err
