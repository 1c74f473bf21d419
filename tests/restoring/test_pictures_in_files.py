"""Every format keeps values, depth, alpha, profile, EXIF and orientation."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, features

from support import picture_files as files
from vmambair_arch import cli
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.files import reading, tiff, writing
from vmambair_arch.restoring.files.formats import BY_SUFFIX
from vmambair_arch.restoring.files.picture import Picture

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
    """Files by name, and their pixels."""
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
    """The folder with an identity network's output for every example."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "in").mkdir()
    for name, (content, _) in EXAMPLES.items():
        (folder / "in" / name).write_bytes(content)
    command = ["restore", str(folder / "in"), "-o", str(folder / "out")]
    assert cli.vmambair([*command, "-m", files.saved_identity(folder)]) == 0
    return folder / "out"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_identity_network_preserves_the_files_values(name, restored):
    expected, pixels = EXAMPLES[name][1], files.decoded(restored / name)
    assert pixels.dtype == expected.dtype
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("kind", ["L", "RGB"])
def test_a_jpeg_written_as_png_loses_nothing_more(kind, tmp_path):
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
    """EXIF data like a camera's."""
    tags = Image.Exif()
    tags[MAKE], tags[ORIENTATION] = "Maker", orientation
    tags.get_ifd(EXIF).update({DATE: "2024:02:29 12:00:00", LENS: "35 mm", WIDTH: 33, HEIGHT: 20})
    tags.get_ifd(GPS).update({1: "N", 2: (50.0, 3.0, 7.5)})
    return tags


def described() -> bytes:
    """EXIF data of two directories."""
    tags = Image.Exif()
    tags[MAKE] = "Maker"
    tags.get_ifd(EXIF)[LENS] = "35 mm"
    return tags.tobytes().removeprefix(b"Exif\0\0")


def tags_of(picture: Picture) -> Image.Exif:
    """A picture's EXIF data, as PIL reads them."""
    tags = Image.Exif()
    tags.load(picture.exif or b"")
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
    if form != "WEBP":  # which cannot hold it
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
def test_pictures_of_16_bits_keep_profile_and_exif(kind, form):
    pixels = files.noise(kind, DEEP)
    picture = Picture(pixels, icc=files.ICC, exif=described(), dpi=(72, 72), form=form)
    again = read(rewritten(picture))
    assert np.array_equal(again.pixels, pixels)
    assert again.pixels.dtype == DEEP
    assert again.icc == files.ICC
    assert tags_of(again)[MAKE] == "Maker" and tags_of(again).get_ifd(EXIF)[LENS] == "35 mm"


PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description dc:creator="Zo\u00eb"
 tiff:Orientation="TURN" exif:PixelXDimension="33" tiff:ImageLength = '20' crs:Version="16"
 xmpNote:HasExtendedXMP="0123456789ABCDEF"><exif:PixelYDimension>20</exif:PixelYDimension>
 <tiff:ImageWidth>33</tiff:ImageWidth></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def xmp(orientation: int) -> bytes:
    """XMP like Photoshop's."""
    return PACKET.replace("TURN", str(orientation)).encode()


def with_xmp(form: str, packet: bytes, **options) -> bytes:
    """A file of noise with XMP, the format's own way, by others; "16" and "LA" are kinds."""
    pixels = files.noise("LA" if "LA" in form else "RGB", DEEP if "16" in form else np.uint8)
    if "PNG" in form:
        content = files.png(pixels) if "16" in form else files.encoded(pixels, "PNG", **options)
        text = files.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
        return content[:-12] + text + content[-12:]  # behind the pixels, as exiftool does
    if "TIFF" in form:
        return files.tiff(pixels, extratags=[(700, "B", len(packet), packet, True)])
    return files.encoded(pixels, form, xmp=packet, **options)


FORMS_WITH_XMP = ["PNG", "JPEG", "WEBP", "TIFF", "PNG 16", "TIFF 16", "TIFF LA 16"]


@pytest.mark.parametrize("form", FORMS_WITH_XMP)
def test_xmp_is_kept_and_has_the_new_size(form):
    packet = xmp(1)
    picture = read(with_xmp(form, packet))
    assert picture.packet == packet.replace(b'\n xmpNote:HasExtendedXMP="0123456789ABCDEF"', b"")
    larger = picture.replaced(picture.pixels.repeat(2, 0).repeat(2, 1))
    expected = (picture.packet or b"").replace(b"33", b"66").replace(b"20", b"40")
    content = rewritten(larger)
    assert read(content).packet == expected
    if form != "TIFF LA 16":  # which PIL does not open
        image = Image.open(io.BytesIO(content))
        image.load()
        assert image.info["xmp"] == expected


