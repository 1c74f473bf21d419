"""Metadata are kept as bytes; what resizing, turning and dropped parts make wrong is corrected."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, IptcImagePlugin

from support import picture_files as files
from vmambair_arch.restoring.files import ifd, reading, writing
from vmambair_arch.restoring.files.picture import Picture

KEPT_IN = ["JPEG", "PNG", "WEBP", "TIFF"]
SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL = 3, 4, 5, 7, 10


def read(content: bytes) -> Picture:
    return reading.read(content, "here", max_megapixels=1)


def written(picture: Picture, form: str) -> bytes:
    file = io.BytesIO()
    writing.encode(picture, file, form)
    return file.getvalue()


def enlarged(picture: Picture, factor: int = 2) -> Picture:
    return picture.replaced(picture.pixels.repeat(factor, 0).repeat(factor, 1))


def entry(kind: int, data: bytes) -> ifd.Entry:
    return ifd.Entry(kind, len(data) // ifd.SIZES[kind], data)


def exif_data(order: str) -> bytes:
    """Like the EXIF of cameras and programs, with texts in UTF-8 and values of every type."""
    number = ("<" if order == "<" else ">") + "i"
    inner = {
        36864: entry(UNDEFINED, b"0231"),
        37121: entry(UNDEFINED, b"\1\2\3\0"),
        37380: entry(SRATIONAL, struct.pack(number, -1) + struct.pack(number, 3)),
        37500: entry(UNDEFINED, b"MakerNote\0\xff" * 5),
        37510: entry(UNDEFINED, b"UNICODE\0" + "Zoë".encode("utf-16-le")),
        40962: entry(SHORT, struct.pack(order + "H", 33)),
        40963: entry(SHORT, struct.pack(order + "H", 20)),
        41486: entry(RATIONAL, struct.pack(order + "2I", 5000, 3)),
        41492: entry(SHORT, struct.pack(order + "2H", 16, 10)),
    }
    tree = {
        271: entry(2, "Größe, 写真".encode() + b"\0"),
        33432: entry(2, "© 2024 José".encode() + b"\0"),
        40093: entry(1, "Zoë".encode("utf-16-le")),
        34665: inner,
        34853: {1: entry(2, b"N\0"), 2: entry(RATIONAL, struct.pack(order + "6I", *[7, 1] * 3))},
    }
    how = ifd.Layout(order)
    return how.header + ifd.packed(tree, how, len(how.header))


def values(data: bytes) -> dict[int, tuple[int, bytes]]:
    """Kinds and bytes of all entries, by tag."""
    how, start = ifd.layout(data)
    first = ifd.directory(data, start, how).entries
    found = dict(first)
    for tag in (34665, 34853):
        (place,) = first[tag].numbers(how.order)
        found |= ifd.directory(data, int(place), how).entries
    return {tag: (each.kind, each.data) for tag, each in found.items() if tag not in (34665, 34853)}


@pytest.mark.parametrize("order", "<>")
def test_moved_maker_notes_are_kept_with_a_warning(order):
    """Their bytes may contain file offsets, which only their maker could correct."""
    data = exif_data(order)
    picture = Picture(files.noise("RGB"), exif=data)
    for form in ("JPEG", "PNG", "WEBP"):
        assert writing.list_losses(picture, form) == [] and data in written(picture, form)
    (told,) = writing.list_losses(picture, "TIFF")
    assert "maker notes" in told
    content = written(picture, "TIFF")
    assert b"MakerNote\0\xff" * 5 in content
    assert told in read(content).warnings and writing.list_losses(read(content), "TIFF") == []
    assert "maker notes" not in str(read(files.tiff(files.noise("RGB"))).warnings)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("target", KEPT_IN)
def test_exif_keeps_its_bytes_and_has_the_new_size(source, target, order):
    data = exif_data(order)
    content = files.encoded(files.noise("RGB"), source, exif=b"Exif\0\0" + data)
    picture = enlarged(read(content), 3)
    before, after = values(data), values(read(written(picture, target)).exif)
    numbers = {40962: 99, 40963: 60}
    for tag, (kind, value) in before.items():
        if tag in numbers:
            value = struct.pack(order + "H", numbers[tag])
        if tag == 41486:
            value = struct.pack(order + "2I", 15000, 3)
        if tag == 41492:
            value = struct.pack(order + "2H", 48, 30)
        assert after[tag] == (kind, value), tag
    if source == target and source != "TIFF":  # maker notes refer to places in the data
        assert len(picture.exif) == len(data)
    assert not picture.warnings


def test_a_size_too_large_for_its_type_gets_a_larger_type():
    content = files.encoded(files.noise("RGB"), "PNG", exif=exif_data("<"))
    picture = read(content)
    large = picture.replaced(np.broadcast_to(np.uint8(0), (10, 70_000, 3)))
    assert values(large.exif)[40962] == (LONG, struct.pack("<I", 70_000))


def with_thumbnail() -> bytes:
    """EXIF data with a thumbnail, and the orientation 6."""
    thumbnail = files.encoded(np.full((12, 16, 3), 200, np.uint8), "JPEG")
    how = ifd.Layout("<")
    second = {513: entry(LONG, bytes(4)), 514: entry(LONG, struct.pack("<I", len(thumbnail)))}
    first = {274: entry(SHORT, struct.pack("<H", 6))}
    start = len(how.header) + len(ifd.packed(first, how, 8))
    head = how.header + ifd.packed(first, how, 8, start)
    end = start + len(ifd.packed(second, how, start))
    second[513] = entry(LONG, struct.pack("<I", end))
    return head + ifd.packed(second, how, start) + thumbnail.ljust(4000, b"\0")


def directories(data: bytes) -> list[ifd.Directory]:
    how, start = ifd.layout(data)
    return ifd.chain(data, start, how, most=9)


def test_the_thumbnail_is_replaced_by_one_of_the_restored_picture():
    data = with_thumbnail().replace(
        struct.pack("<I", len(files.encoded(np.full((12, 16, 3), 200, np.uint8), "JPEG"))),
        struct.pack("<I", 4000),
    )
    pixels = np.zeros((40, 60, 3), np.uint8)
    picture = read(files.encoded(pixels, "PNG", exif=data))
    assert picture.pixels.shape == (60, 40, 3) and not picture.warnings
    first, second = directories(picture.exif)
    assert first.entries[274].data == struct.pack("<H", 1)
    start, length = (struct.unpack("<I", second.entries[tag].data)[0] for tag in (513, 514))
    stored = picture.exif[start : start + length]
    small = np.asarray(Image.open(io.BytesIO(stored)))
    assert small.shape == (60, 40, 3) and small.max() < 20


def test_a_thumbnail_without_room_is_dropped_with_a_warning():
    picture = read(files.encoded(files.noise("RGB"), "PNG", exif=with_thumbnail()[:-3900]))
    assert "its thumbnail is dropped" in picture.warnings
    assert len(directories(picture.exif)) == 1


GEO_KEYS = (1, 1, 0, 1, 1025, 0, 1)


def geotiff(raster_type: int, orientation: int = 1, **matrix: bool) -> bytes:
    place = [
        (33550, "d", 3, (10.0, 20.0, 0.0), True),
        (33922, "d", 6, (2, 3, 0, 500, 900, 0), True),
    ]
    if matrix:
        numbers = (10.0, 1.0, 0, 500, 2.0, -20.0, 0, 900, *[0.0] * 7, 1.0)
        place = [(34264, "d", 16, numbers, True)]
    keys = (34735, "H", 8, (*GEO_KEYS, raster_type), True)
    turn = [(274, "H", 1, orientation, True)] if orientation > 1 else []
    return files.tiff(files.noise("RGB"), extratags=[*place, keys, *turn])


@pytest.mark.parametrize("raster_type", [1, 2])
@pytest.mark.parametrize("matrix", [{}, {"matrix": True}])
def test_pixels_of_a_geotiff_keep_their_coordinates(raster_type, matrix):
    """A pixel's centre keeps its coordinates, by GeoTIFF's formulas."""
    content = geotiff(raster_type, **matrix)
    again = written(enlarged(read(content)), "TIFF")
    half = 0.5 if raster_type == 1 else 0.0  # where a pixel's centre lies in its coordinates
    for x, y in ((0.0, 0.0), (32.0, 19.0)):  # the same place, counted in pixels' corners
        assert where(again, 2 * x - 0.5 + half, 2 * y - 0.5 + half) == pytest.approx(
            where(content, x - 0.5 + half, y - 0.5 + half)
        )


def where(content: bytes, i: float, j: float) -> tuple[float, float]:
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tags = {tag.code: tag.value for tag in file.pages[0].tags}
    if 34264 in tags:
        m = tags[34264]
        return m[0] * i + m[1] * j + m[3], m[4] * i + m[5] * j + m[7]
    scale, tie = tags[33550], tags[33922]
    return tie[3] + (i - tie[0]) * scale[0], tie[4] - (j - tie[1]) * scale[1]


def test_the_coordinates_of_a_turned_geotiff_are_dropped_with_a_warning():
    picture = read(geotiff(1, orientation=6))
    assert any("GeoTIFF" in warning for warning in picture.warnings)
    with tifffile.TiffFile(io.BytesIO(written(picture, "TIFF"))) as file:
        assert not {33550, 33922, 34735} & {tag.code for tag in file.pages[0].tags}


def iptc_block() -> bytes:
    caption = "Grüße".encode()
    data = b"\x1c\2\x78" + struct.pack(">H", len(caption)) + caption
    block = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(data)) + data + bytes(len(data) % 2)
    thumbnail = b"8BIM" + struct.pack(">HHI", 0x040C, 0, 4) + b"\1\2\3\4"
    return block + thumbnail


@pytest.mark.parametrize("source", ["JPEG", "TIFF"])
@pytest.mark.parametrize("target", ["JPEG", "TIFF", "PNG"])
def test_iptc_data_are_kept(source, target):
    block = iptc_block()
    if source == "JPEG":
        segment = b"Photoshop 3.0\0" + block
        content = files.encoded(files.noise("RGB"), "JPEG")
        segment = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
        content = content[:2] + segment + content[2:]
    else:
        content = files.tiff(files.noise("RGB"), extratags=[(34377, 7, len(block), block, True)])
    again = written(enlarged(read(content)), target)
    assert "Grüße".encode() in (read(again).iptc or b"")
    if target != "PNG":
        image = Image.open(io.BytesIO(again))
        assert IptcImagePlugin.getiptcinfo(image)[2, 120] == "Grüße".encode()


def test_metadata_that_a_format_cannot_hold_are_a_warning():
    picture = Picture(files.noise("RGB"), iptc=iptc_block(), carried=((b"tEXt", b"Title\0One"),))
    assert writing.list_losses(picture, "PNG") == []
    assert writing.list_losses(picture, "WEBP") == [
        *("its IPTC data are dropped", "its texts (Title) are dropped")
    ]


SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3 = (b"cICP", bytes([12, 13, 0, 1]))
LINEAR = (b"gAMA", struct.pack(">I", 100_000))


@pytest.mark.parametrize(
    ("chunks", "lost"),
    [
        ([LINEAR], "gAMA"),
        ([P3], "cICP"),
        ([P3, LINEAR], "cICP"),  # which decides
        ([(b"cHRM", struct.pack(">8I", *SRGB[:2], 68000, *SRGB[3:]))], "cHRM"),
        ([(b"cLLI", bytes(8))], "cLLI"),
        ([(b"gAMA", struct.pack(">I", 45455)), (b"cHRM", struct.pack(">8I", *SRGB))], ""),
        ([(b"sRGB", b"\0"), LINEAR], ""),  # sRGB decides
        ([(b"cICP", bytes([1, 13, 0, 1]))], ""),
    ],
)
def test_a_colour_space_that_only_a_png_can_state_is_a_warning_elsewhere(chunks, lost):
    picture = read(files.png(files.noise("RGB"), *chunks))
    assert writing.list_losses(picture, "PNG") == []
    told = f"its colour space ({lost}) is dropped, which changes its colours"
    for form in ("JPEG", "WEBP", "TIFF", "BMP"):
        assert writing.list_losses(picture, form) == ([told] if lost else [])


def test_a_gamma_beside_a_profile_counts_for_nothing():
    picture = Picture(files.noise("RGB"), icc=files.ICC, carried=(LINEAR,))
    assert writing.list_losses(picture, "JPEG") == []


def gain_map(packet: str) -> bytes:
    first, second = (files.encoded(files.noise("RGB"), "JPEG") for _ in range(2))
    data = b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()
    return first[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + first[2:] + second


@pytest.mark.parametrize(
    ("announced", "said"),
    [
        ("xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'", "gain map"),
        ("xmlns:H='http://ns.apple.com/HDRGainMap/1.0/' H:HDRGainMapVersion='65536'", "gain map"),
        (
            "xmlns:GCamera='http://ns.google.com/photos/1.0/camera/' GCamera:MotionPhoto='1'",
            "motion photo",
        ),
    ],
)
def test_data_appended_to_a_photograph_are_dropped_with_the_tags_that_announce_them(
    announced, said
):
    packet = f"<x:xmpmeta><rdf:Description {announced} dc:title='kept'/></x:xmpmeta>"
    picture = read(gain_map(packet))
    assert any(said in warning for warning in picture.warnings)
    name = announced.split(" ")[1].split("=")[0].encode()
    assert b"dc:title='kept'" in picture.packet and name not in picture.packet


def test_xmp_elements_that_announce_such_data_are_dropped_completely():
    space = "xmlns:Container='http://ns.google.com/photos/1.0/container/'"
    inside = "<Container:Directory><rdf:Seq><rdf:li/></rdf:Seq></Container:Directory>"
    packet = f"<x:xmpmeta {space}><a>1</a>{inside}<b>2</b></x:xmpmeta>"
    assert (
        read(gain_map(packet)).packet == f"<x:xmpmeta {space}><a>1</a><b>2</b></x:xmpmeta>".encode()
    )


def test_a_panorama_has_its_new_size():
    packet = b'<x:xmpmeta GPano:FullPanoWidthPixels="66" GPano:CroppedAreaTopPixels="5"/>'
    picture = enlarged(read(files.encoded(files.noise("RGB"), "JPEG", xmp=packet)))
    assert b'FullPanoWidthPixels="132"' in picture.packet
    assert b'CroppedAreaTopPixels="10"' in picture.packet


def test_a_damaged_or_incomplete_profile_is_a_warning():
    broken = files.png(files.noise("L"), (b"iCCP", b"name\0\0" + b"no zlib"))
    assert read(broken).warnings == ("its colour profile is damaged and dropped",)
    content = files.encoded(files.noise("RGB"), "JPEG", icc_profile=bytes(100_000))
    assert len(read(content).icc) == 100_000
    at = content.index(b"ICC_PROFILE\0\2\2")
    half = content[: at - 4] + content[at + int.from_bytes(content[at - 2 : at], "big") - 2 :]
    assert read(half).icc is None
    assert read(half).warnings == ("its colour profile is dropped: found only 1 of its 2 parts",)


def test_a_comment_of_a_jpeg_is_kept():
    content = files.encoded(files.noise("RGB"), "JPEG", comment=b"taken at noon")
    for form in ("JPEG", "PNG"):
        again = read(written(read(content), form))
        assert again.carried == ((b"tEXt", b"Comment\0taken at noon"),)


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
def test_photographs_of_phones_are_read_and_become_png(form):
    pixels = np.full((20, 34, 3), (200, 100, 50), np.uint8)
    tags = Image.Exif()
    tags[271], tags[274] = "Maker", 6
    if form == "HEIF":
        pillow_heif = pytest.importorskip("pillow_heif")
        file = io.BytesIO()
        made = pillow_heif.from_pillow(Image.fromarray(pixels))
        made.save(file, exif=tags.tobytes(), quality=95)
        picture = read(file.getvalue())
    else:
        picture = read(files.encoded(pixels, form, exif=tags, quality=95))
    assert picture.form == "PNG" and picture.pixels.shape == (34, 20, 3)
    assert np.abs(picture.pixels.astype(int) - pixels[0, 0]).max() < 12
    again = read(written(picture, "PNG"))
    assert again.pixels.shape == (34, 20, 3) and b"Maker" in again.exif


@pytest.mark.parametrize("shape", [(1, 9, 3), (9, 1, 4), (1, 1, 3), (1, 9), (9, 1)])
def test_photographs_of_one_pixel_a_side_are_read(shape):
    pixels, file = np.full(shape, 200, np.uint8), io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(pixels)).save(file, quality=95)
    picture = read(file.getvalue())
    assert picture.pixels.shape == shape
    assert np.abs(picture.pixels.astype(int) - pixels).max() < 12


def with_nclx(form: str, primaries: int, transfer: int, **options) -> bytes:
    """A photograph whose file states its colour space by numbers."""
    pixels = files.noise("RGB")
    if form == "AVIF":
        content = files.encoded(pixels, form, **options)
    else:
        file = io.BytesIO()
        made = pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(pixels))
        codes = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6}
        made.save(file, save_nclx_profile=True, **codes)
        content = file.getvalue()
    at = content.index(b"colrnclx") + 8
    return content[:at] + struct.pack(">2H", primaries, transfer) + content[at + 4 :]


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ((12, 13), (12, 13)),  # Display P3
        ((12, 2), (12, 13)),
        ((2, 8), (1, 8)),  # linear
        ((1, 13), None),  # sRGB
        ((1, 1), None),  # BT.709, shown alike
        ((2, 2), None),
    ],
)
def test_a_colour_space_of_a_phones_photograph_is_kept_in_png_and_else_a_warning(
    form, stated, kept
):
    picture = read(with_nclx(form, *stated))
    assert picture.carried == (((b"cICP", bytes([*kept, 0, 1])),) if kept else ())
    assert read(written(picture, "PNG")).carried == picture.carried
    assert ["colour space" in said for said in writing.list_losses(picture, "JPEG")] == (
        [True] if kept else []
    )


def test_a_profile_is_kept_instead_of_the_numbers_beside_it():
    picture = read(with_nclx("AVIF", 12, 13, icc_profile=files.ICC))
    assert picture.icc == files.ICC and picture.carried == ()


@pytest.mark.parametrize("kind", ["L", "RGB", "LA", "RGBA"])
def test_the_resolution_is_kept_or_its_loss_is_noted(kind):
    picture = Picture(files.noise(kind), dpi=(300, 150))
    for form in ("PNG", "TIFF", "BMP"):
        assert read(written(picture, form)).dpi == pytest.approx((300, 150), abs=0.02)
        assert writing.list_losses(picture, form) == []
    assert read(written(picture, "WEBP")).dpi is None
    assert writing.list_losses(picture, "WEBP") == ["its resolution is dropped"]
    tags = Image.Exif()
    tags[282], tags[283], tags[296] = 300.0, 150.0, 2
    described = Picture(picture.pixels, exif=tags.tobytes()[6:], dpi=(300, 150))
    assert writing.list_losses(described, "WEBP") == []
    assert read(written(described, "WEBP")).dpi == (300, 150)
