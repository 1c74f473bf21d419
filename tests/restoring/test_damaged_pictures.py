"""Damaged, hostile or foreign files: one sentence each, and they never end a batch."""

import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from support import picture_files as files
from vmambair_arch import cli
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.files import decoders, exif, ifd, png_chunks, reading, writing
from vmambair_arch.restoring.files.picture import Picture

DDS = b"DDS " + struct.pack("<7I", 124, 0x1007, 8, 8, 0, 0, 0) + bytes(44)
DDS += struct.pack("<8I", 32, 0x80000, 0, 0, 0, 0, 0, 0) + bytes(84)


def read(content: bytes, megapixels: float = 256) -> Picture:
    return reading.read(content, "a.png", max_megapixels=megapixels)


def refusal(content: bytes) -> str:
    with pytest.raises(InputError) as error:
        read(content)
    assert str(error.value).startswith("a.png: ")
    return str(error.value)


# one boundary


@pytest.mark.parametrize(
    "raised",
    [
        *(RuntimeError("x"), NotImplementedError("x"), RecursionError("x"), AssertionError()),
        *(KeyError(47), struct.error("x"), zlib.error("x"), UnicodeError("x")),
        *(Image.DecompressionBombError("x"), ZeroDivisionError()),
    ],
    ids=repr,
)
def test_whatever_a_decoder_raises_is_one_sentence(raised, monkeypatch):
    def fail(*arguments):
        raise raised

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    assert "damaged or not readable" in refusal(files.encoded(files.noise("RGB"), "JPEG"))


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_exceptions_that_are_not_errors_pass_the_boundary(raised):
    with pytest.raises(raised), decoders.as_input_errors("PNG"):
        raise raised