@pytest.mark.parametrize("form", FORMS_WITH_XMP)
def test_an_orientation_in_xmp_is_applied_once(form):
    picture = read(with_xmp(form, xmp(6)))
    assert picture.pixels.shape[:2] == (33, 20)
    assert b'tiff:Orientation="1"' in picture.packet or b"tiff:Orientation" not in picture.packet
    again = read(rewritten(picture))
    assert again.pixels.shape[:2] == (33, 20)
    if form in ("PNG", "JPEG", "WEBP"):  # EXIF's counts, where there are both
        both = with_xmp(form, xmp(6), exif=exif(1))
        assert read(both).pixels.shape[:2] == (20, 33)
        assert b'tiff:Orientation="1"' in read(both).packet


def test_compressed_xmp_of_a_png_is_read():
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x:xmpmeta/>")
    for dtype in (np.uint8, DEEP):
        picture = read(files.png(files.noise("L", dtype), (b"iTXt", text)))
        assert picture.packet == b"<x:xmpmeta/>"
        assert read(rewritten(picture)).packet == b"<x:xmpmeta/>"


def test_a_png_keeps_its_texts_and_colour_space():
    chunks = [
        (b"gAMA", struct.pack(">L", 100_000)),
        (b"cICP", bytes([12, 13, 0, 1])),
        (b"tEXt", b'workflow\0{"nodes": []}'),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"long")),
        (b"iTXt", "Title\0\0\0de\0Titel\0Grün".encode()),
    ]
    raw = (b"tEXt", b"Raw profile type exif\0" + b"exif of ImageMagick")
    content = files.png(files.noise("RGB", DEEP), *chunks, raw, (b"tIME", bytes(7)))
    assert read(content).carried == tuple(chunks)
    image = Image.open(io.BytesIO(rewritten(read(content))))
    image.load()
    assert image.info["gamma"] == 1.0
    assert image.text == {"workflow": '{"nodes": []}', "Comment": "long", "Title": "Grün"}


def test_xmp_reaches_the_file_through_the_command(tmp_path):
    (tmp_path / "a.jpg").write_bytes(with_xmp("JPEG", xmp(1)))
    model = files.saved_identity(tmp_path, 4)
    for name in ("b.jpg", "b.png", "b.tif", "b.webp"):
        arguments = ["restore", str(tmp_path / "a.jpg"), "-o", str(tmp_path / name), "-m", model]
        assert cli.vmambair(arguments) == 0
        image = Image.open(tmp_path / name)
        image.load()
        assert b'PixelXDimension="132"' in image.info["xmp"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, DEEP])
def test_a_tiff_above_4_gb_is_a_bigtiff(kind, dtype, monkeypatch):
    monkeypatch.setattr(tiff, "MAX_CLASSIC_BYTES", 500)
    monkeypatch.setattr(tiff, "STRIP_BYTES", 800)
    pixels = files.noise(kind, dtype)
    told = {"icc": files.ICC, "exif": described(), "packet": xmp(1), "dpi": (300, 300)}
    content = rewritten(Picture(pixels, **told, form="TIFF"))
    assert content[:4] in (b"II+\0", b"MM\0+")  # in the order of the EXIF data
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        assert file.is_bigtiff and np.array_equal(file.asarray(), pixels)
    again = read(content)
    assert np.array_equal(again.pixels, pixels) and again.pixels.dtype == dtype
    assert tags_of(again)[MAKE] == "Maker" and tags_of(again).get_ifd(EXIF)[LENS] == "35 mm"
    assert again.icc == files.ICC and again.dpi == (300, 300)
    assert b"Zo\xc3\xab" in again.packet


