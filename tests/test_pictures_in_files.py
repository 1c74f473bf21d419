"""What goes in comes out: values, depth, alpha, profile, EXIF and orientation of every format."""

import io
import struct

import numpy as np
import picture_files as files
import pytest
from PIL import Image, ImageOps

from vmambair_arch import cli
from vmambair_arch.errors import InputError
from vmambair_arch.restoring import reading, writing
from vmambair_arch.restoring.formats import BY_SUFFIX
from vmambair_arch.restoring.picture import Picture

DEEP = np.uint16
KINDS = ["L", "LA", "RGB", "RGBA"]
MAKE, ORIENTATION, EXIF, GPS = 271, 274, 34665, 34853
DATE, WIDTH, HEIGHT, LENS = 36867, 40962, 40963, 42036


def palette(transparent: bool) -> tuple[bytes, np.ndarray]:
    """A PNG of a palette, with alpha if wanted, and its colours."""
    image = Image.fromarray(files.noise("RGB")).quantize(16)
    file, options = io.BytesIO(), {"transparency": bytes(range(0, 256, 17))} if transparent else {}
    image.save(file, "PNG", **options)
    return file.getvalue(), np.asarray(Image.open(file).convert("RGBA" if transparent else "RGB"))


def examples() -> dict[str, tuple[bytes, np.ndarray]]:
    """Files by name, and the pixels that they hold."""
    made = {}
    for kind in KINDS:
        shallow, deep = files.noise(kind), files.noise(kind, DEEP)
        made[f"{kind}.png"] = files.encoded(shallow, "PNG"), shallow
        made[f"{kind}_16.png"] = files.png(deep), deep
        made[f"{kind}.tif"] = files.tiff(shallow), shallow
        made[f"{kind}_16.tif"] = files.tiff(deep), deep
        made[f"{kind}_16_deflate.tif"] = files.tiff(deep, compression="zlib", predictor=2), deep
    for kind in ("RGB", "RGBA"):
        lossless = files.encoded(files.noise(kind), "WEBP", lossless=True, exact=True)
        made[f"{kind}.webp"] = lossless, files.noise(kind)
    made["L.bmp"] = files.encoded(files.noise("L"), "BMP"), files.noise("L")
    made["RGB.bmp"] = files.encoded(files.noise("RGB"), "BMP"), files.noise("RGB")
    made["RGBA.bmp"] = files.bmp(files.noise("RGBA")), files.noise("RGBA")
    made["lzw.tif"] = (
        files.encoded(files.noise("RGB"), "TIFF", compression="tiff_lzw"),
        files.noise("RGB"),
    )
    made["palette.png"] = palette(transparent=False)
    made["palette_alpha.png"] = palette(transparent=True)
    black_white = files.noise("L") > 127
    made["bits.png"] = files.encoded(black_white, "PNG"), np.uint8(255) * black_white
    deep = files.noise("RGB", DEEP)  # one colour is transparent
    key = files.png(deep, (b"tRNS", struct.pack(">3H", *deep[0, 0].tolist())))
    alpha = np.full((*deep.shape[:2], 1), 65535, DEEP)
    alpha[0, 0] = 0
    made["key_16.png"] = key, np.concatenate([deep, alpha], 2)
    return made


EXAMPLES = examples()


