"""Every reader against a second library: kinds, depths, layouts and orientations."""

import io
import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from support import picture_files as files
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.files import reading

KINDS = ["L", "LA", "RGB", "RGBA"]
DEPTHS = [np.uint8, np.uint16]


def read(content: bytes) -> np.ndarray:
    return reading.read(content, "here", max_megapixels=1).pixels


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """By PIL, channel by channel."""
    images = [
        Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(np.atleast_3d(pixels), 2, 0)
    ]
    for image in images:
        image.getexif()[274] = orientation
    seen = np.stack([np.asarray(ImageOps.exif_transpose(image)) for image in images], 2)
    return seen.reshape(*seen.shape[:2], *pixels.shape[2:])


TIFF_LAYOUTS = list(
    itertools.product(
        ["contig", "separate"],
        [(None, None), ("zlib", None), ("zlib", 2)],
        [None, (16, 16)],
        "<>",
        [False, True],
    )
)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_tiffs_of_every_layout_are_read_as_they_were_written(kind, dtype):
    """tifffile wrote the expected values."""
    expected, number = files.noise(kind, dtype), 0
    for planar, (compression, predictor), tile, order, big in TIFF_LAYOUTS:
        if kind == "L" and planar == "separate":
            continue
        stored = np.moveaxis(expected, 2, 0) if planar == "separate" else expected
        options = {"compression": compression, "predictor": predictor, "tile": tile}
        if kind != "L":
            options["planarconfig"] = planar
        orientation = number % 8 + 1
        number += 1
        content = files.tiff(
            np.ascontiguousarray(stored),
            photometric="rgb" if kind.startswith("RGB") else "minisblack",
            extrasamples=["unassalpha"] if kind.endswith("A") else None,
            extratags=[(274, "H", 1, orientation, True)],
            **options,
            byteorder=order,
            bigtiff=big,
        )
        seen = read(content)
        assert seen.dtype == dtype
        assert np.array_equal(seen, turned(expected, orientation)), options


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "YCbCr", "I;16"])
def test_tiffs_of_libtiff_are_read_as_pil_reads_them_or_refused(mode, compression):
    pixels = Image.fromarray(files.noise("RGBA"))
    image = Image.fromarray(files.noise("L", np.uint16)) if mode == "I;16" else pixels.convert(mode)
    file = io.BytesIO()
    try:
        image.save(file, "TIFF", compression=compression)
    except (OSError, ValueError):
        pytest.skip("is not written so")
    stored = Image.open(io.BytesIO(file.getvalue()))
    expected = np.asarray(
        stored.convert({"1": "L", "P": "RGB", "YCbCr": "RGB"}.get(mode, stored.mode))
    )
    try:
        seen = read(file.getvalue())
    except InputError as error:
        assert "imagecodecs" in str(error)
    else:
        assert np.array_equal(seen, expected)


def by_hand(
    pixels: np.ndarray, bits: list[int], length: int, fill: int = 1, planes: int = 1
) -> bytes:
    """A TIFF of one strip after its directory, whose tags may be odd."""
    h, w = pixels.shape[:2]
    numbers = {256: [w], 257: [h], 258: bits, 259: [1], 262: [pixels.ndim - 1], 266: [fill]}
    numbers |= {273: [0], 277: [pixels.reshape(h, w, -1).shape[2]], 278: [h], 279: [length]}
    numbers |= {32997: [planes]}
    long = (273, 279)
    behind = 8 + 2 + 12 * len(numbers) + 4
    start = behind + 2 * len(bits)
    numbers[273] = [start]
    entries = b""
    for tag, values in numbers.items():
        data = struct.pack(f"<{len(values)}{'I' if tag in long else 'H'}", *values)
        value = struct.pack("<I", behind) if len(data) > 4 else data.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, 4 if tag in long else 3, len(values)) + value
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(numbers)) + entries + bytes(4)
    return head + struct.pack(f"<{len(bits)}H", *bits) + pixels.tobytes()


def test_tiffs_with_odd_tags_are_read_if_all_pixels_are_there():
    """A count of bits too many, a strip longer than the file, and bits in reverse."""
    pixels = files.noise("RGB")
    assert np.array_equal(read(by_hand(pixels, [8, 8, 8, 1], pixels.nbytes)), pixels)
    longer = by_hand(pixels, [8, 8, 8], 35_711_440)
    assert np.array_equal(read(longer), pixels)
    with pytest.raises(InputError, match="its end is missing"):
        read(longer[:-9])
    for kind, dtype in (("L", np.uint8), ("L", np.uint16), ("RGB", np.uint16)):
        pixels = files.noise(kind, dtype)
        bits = np.unpackbits(np.frombuffer(pixels.tobytes(), np.uint8), bitorder="little")
        stored = np.packbits(bits).view(dtype).reshape(pixels.shape)
        depths = [8 * pixels.itemsize] * (3 if kind == "RGB" else 1)
        assert np.array_equal(read(by_hand(stored, depths, pixels.nbytes, 2)), pixels)