@pytest.mark.parametrize("kind", ["LA", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
@pytest.mark.parametrize("dtype", [np.uint8, DEEP])
def test_an_extra_channel_of_a_tiff_is_taken_for_alpha(kind, options, dtype):
    pixels = files.noise(kind, dtype)
    picture = read(files.tiff(pixels, extrasamples=["unspecified"], **options))
    assert np.array_equal(picture.pixels, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, DEEP])
def test_a_white_is_zero_tiff_looks_the_same(dtype):
    pixels = files.noise("L", dtype)
    content = files.tiff(pixels, photometric="miniswhite")
    assert np.array_equal(read(content).pixels, ~pixels)


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
    assert tags_of(again).get(ORIENTATION, 1) == 1
    if form != "JPEG":
        assert np.array_equal(again.pixels, picture.pixels)


def turned(channel: np.ndarray, orientation: int) -> np.ndarray:
    image = Image.fromarray(channel)
    image.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


def test_exif_numbers_of_every_type_survive():
    tags = exif(1)
    tags.get_ifd(EXIF).update({33434: 1 / 250, 34855: 400, 37380: -1.5, 37500: b"\0maker\1"})
    again = read(rewritten(read(files.encoded(files.noise("L"), "JPEG", exif=tags))))
    again = tags_of(again).get_ifd(EXIF)
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


def test_files_that_are_not_pictures_are_refused():
    assert "is text, not a picture" in refusal(b"Dear reader")
    assert "is empty" in refusal(b"")


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


def test_unsupported_kinds_are_refused():
    file = io.BytesIO()
    Image.fromarray(files.noise("RGBA")).convert("RGB").convert("CMYK").save(file, "JPEG")
    assert "CMYK" in refusal(file.getvalue())
    assert "floating-point" in refusal(files.tiff(np.zeros((5, 6), np.float32)))
    several = np.zeros((5, 6, 5), np.uint8)
    assert "2 channels" in refusal(files.tiff(several, extrasamples=["unassalpha", "unspecified"]))
    for kind in ("LA", "RGBA"):
        assert "premultiplied" in refusal(files.tiff(files.noise(kind, DEEP), extrasamples=[1]))
    assert "12 bits" in refusal(twelve_bits())
    zipped, lzw = (struct.pack("<2HL2H", 259, 3, 1, kind, 0) for kind in (8, 5))
    content = files.tiff(files.noise("LA", DEEP), compression="zlib")
    assert zipped in content
    if 5 not in tifffile.TIFF.DECOMPRESSORS:
        assert "pip install imagecodecs" in refusal(content.replace(zipped, lzw))
    assert "GIF" in refusal(files.encoded(files.noise("L"), "GIF"))


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_whatever_says_so(curve, name):
    pixels = files.noise("RGB")

    def png(curve):
        return files.png(pixels, (b"cICP", bytes([9, curve, 0, 1])))

    def profile(curve):
        tag = struct.pack(">I4s2I", 1, b"cicp", 144, 12)  # at the end of the header
        return bytes(128) + tag + b"cicp" + bytes([0, 0, 0, 0, 9, curve, 0, 1])

    refused = [png(curve)]
    accepted = [png(13)]  # sRGB's
    for form in ("JPEG", "PNG", "WEBP", "TIFF"):
        refused.append(files.encoded(pixels, form, icc_profile=profile(curve)))
        accepted.append(files.encoded(pixels, form, icc_profile=profile(13)))
    for content in refused:
        assert f"HDR picture ({name})" in refusal(content)
    for content in accepted:
        assert read(content).pixels.shape == pixels.shape


def twelve_bits() -> bytes:
    """A grey TIFF of 12 bits a sample: 2 x 2 pixels, 3 bytes a row."""
    tags = {256: 2, 257: 2, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 6}
    entries = b"".join(struct.pack("<2HLHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<L", 14) + bytes(6) + struct.pack("<H", 9) + entries + bytes(4)


@pytest.mark.parametrize(
    ("picture", "form", "lost"),
    [
        (Picture(files.noise("RGB", DEEP)), "JPEG", "16 bits"),
        (Picture(files.noise("RGBA")), "JPEG", "alpha"),
        (Picture(files.noise("L"), icc=files.ICC), "BMP", "colour profile"),
        (Picture(files.noise("L"), exif=described()), "BMP", "EXIF"),
        (Picture(files.noise("L"), packet=b"<x:xmpmeta/>"), "BMP", "XMP"),
        (Picture(np.zeros((1, 16384), np.uint8)), "WEBP", "16384"),
        (Picture(np.broadcast_to(np.uint8(0), (40_000, 40_000, 3))), "BMP", "40000 x 40000"),
    ],
)
def test_a_format_that_cannot_hold_the_picture_is_refused(picture, form, lost, tmp_path):
    with pytest.raises(InputError, match=lost):
        writing.write(picture, tmp_path / "a", form)
    assert not any(tmp_path.iterdir())


def test_more_exif_than_a_jpeg_can_hold_is_refused_before_anything_is_computed():
    much = bytes(70_000)
    for told in ({"exif": much}, {"packet": much}):
        picture = Picture(files.noise("RGB"), **told)
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


def test_suffixes_in_upper_case_mean_the_same_formats(tmp_path):
    assert BY_SUFFIX[".jpg"] == "JPEG"
    (tmp_path / "A.PNG").write_bytes(EXAMPLES["L.png"][0])
    arguments = ["restore", str(tmp_path / "A.PNG"), "-o", str(tmp_path / "out")]
    assert cli.vmambair([*arguments, "-m", files.saved_identity(tmp_path)]) == 0
    assert (tmp_path / "out" / "A.PNG").exists()


def test_a_wide_png_is_written_unchanged():
    pixels = np.random.default_rng(0).integers(0, 65536, (3, 700_000, 4), DEEP)  # several strips
    for form in ("PNG", "TIFF"):
        again = reading.read(rewritten(Picture(pixels, form=form)), "here", max_megapixels=3)
        assert np.array_equal(again.pixels, pixels)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize(
    ("subsampling", "kind", "profile", "shape"),
    [
        ("4:0:0", "RGB", None, ()),
        ("4:0:0", "RGBA", None, (2,)),
        ("4:0:0", "RGBA", files.ICC, (4,)),  # of colours
        ("4:2:0", "RGB", None, (3,)),
        ("4:2:0", "RGBA", None, (4,)),
    ],
)
def test_an_avif_is_grey_if_its_file_says_so(subsampling, kind, profile, shape):
    file = io.BytesIO()
    options = {"icc_profile": profile} if profile else {}
    image = Image.fromarray(files.noise(kind))
    image.save(file, "AVIF", quality=100, subsampling=subsampling, **options)
    assert read(file.getvalue()).pixels.shape[2:] == shape