@pytest.fixture(scope="module")
def restored(tmp_path_factory):
    """The folder with what a network that changes nothing makes of every example."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "in").mkdir()
    for name, (content, _) in EXAMPLES.items():
        (folder / "in" / name).write_bytes(content)
    command = ["restore", str(folder / "in"), "-o", str(folder / "out")]
    assert cli.vmambair([*command, "-m", files.saved_identity(folder)]) == 0
    return folder / "out"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_network_that_changes_nothing_gives_the_files_values_back(name, restored):
    expected, pixels = EXAMPLES[name][1], files.decoded(restored / name)
    assert pixels.dtype == expected.dtype
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("kind", ["L", "RGB"])
def test_a_jpeg_loses_nothing_more_in_a_png(kind, tmp_path):
    (tmp_path / "a.jpg").write_bytes(files.encoded(files.noise(kind), "JPEG"))
    model = files.saved_identity(tmp_path)
    arguments = ["restore", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "a.png"), "-m", model]
    assert cli.vmambair(arguments) == 0
    expected = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)


def test_jpeg_and_lossy_webp_stay_near_their_values():
    ramp = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    pixels = np.stack([ramp, ramp[::-1], 255 - ramp], 2)
    for form in ("JPEG", "WEBP"):
        picture = read(files.encoded(pixels, form, quality=95))
        assert not picture.lossless
        again = read(rewritten(picture))
        assert again.form == form and not again.lossless
        difference = again.pixels.astype(int) - picture.pixels
        assert np.abs(difference).mean() < 1.5


def exif(orientation: int) -> Image.Exif:
    """What a camera writes."""
    tags = Image.Exif()
    tags[MAKE], tags[ORIENTATION] = "Maker", orientation
    tags.get_ifd(EXIF).update({DATE: "2024:02:29 12:00:00", LENS: "35 mm", WIDTH: 33, HEIGHT: 20})
    tags.get_ifd(GPS).update({1: "N", 2: (50.0, 3.0, 7.5)})
    return tags


def read(content: bytes) -> Picture:
    return reading.read(content, "here", max_megapixels=1)


def rewritten(picture: Picture) -> bytes:
    file = io.BytesIO()
    writing.encode(picture, file, picture.form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_profile_exif_and_resolution_are_kept(form):
    kept = {"icc_profile": files.ICC, "exif": exif(1).tobytes()}  # nested ones too
    if form != "WEBP":  # which has no place for it
        kept["dpi"] = (300, 300)
    picture = read(files.encoded(files.noise("RGB"), form, **kept))
    larger = picture.replaced(picture.pixels.repeat(2, 0).repeat(2, 1))
    image = Image.open(io.BytesIO(rewritten(larger)))
    image.load()
    assert image.info["icc_profile"] == files.ICC
    assert form == "WEBP" or image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    tags = image.getexif()
    assert tags[MAKE] == "Maker"
    assert tags.get_ifd(EXIF)[DATE] == "2024:02:29 12:00:00"
    assert tags.get_ifd(EXIF)[LENS] == "35 mm"
    assert tags.get_ifd(GPS) == {1: "N", 2: (50.0, 3.0, 7.5)}
    assert (tags.get_ifd(EXIF)[WIDTH], tags.get_ifd(EXIF)[HEIGHT]) == (66, 40)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_what_is_deep_keeps_profile_and_exif(kind, form):
    pixels = files.noise(kind, DEEP)
    tags = {MAKE: "Maker", EXIF: {LENS: "35 mm"}}
    picture = Picture(pixels, icc=files.ICC, tags=tags, dpi=(72, 72), form=form)
    again = read(rewritten(picture))
    assert np.array_equal(again.pixels, pixels)
    assert again.pixels.dtype == DEEP
    assert again.icc == files.ICC
    assert again.tags[MAKE] == "Maker" and again.tags[EXIF][LENS] == "35 mm"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "PNG 16", "TIFF 16", "TIFF LA 16"])
def test_orientation_is_applied_once(form, orientation):
    stored, options = files.noise("RGB"), {"lossless": True} if form == "WEBP" else {}
    if "16" in form:
        stored = files.noise("LA" if "LA" in form else "RGB", DEEP)
    if form == "PNG 16":
        content = files.png(stored, (b"eXIf", exif(orientation).tobytes()[6:]))
    elif "TIFF" in form and "16" in form:
        content = files.tiff(stored, extratags=[(ORIENTATION, "H", 1, orientation, True)])
    else:
        content = files.encoded(stored, form, exif=exif(orientation), **options)
        tagged = Image.open(io.BytesIO(content))
        seen = np.asarray(ImageOps.exif_transpose(tagged))
    if "16" in form:  # by PIL too, channel by channel
        seen = np.stack([turned(channel, orientation) for channel in np.moveaxis(stored, 2, 0)], 2)
    picture = read(content)
    assert np.array_equal(picture.pixels, seen)
    again = read(rewritten(picture))
    assert again.pixels.shape == picture.pixels.shape
    assert again.tags.get(ORIENTATION, 1) == 1
    if form != "JPEG":
        assert np.array_equal(again.pixels, picture.pixels)


def turned(channel: np.ndarray, orientation: int) -> np.ndarray:
    image = Image.fromarray(channel)
    image.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


def test_exif_of_every_kind_of_number_survives():
    tags = exif(1)
    tags.get_ifd(EXIF).update({33434: 1 / 250, 34855: 400, 37380: -1.5, 37500: b"\0maker\1"})
    again = read(rewritten(read(files.encoded(files.noise("L"), "JPEG", exif=tags)))).tags[EXIF]
    assert float(again[33434]) == pytest.approx(1 / 250)
    assert again[34855] == 400 and float(again[37380]) == -1.5 and again[37500] == b"\0maker\1"


def refusal(content: bytes, megapixels: float = 1) -> str:
    with pytest.raises(InputError) as error:
        reading.read(content, "a.png", max_megapixels=megapixels)
    assert str(error.value).startswith("a.png: ")
    return str(error.value)


@pytest.mark.parametrize(
    "name",
    ["RGB.png", "RGB_16.png", "L.tif", "RGB_16.tif", "LA_16.tif", "RGB.webp", "RGB.bmp", "lzw.tif"],
)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_files_are_refused(name, share):
    content = EXAMPLES[name][0]
    refusal(content[: int(share * len(content))])


def test_a_truncated_jpeg_is_refused():
    content = files.encoded(files.noise("RGB", height=200), "JPEG")
    assert "truncated" in refusal(content[: len(content) // 2])


@pytest.mark.parametrize("name", ["RGB.png", "L_16.png"])
def test_a_broken_chunk_is_refused(name):
    content = bytearray(EXAMPLES[name][0])
    content[len(content) // 2] ^= 1
    assert "damaged" in refusal(bytes(content))


def test_what_is_no_picture_is_refused():
    assert "not a picture" in refusal(b"Dear reader")
    assert "not a picture" in refusal(b"")


def test_absurd_dimensions_are_refused_before_anything_is_decoded():
    header = struct.pack(">2I5B", 2**30, 2**30, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + files.chunk(b"IHDR", header) + files.chunk(b"IEND", b"")
    assert "1073741824 x 1073741824" in refusal(content)
    assert "--max-megapixels" in refusal(files.png(files.noise("L", DEEP)), megapixels=0.0005)


def test_several_pictures_in_a_file_are_refused():
    frames = [Image.fromarray(files.noise("RGB")), Image.fromarray(files.noise("RGB")[::-1])]
    for form in ("WEBP", "PNG", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, form, save_all=True, append_images=frames[1:])
        assert "2 pictures" in refusal(file.getvalue())


def test_kinds_that_are_not_restored_are_refused():
    file = io.BytesIO()
    Image.fromarray(files.noise("RGBA")).convert("RGB").convert("CMYK").save(file, "JPEG")
    assert "CMYK" in refusal(file.getvalue())
    assert "mode F" in refusal(files.tiff(np.zeros((5, 6), np.float32)))
    assert "GIF" in refusal(files.encoded(files.noise("L"), "GIF"))


@pytest.mark.parametrize(
    ("picture", "form", "lost"),
    [
        (Picture(files.noise("RGB", DEEP)), "JPEG", "16 bits"),
        (Picture(files.noise("RGBA")), "JPEG", "alpha"),
        (Picture(files.noise("L"), icc=files.ICC), "BMP", "colour profile"),
        (Picture(files.noise("L"), tags={MAKE: "Maker"}), "BMP", "EXIF"),
        (Picture(np.zeros((1, 16384), np.uint8)), "WEBP", "16384"),
    ],
)
def test_a_format_that_would_lose_something_is_refused(picture, form, lost, tmp_path):
    with pytest.raises(InputError, match=lost):
        writing.write(picture, tmp_path / "a", form)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_that_cannot_be_written_is_refused_before_anything_is_computed(form):
    with pytest.raises(InputError, match="EXIF"):
        writing.check(Picture(files.noise("RGB"), tags={MAKE: 1.5}), form)


def test_more_exif_than_a_jpeg_has_place_for_is_refused_before_anything_is_computed():
    picture = Picture(files.noise("RGB"), tags={EXIF: {37500: bytes(70_000)}})
    with pytest.raises(InputError, match="JPEG cannot hold"):
        writing.check(picture, "JPEG")
    writing.check(picture, "PNG")


@pytest.mark.parametrize("name", ["RGB.png", "LA_16.tif", "RGB_16_deflate.tif", "L.bmp", "lzw.tif"])
def test_files_with_wrong_bytes_are_read_or_refused(name, recwarn):
    rng = np.random.default_rng(0)
    for _ in range(150):
        content = bytearray(EXAMPLES[name][0])
        for position in rng.integers(0, min(len(content), 300), 3):
            content[position] = rng.integers(256)
        try:
            read(bytes(content))
        except InputError as error:
            assert str(error).startswith("here: ")


def test_suffixes_in_capitals_are_the_same_formats(tmp_path):
    assert BY_SUFFIX[".jpg"] == "JPEG"
    (tmp_path / "A.PNG").write_bytes(EXAMPLES["L.png"][0])
    arguments = ["restore", str(tmp_path / "A.PNG"), "-o", str(tmp_path / "out")]
    assert cli.vmambair([*arguments, "-m", files.saved_identity(tmp_path)]) == 0
    assert (tmp_path / "out" / "A.PNG").exists()


def test_a_wide_png_is_written_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 65536, (3, 700_000, 4), DEEP)  # several strips
    for form in ("PNG", "TIFF"):
        again = reading.read(rewritten(Picture(pixels, form=form)), "here", max_megapixels=3)
        assert np.array_equal(again.pixels, pixels)