def test_running_out_of_memory_is_reported(monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    assert "does not fit into memory" in refusal(files.encoded(files.noise("RGB"), "JPEG"))


def test_no_file_ends_a_batch_or_prints_a_librarys_message(tmp_path, capfd):
    made = {
        "a.png": files.encoded(files.noise("RGB"), "PNG"),
        "b.png": DDS,
        "c.jpg": odd_exif(),
        "d.tif": not_a_number(),
        "e.png": files.png(files.noise("RGB", np.uint16))[:-30],
        "f.bmp": b"BM" + bytes(12) + b"\x28" + bytes(60),
        "g.webp": b"RIFF\0\0\0\0WEBPVP8 ",
        "h.png": files.encoded(files.noise("L"), "PNG"),
        "i.png": broken_filter(),
        "j.tif": files.tiff(files.noise("RGB", np.uint16), compression="zlib")[:-9],
    }
    (tmp_path / "in").mkdir()
    for name, content in made.items():
        (tmp_path / "in" / name).write_bytes(content)
    command = ["restore", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    assert cli.vmambair([*command, "-m", files.saved_identity(tmp_path)]) == 1
    told = capfd.readouterr()
    assert "4 of 10 pictures restored" in told.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("a.png", "c.jpg", "d.tif", "h.png")
    ]
    foreign = [line for line in told.err.splitlines() if not line.startswith("vmambair: ")]
    assert not foreign
    assert "c.jpg" in told.out and "its EXIF data is damaged and dropped" in told.out


def odd_exif() -> bytes:
    """A JPEG whose EXIF data declare 90 entries and hold one."""
    entry = struct.pack("<H", 90) + struct.pack("<HHI4s", 274, 3, 1, b"\1\0\0\0")
    data = b"Exif\0\0II*\0\x08\0\0\0" + entry
    content = files.encoded(files.noise("RGB"), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    return content[:2] + segment + content[2:]


def not_a_number() -> bytes:
    """A TIFF whose resolution is NaN."""
    nan = struct.pack("<f", float("nan"))
    tags = [(tag, "f", 1, struct.unpack("<f", nan)[0], True) for tag in (282, 283)]
    return files.tiff(files.noise("RGB"), extratags=tags)


def broken_filter() -> bytes:
    """A PNG of 16 bits with correct checksums and an unknown filter."""
    rows = zlib.compress(b"\x63" + bytes(6 * 8 + 7 * 49))
    header = struct.pack(">2I5B", 8, 8, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(files.chunk(*each) for each in chunks)


def test_a_resolution_that_is_nan_or_huge_is_left_out():
    picture = read(not_a_number())
    assert picture.dpi is None
    for dpi in ((1e30, 1e30), (1e-30, 1e-30), (70_000, 70_000)):
        for form in ("PNG", "JPEG", "TIFF", "WEBP", "BMP"):
            writing.encode(Picture(files.noise("RGB"), dpi=dpi), io.BytesIO(), form)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_numbers_of_exif_data_may_be_anything(value):
    def floats(number: int) -> ifd.Entry:
        return ifd.numbers(11, [value] * number, ifd.Layout())

    inside = {41486: floats(2), 41487: floats(2), 37396: floats(4), 41492: floats(2)}
    others = {296: floats(1), 282: floats(1), 283: floats(1), 33550: floats(3), 33922: floats(6)}
    for nested in (inside, floats(1)):
        data = b"Exif\0\0" + exif.from_tree({34665: nested, **others}, "<")
        segment = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
        content = files.encoded(files.noise("RGB"), "JPEG")
        restored = read(content[:2] + segment + content[2:]).replaced(files.noise("RGB", width=66))
        for form in ("PNG", "JPEG", "TIFF"):
            writing.encode(restored, io.BytesIO(), form)


def test_only_our_own_limit_applies_to_a_large_tiff(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # PIL's own
    for options in ({"compression": "tiff_lzw"}, {"compression": "jpeg"}, {}):
        content = files.encoded(files.noise("L"), "TIFF", **options)
        assert read(content).pixels.shape == (20, 33)
    assert Image.MAX_IMAGE_PIXELS == 100


# few bytes that inflate to many


def test_a_picture_that_does_not_fit_into_memory_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(reading.memory, "free", lambda device: 5_000)
    forms = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
    contents = [files.encoded(files.noise("RGB"), form) for form in forms]
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)  # is not called
    for content in contents:
        assert "33 x 20 pixels, which take" in refusal(content)


def test_a_header_that_promises_more_than_the_data_hold_is_damage():
    noise = files.noise("RGB", height=64, width=96)
    content = files.encoded(noise, "JPEG", quality=90)
    stated = struct.pack(">HHB", 64, 96, 3)
    for height, width in ((128, 96), (64, 9000), (16000, 16000)):
        assert "damaged" in refusal(content.replace(stated, struct.pack(">HHB", height, width, 3)))
    header = struct.pack(">2I5B", 9000, 9000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(files.chunk(*each) for each in chunks)
    assert "holds less than its header says" in refusal(png)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_without_its_last_bytes_is_read_with_a_warning(options):
    noise = files.noise("RGB", height=160, width=160)
    content = files.encoded(noise, "JPEG", quality=90, **options)
    whole = read(content)
    assert not whole.warnings
    without_end = read(content[:-2])
    assert np.array_equal(without_end.pixels, whole.pixels)
    assert without_end.warnings == ("its end marker is missing; its pixels seem to be complete",)
    if not options:
        cut = read(content[:-40])
        assert "its last bytes are missing" in cut.warnings[0]
        assert np.array_equal(cut.pixels[:-20], whole.pixels[:-20])
    for share in (0.3, 0.6, 0.8):
        assert "truncated" in refusal(content[: int(share * len(content))])
        assert "truncated" in refusal(content[: int(share * len(content))] + b"\xff\xd9")


def test_a_grey_jpeg_is_not_mistaken_for_a_truncated_one():
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert not read(files.encoded(flat, "JPEG")).warnings


# files that are read although stricter programs refuse them


def test_long_texts_and_profiles_of_a_png_are_kept():
    text = (b"zTXt", b"workflow\0\0" + zlib.compress(b"abc " * 400_000))
    assert read(files.png(files.noise("L"), text)).carried == (text,)
    profile = os.urandom(2**21)
    content = files.png(files.noise("L"), (b"iCCP", b"name\0\0" + zlib.compress(profile)))
    assert read(content).icc == profile


def test_a_wrong_checksum_outside_the_pixels_is_a_warning():
    text = files.chunk(b"tEXt", b"Title\0One")
    content = files.png(files.noise("L"), (b"tEXt", b"Title\0One"))
    picture = read(content.replace(text, text[:-1] + bytes([text[-1] ^ 1])))
    assert picture.carried == ()
    assert picture.warnings == ("a part besides its pixels (tEXt) is damaged and dropped",)
    data = content.index(b"IDAT") + 10
    assert "damaged" in refusal(content[:data] + bytes([content[data] ^ 1]) + content[data + 1 :])


# work that grows no faster than the file


def steps(content: bytes) -> int:
    """Lines of Python run while a file is read."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        reading.read(content, "a", max_megapixels=1)
    except InputError:
        pass
    finally:
        sys.settrace(before)
    return count


def many_chunks(number: int) -> bytes:
    return files.png(files.noise("L"), *[(b"prIv", b"")] * number)


def many_texts(number: int) -> bytes:
    return files.png(files.noise("L"), *[(b"tEXt", b"a\0b")] * number)


def many_data(number: int) -> bytes:
    content = files.png(files.noise("L"))
    at = content.index(b"IDAT") - 4
    return content[:at] + files.chunk(b"IDAT", b"") * number + content[at:]


def many_tags(number: int) -> bytes:
    entries = b"".join(
        struct.pack("<HHI4s", (1000 + i) % 2**16, 1, 1, bytes(4)) for i in range(number)
    )
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", number) + entries + bytes(4)
    return files.png(files.noise("L"), (b"eXIf", data))


def many_pages(number: int) -> bytes:
    """A TIFF whose pages overlap: each begins within the previous one."""
    directory = struct.pack("<H", 60) + struct.pack("<HHI4s", 256, 3, 1, b"\1\0\0\0") * 60
    content = bytearray(b"II*\0" + struct.pack("<I", 8) + directory)
    for _ in range(number):
        place = len(content)
        content += struct.pack("<I", place + 4) + directory
    return bytes(content) + bytes(4)


def many_strips(number: int) -> bytes:
    return files.tiff(np.zeros((number, 2), np.uint8), rowsperstrip=1)


def many_segments(number: int) -> bytes:
    content = files.encoded(files.noise("L"), "JPEG")
    return content[:2] + b"\xff\xe5\0\2" * number + content[2:]


@pytest.mark.parametrize(
    "make", [many_chunks, many_texts, many_data, many_tags, many_pages, many_strips, many_segments]
)
def test_work_grows_linearly_with_the_input(make):
    once, twice = (steps(make(number)) for number in (150, 300))
    assert twice < 2.2 * once + 100


@pytest.mark.parametrize("filling", [b" ", b" hdrgm:a", b"<hdrgm:a>", b" xmpNote:HasExtendedXMP="])
def test_long_xmp_is_read_quickly(filling):
    """With a pattern that backtracks over runs it would take minutes, or forever."""
    spaces = b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
    packet = b"<x " + spaces + b">" + filling * (4_000_000 // len(filling)) + b"</x>"
    read(files.encoded(files.noise("RGB"), "WEBP", xmp=packet))


def many_comments(number: int) -> bytes:
    content = files.encoded(files.noise("L"), "JPEG")
    return content[:2] + (b"\xff\xfe\0\3a") * number + content[2:]


@pytest.mark.parametrize("make", [many_texts, many_comments])
def test_many_texts_are_read_quickly(make):
    """Copying all earlier texts for each would take minutes."""
    read(make(60_000))


def test_absurd_numbers_of_parts_are_refused(monkeypatch):
    monkeypatch.setattr(png_chunks, "MAX_CHUNKS", 50)
    assert "more than 50 chunks" in refusal(many_chunks(60))
    content = files.encoded(files.noise("RGB"), "JPEG", progressive=True)
    scan = content[content.index(b"\xff\xda") : -2]
    assert "scans" in refusal(content[:-2] + scan * 600 + b"\xff\xd9")


def test_a_jpeg_may_have_many_scans_or_many_pixels():
    """Each scan goes over all pixels."""
    content = files.encoded(files.noise("RGB"), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    frame = struct.pack(">HH", *files.noise("RGB").shape[:2])
    at = content.index(b"\xff\xc2") + 5
    assert content[at : at + 4] == frame

    def made(height: int, width: int, more: int) -> bytes:
        """A JPEG with another size in its header, more scans, and padding."""
        size = struct.pack(">HH", height, width)
        scans = content[at + 4 : -2] + last * more + bytes(height * width // 512)
        return content[:at] + size + scans + b"\xff\xd9"

    for height, width, more in ((4000, 4000, 20), (1000, 1000, 300), (20_000, 20_000, 10)):
        assert reading.measured_content(made(height, width, more), "a") == (height, width)
    said = "has 210 scans of 16 megapixels; more than 32 are read of up to 500 megapixels in all"
    assert said in refusal(made(4000, 4000, 200))
    assert "has 40 scans of 400 megapixels" in refusal(made(20_000, 20_000, 30))


def with_parts(height: int, width: int, number: int, begins: int, lengths: int) -> bytes:
    """A TIFF that declares this many strips or tiles."""
    content = files.tiff(np.zeros((1, 1), np.uint8))
    how, start = ifd.layout(content) or (ifd.Layout(), 8)
    entries = dict(ifd.directory(content, start, how).entries)
    tags = {256: [width], 257: [height], begins: [8] * number, lengths: [1] * number}
    entries |= {tag: ifd.numbers(ifd.LONG, values, how) for tag, values in tags.items()}
    return how.header + ifd.packed(entries, how, 8)


@pytest.mark.parametrize("tags", [(273, 279), (324, 325)])
def test_many_tiny_strips_and_tiles_are_refused(tags):
    refused = "has 100,000 strips or tiles, more than 65,536 and with fewer than 1,024 pixels each"
    assert refused in refusal(with_parts(100_000, 9, 100_000, *tags))
    for height, width, number in ((60_000, 1, 60_000), (100_000, 2000, 100_000)):
        content = with_parts(height, width, number, *tags)
        assert reading.measured_content(content, "a") == (height, width)


def test_of_thousands_of_tags_only_the_first_are_kept_with_a_warning():
    picture = read(many_tags(5000))
    assert picture.warnings == ("the tags of its EXIF data after the first 4,096 are dropped",)
    assert len(exif.tree_of(picture.exif or b"")) == 4096
    entries = {tag: ifd.numbers(ifd.SHORT, [tag], ifd.Layout()) for tag in range(40_000, 45_000)}
    content = files.tiff(np.ones((4, 4), np.uint8))
    how, start = ifd.layout(content) or (ifd.Layout(), 8)
    entries |= ifd.directory(content, start, how).entries
    content = content.ljust(len(content) + len(content) % 2, b"\0")
    content = content[:4] + struct.pack("<I", len(content)) + content[8:]
    picture = read(content + ifd.packed(entries, how, len(content)))
    assert picture.warnings == ("its tags after the first 4,096 are dropped",)


def test_thousands_of_tags_are_examined_only_once():
    assert steps(many_tags(65_535)) < 1.3 * steps(many_tags(5000))


@pytest.mark.skipif(sys.platform == "win32", reason="zeros that nobody wrote take space there")
def test_only_the_head_of_a_file_that_is_not_a_picture_is_read(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte of nothing
    with pytest.raises(InputError, match="holds nothing but zeros"):
        reading.read_file(path, max_megapixels=256)
    with path.open("r+b") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match="has more than 2,115 MB"):
        reading.read_file(path, max_megapixels=256)


def test_a_shape_in_a_description_is_not_trusted():
    pages = np.zeros((2, 8, 8, 2), np.uint16)
    file = io.BytesIO()
    options = {"photometric": "minisblack", "extrasamples": [2], "planarconfig": "contig"}
    tifffile.imwrite(file, pages, **options)
    assert "holds 2 pictures" in refusal(file.getvalue())
    tifffile.imwrite(file := io.BytesIO(), pages[0], description="x" * 40, **options)
    lie = b'{"shape": [1, 1, 1, 8, 8, 2]}'
    content = file.getvalue().replace(b"x" * 40, lie.ljust(40))
    assert read(content).pixels.shape == (8, 8, 2)
