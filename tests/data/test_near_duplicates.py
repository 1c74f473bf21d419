"""Copies of a picture are found by content, and unrelated pictures are not."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from vmambair_arch.data.near_duplicates import Index, extract_features

PHOTOGRAPHS = {name: getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
SHARED = Path(__file__).resolve().parents[3] / "shared"


def scaled(scale: float):
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return lambda image: cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)


def reencoded(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)


def cut(image: np.ndarray) -> np.ndarray:
    """A part of 70 % of each side."""
    height, width = (round(side * 0.7) for side in image.shape[:2])
    return image[10 : 10 + height, 30 : 30 + width]


COPIES = {
    "as it is": lambda image: image,
    "smaller": scaled(0.3),
    "larger": scaled(1.4),
    "encoded again": reencoded,
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned": np.rot90,
    "cut": cut,
    "cut, larger, encoded, mirrored": lambda image: reencoded(scaled(1.3)(cut(image)))[:, ::-1],
    "brighter": lambda image: (255 * (image / 255) ** 0.7).astype(np.uint8),
}


@pytest.fixture(scope="module")
def index():
    index = Index()
    for name, image in PHOTOGRAPHS.items():
        index.add(name, extract_features(image))
    return index


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_found(index, name, copy):
    alike = index.find(extract_features(np.ascontiguousarray(COPIES[copy](PHOTOGRAPHS[name]))))
    assert [like.key for like in alike] == [name] and alike[0].share > 0.9


def test_how_a_copy_was_changed_is_reported(index):
    image = PHOTOGRAPHS["chelsea"]
    assert str(index.find(extract_features(image))[0]) == "100% alike"
    larger = np.ascontiguousarray(scaled(1.5)(image)[:, ::-1])
    assert str(index.find(extract_features(larger))[0]).endswith(
        "alike, 1.5 times as large, mirrored"
    )
    like = index.find(extract_features(np.ascontiguousarray(image[:, :300])))[0]
    assert 0.95 < like.larger < 1.05 and like.part > 0.9  # all of the smaller one


def test_other_photographs_are_not_copies_even_of_the_same_scene(index):
    strangers = [data.camera(), data.moon(), data.brick(), data.grass(), data.coins(), data.page()]
    assert not any(index.find(extract_features(image)) for image in strangers)
    left, right, _ = data.stereo_motorcycle()
    index = Index()
    index.add("left", extract_features(left))
    assert index.find(extract_features(right)) == []


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.full((3, 900), 40_000, np.uint16),
    ],
)
def test_pictures_without_details_are_like_none(index, image):
    assert index.find(extract_features(image)) == []
    flat = Index()
    flat.add("flat", extract_features(image))
    assert (
        flat.find(extract_features(image))
        == flat.find(extract_features(PHOTOGRAPHS["coffee"]))
        == []
    )


def test_nothing_is_found_in_an_empty_index():
    assert Index().find(extract_features(PHOTOGRAPHS["coffee"])) == []


# Many photographs: 1,000 or more if there are enough next to the repository.


FOLDERS = ("data/BSDS500/*", "photos/*", "data/Set5/GT", "data/Set14/GT")
SAME = {"302003.jpg", "woman.png"}  # which Set5 took from BSDS500


@pytest.fixture(scope="module")
def many():
    """Photographs of different things, by path, and an index of every fifth of them."""
    paths = [path for folder in FOLDERS for path in sorted(SHARED.glob(f"{folder}/*.[jp][pn]g"))]
    if not paths:
        pytest.skip("there are no photographs beside the repository")
    paths = [path for path in paths if path.name not in SAME]
    index = Index()
    for path in paths[::5]:
        index.add(path, extract_features(opened(path)))
    return paths, index


def opened(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.long
def test_many_photographs_are_no_copies_of_each_other(many):
    paths, index = many
    known = set(paths[::5])
    for path in paths:
        alike = index.find(extract_features(opened(path)))
        assert [like.key for like in alike] == [path] * (path in known), path


@pytest.mark.long
@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_found_among_many_photographs(many, copy):
    paths, index = many
    asked = paths[::25]
    alike = {
        path: index.find(extract_features(np.ascontiguousarray(COPIES[copy](opened(path)))))
        for path in asked
    }
    found = [path for path in asked if [like.key for like in alike[path]] == [path]]
    print(f"{copy}: {len(found)} of {len(asked)}")
    assert all(like.key == path for path in asked for like in alike[path])
    assert len(found) >= 0.9 * len(asked), set(asked) - set(found)