def test_a_volume_is_not_read_as_its_first_plane():
    volume = np.concatenate([files.noise("L")] * 3)
    content = by_hand(volume, [8], volume.nbytes, planes=3)
    with pytest.raises(InputError, match="3 planes of a volume"):
        read(content)


def test_lzw_tiffs_of_16_bits_are_read_exactly_or_refused():
    """OpenCV writes LZW; what it reads wrong must not be read by it."""
    for kind in ("L", "RGB", "RGBA"):
        pixels = files.noise(kind, np.uint16)
        order = {"L": ..., "RGB": [2, 1, 0], "RGBA": [2, 1, 0, 3]}[kind]
        stored = pixels if kind == "L" else pixels[..., order]
        content = cv2.imencode(".tif", stored, [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
        assert tifffile.TiffFile(io.BytesIO(content)).pages[0].compression == 5
        assert np.array_equal(read(content), pixels)


def packed(samples: np.ndarray, bits: int) -> bytes:
    """Unfiltered rows of a PNG, from samples (h, w) of few bits."""
    h, w = samples.shape
    padded = np.pad(samples, ((0, 0), (0, -w % (8 // bits)))).astype(np.uint8)
    each = np.unpackbits(padded[..., None], axis=2)[..., 8 - bits :]
    rows = np.packbits(each.reshape(h, -1), axis=1)
    return np.pad(rows, ((0, 0), (1, 0))).tobytes()


def png_of(samples: np.ndarray, bits: int, kind: int, *extra: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">2I5B", samples.shape[1], samples.shape[0], bits, kind, 0, 0, 0)
    data = (b"IDAT", zlib.compress(packed(samples, bits)))
    chunks = [(b"IHDR", header), *extra, data, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(files.chunk(*each) for each in chunks)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_values_and_keys_of_few_bits_are_exact(bits):
    """Grey values are scaled to 8 bits, and the key is compared before that."""
    most = 2**bits - 1
    samples = np.random.default_rng(0).integers(0, most + 1, (7, 13))
    shades = (samples * (255 // most)).astype(np.uint8)
    assert np.array_equal(read(png_of(samples, bits, 0)), shades)
    key = int(samples[0, 0])
    for value in (key, key + 2**bits):  # of which the lower bits count
        seen = read(png_of(samples, bits, 0, (b"tRNS", struct.pack(">H", value))))
        assert np.array_equal(seen[..., 0], shades)
        assert np.array_equal(seen[..., 1] == 0, samples == key)
    colours = np.random.default_rng(1).integers(0, 256, (most + 1, 3), np.uint8)
    alpha = np.arange(most + 1).astype(np.uint8)
    chunks = [(b"PLTE", colours.tobytes()), (b"tRNS", alpha.tobytes())]
    seen = read(png_of(samples, bits, 3, *chunks))
    assert np.array_equal(seen[..., :3], colours[samples])
    assert np.array_equal(seen[..., 3], alpha[samples])


@pytest.mark.parametrize("dtype", DEPTHS)
def test_a_colour_key_is_exact(dtype):
    pixels = files.noise("RGB", dtype)
    pixels[3, 4:9] = pixels[0, 0]
    key = struct.pack(">3H", *pixels[0, 0].tolist())
    seen = read(files.png(pixels, (b"tRNS", key)))
    assert np.array_equal(seen[..., :3], pixels)
    assert np.array_equal(seen[..., 3] == 0, (pixels == pixels[0, 0]).all(2))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_files_of_8_bits_are_read_as_opencv_reads_them(form, mode):
    """All but the alpha, which is compared with PIL."""
    image = Image.fromarray(files.noise("RGBA")).convert(mode)
    file = io.BytesIO()
    try:
        image.save(file, form, **({"lossless": True, "exact": True} if form == "WEBP" else {}))
    except OSError:
        pytest.skip("is not written so")
    content = file.getvalue()
    seen = np.atleast_3d(read(content))
    colours = seen[..., : seen.shape[2] - (seen.shape[2] in (2, 4))]
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(np.broadcast_to(colours, expected.shape), expected)
    if seen.shape[2] in (2, 4):
        stored = Image.open(io.BytesIO(content)).convert("RGBA")
        assert np.array_equal(seen[..., -1], np.asarray(stored)[..., 3])
