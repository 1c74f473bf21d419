"""Rain drawn on photographs: its parameters, its seeds, and the command that previews it."""

import json
import math
import random
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import torch
from basicsr.data import build_dataset

from support import OPTIONS
from vmambair_arch import cli
from vmambair_arch.degrading.rain import Rain, draw_rain, streak
from vmambair_arch.errors import InputError

RAIN = Rain(angle=0, length=20, width=2, density=10, depth=1, opacity=0.8, haze=0, airlight=1)
DARK = np.full((96, 120, 3), 0.1, np.float32)
RANGES = {
    "angle_range": [-30, 30],
    "length_range": [10, 20],
    "width_range": [1, 3],
    "density_range": [5, 10],
    "depth_range": [1, 3],
    "opacity_range": [0.4, 0.9],
    "haze_range": [0, 0.3],
    "airlight_range": [0.7, 1],
}


def drawn(**looks) -> np.ndarray:
    return draw_rain(DARK, replace(RAIN, **looks), np.random.default_rng(0))


@pytest.mark.parametrize("angle", [0, 30, -45, 90])
def test_a_streak_has_its_length_and_width_at_half_its_opacity(angle):
    one = streak(20, 3, math.radians(angle))
    middle = len(one) // 2
    along = np.array([math.cos(math.radians(angle)), -math.sin(math.radians(angle))])  # y, x
    across = along[::-1] * [-1, 1]

    def at(place):
        y, x = np.round(middle + place).astype(int)
        return one[y, x]

    assert one[middle, middle] == 1
    assert at(along * 6) > 0.6
    assert at(along * 15) < 0.1
    assert at(across * 1) > 0.5
    assert at(across * 4) < 0.1


def test_rain_above_0_degrees_falls_to_the_left():
    one = streak(20, 2, math.radians(30))
    upper = one[: len(one) // 2]
    assert np.argmax(upper.sum(0)) > len(one) // 2  # it comes from the upper right


def test_no_streaks_and_no_haze_leave_the_image_unchanged():
    np.testing.assert_array_equal(drawn(density=0), DARK)
    np.testing.assert_array_equal(drawn(opacity=0), DARK)


def test_haze_is_a_share_of_the_airlight():
    np.testing.assert_allclose(drawn(density=0, haze=0.5, airlight=0.9), 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("density", 2, 20),
        ("length", 10, 40),
        ("width", 1, 4),
        ("opacity", 0.2, 0.9),
        ("depth", 1, 3),
        ("haze", 0, 0.4),
    ],
)
def test_more_of_any_parameter_hides_more(name, less, more):
    assert drawn(**{name: less}).mean() + 0.005 < drawn(**{name: more}).mean()


def test_streaks_stay_between_the_image_and_the_airlight():
    rainy = drawn(density=200, depth=3, opacity=1, airlight=0.8)
    assert rainy.dtype == np.float32
    assert rainy.min() >= 0.1 - 1e-6 and rainy.max() <= 0.8 + 1e-6


def test_streaks_reach_into_the_image_from_outside():
    wide, rain = np.zeros((48, 1000, 3), np.float32), replace(RAIN, density=20, length=40)
    rainy = draw_rain(wide, rain, np.random.default_rng(0))
    assert rainy[:8].mean() == pytest.approx(rainy[20:28].mean(), rel=0.25)


@pytest.fixture
def rainy(pairs):
    """Build the data set of a section over the photographs."""

    def build(**section):
        common = {
            "name": "rain",
            "type": "RainDataset",
            "dataroot_gt": str(pairs / "gt"),
            "io_backend": {"type": "disk"},
            "phase": "train",
            "scale": 1,
            **RANGES,
            "gt_size": 48,
            "use_hflip": True,
            "use_rot": False,
        }
        return build_dataset({**common, **section})

    return build


def test_parameters_are_drawn_from_their_whole_ranges(rainy):
    data_set, generator = rainy(), np.random.default_rng(0)
    looks = [data_set.degrade(DARK[:8, :8], generator)[1] for _ in range(60)]
    assert {look["depth"] for look in looks} == {1, 2, 3}
    for name in ("angle", "length", "opacity", "haze", "airlight"):
        low, high = RANGES[f"{name}_range"]
        values = [look[name] for look in looks]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high


def test_training_pairs_depend_on_the_seeds(rainy):
    data_set, samples = rainy(), []
    for number in (1, 1, 2):
        random.seed(number)
        np.random.seed(number)
        samples.append(data_set[0])
    assert samples[0]["lq"].shape == samples[0]["gt"].shape == (3, 48, 48)
    assert torch.equal(samples[0]["lq"], samples[1]["lq"])
    assert not torch.equal(samples[0]["lq"], samples[2]["lq"])


def test_in_validation_an_image_always_gets_the_same_rain(rainy):
    first, again = rainy(phase="val")[0], rainy(phase="val")[0]
    assert torch.equal(first["lq"], again["lq"])
    assert not torch.equal(first["lq"], first["gt"])
    assert not torch.equal(rainy(phase="val", noise_seed=1)[0]["lq"], first["lq"])


@pytest.mark.parametrize("name", RANGES)
def test_a_range_that_is_missing_is_named(rainy, name):
    with pytest.raises(InputError, match=f"data set rain: {name} is missing"):
        rainy(**{name: None})


@pytest.mark.parametrize(
    ("key", "value"),
    [("angle_range", [-30, 100]), ("depth_range", [0, 2]), ("haze_range", [0.5, 0.2])],
)
def test_an_impossible_range_is_refused_by_line(key, value, tmp_path, capsys):
    changes = [f"datasets:train:{key}={value}"]
    file = str(OPTIONS / "train_vmambair_derain_streaks.yml")
    assert cli.vmambair(["check", "-opt", file, "--fast", "--force_yml", *changes]) == 2
    assert f"datasets.train.{key}" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["derain_streaks", "clean"])
def test_the_command_shows_how_a_data_set_degrades_images(recipe, pairs, tmp_path, monkeypatch):
    file, source = str(OPTIONS / f"train_vmambair_{recipe}.yml"), str(pairs / "gt")
    for out, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        folder = str(tmp_path / out)
        assert cli.vmambair(["degrade", source, folder, "-opt", file, "--seed", seed]) == 0
    pictures = [cv2.imread(str(tmp_path / out / "0.png")) for out in "abc"]
    assert pictures[0].shape == cv2.imread(str(pairs / "gt" / "0.png")).shape
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    line = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    looks = asdict(RAIN) if recipe == "derain_streaks" else {"sigma", "jpeg_quality"}
    assert set(looks) <= line.keys()
    alone = str(tmp_path / "alone")
    one = str(pairs / "gt" / "0.png")
    assert cli.vmambair(["degrade", one, alone, "-opt", file, "--seed", "3"]) == 0
    assert np.array_equal(cv2.imread(f"{alone}/0.png"), pictures[0])  # others make no difference
