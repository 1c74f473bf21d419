"""Data sets, prepare, degrade and check read the pixels and sizes that restore reads."""

import importlib.util
import io

import cv2
import numpy as np
import pytest
from PIL import Image, features

from support import picture_files as files
from vmambair_arch import cli
from vmambair_arch.commands.degrade import degraded_copies
from vmambair_arch.commands.prepare import inputs, subimages
from vmambair_arch.data import reading, survey
from vmambair_arch.data.entries import Entry
from vmambair_arch.data.images import image_files
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.files import reading as pictures

DEEP = np.uint16


def turned(form: str, orientation: int, **options) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return files.encoded(files.noise("RGB"), form, exif=exif, **options)


def planes(dtype: type) -> bytes:
    pixels = np.ascontiguousarray(np.moveaxis(files.noise("RGB", dtype), 2, 0))
    return files.tiff(pixels, photometric="rgb", planarconfig="separate", extrasamples=None)


def heic() -> bytes:
    """A photograph as phones write it, or nothing if no library can write it."""
    if importlib.util.find_spec("pillow_heif") is None:
        return b""
    import pillow_heif

    pillow_heif.from_pillow(Image.fromarray(files.noise("RGB"))).save(file := io.BytesIO())
    return file.getvalue()


FILES = {
    "grey.png": files.encoded(files.noise("L"), "PNG"),
    "alpha.png": files.encoded(files.noise("RGBA"), "PNG"),
    "deep.png": files.png(files.noise("RGB", DEEP)),
    "a.jpg": files.encoded(files.noise("RGB"), "JPEG"),
    "turned.jpg": turned("JPEG", 6),
    "turned.png": turned("PNG", 8),
    "turned.tif": turned("TIFF", 5),
    "turned.webp": turned("WEBP", 6, lossless=True),
    "planes.tif": planes(np.uint8),
    "planes_16.tif": planes(DEEP),
    "big.tif": files.tiff(files.noise("RGB"), bigtiff=True, byteorder=">"),
    "white.tif": files.tiff(files.noise("L"), photometric="miniswhite"),
    "phone.heic": heic(),
    "phone.avif": files.encoded(files.noise("RGB"), "AVIF") if features.check("avif") else b"",
    "bits.bmp": files.encoded(files.noise("L") > 127, "BMP"),
}


FILES = {name: content for name, content in FILES.items() if content}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for name, content in FILES.items():
        (root / name).write_bytes(content)
    return root


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """RGB of a restored picture, as BasicSR reads it: 8 bits, no alpha."""
    pixels = (pixels >> 8).astype(np.uint8) if pixels.dtype == DEEP else pixels
    pixels = np.atleast_3d(pixels)
    return np.broadcast_to(pixels[..., :3], (*pixels.shape[:2], 3))


@pytest.mark.parametrize("name", FILES)
def test_all_read_the_same_picture(name, folder):
    path = folder / name
    picture = pictures.read_file(path, max_megapixels=1)
    height, width = picture.pixels.shape[:2]
    assert pictures.measured(path) == (height, width)
    trained = reading.training_pixels(FILES[name], name)
    assert np.array_equal(trained[..., ::-1], eight_bits(picture.pixels))
    assert np.array_equal(reading.imfrombytes(FILES[name]), trained)
    prepared = subimages.read(path)
    assert prepared.dtype == picture.pixels.dtype and prepared.shape[:2] == (height, width)
    assert np.array_equal(eight_bits(prepared)[..., ::-1], eight_bits(picture.pixels))
    ((_, look),) = survey.decode_images("", [Entry(name, None, path)], fast=False)
    assert look.problem is None and (look.lost == "alpha") == (name == "alpha.png")


@pytest.mark.parametrize("name", ["a.jpg", "turned.jpg", "deep.png", "alpha.png", "grey.png"])
def test_training_keeps_the_pixels_of_basicsr(name):
    buffer = np.frombuffer(FILES[name], np.uint8)
    assert np.array_equal(reading.training_pixels(FILES[name], name), cv2.imdecode(buffer, 1))


def test_damaged_and_other_files_are_named_everywhere(folder, tmp_path):
    path = tmp_path / "a.jpg"
    for content, told in ((FILES["a.jpg"][:600], "damaged"), (b"<html>", "is a web page")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=told):
            reading.training_pixels(content, "a.jpg")
        with pytest.raises(InputError, match=told):
            subimages.read(path)
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="is a NumPy array"):
        reading.decode(file.getvalue(), "a.png")


def test_every_command_uses_every_picture_of_a_folder(folder):
    """Whatever restore reads can also be prepared, degraded and trained on."""
    assert {path.name for path in image_files({"dataroot_gt": str(folder)})} == set(FILES)
    assert inputs.other_files(folder) == degraded_copies.unsupported_files(folder) == []


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith("phone")])
def test_photographs_of_phones_are_prepared(name, folder, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(FILES[name])
    assert cli.vmambair(["prepare", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    made = pictures.read_file(tmp_path / "out/gt/phone.png", max_megapixels=1)
    there = pictures.read_file(folder / name, max_megapixels=1)
    assert np.array_equal(made.pixels, there.pixels)
