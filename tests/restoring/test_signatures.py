"""Files that cannot be restored are recognised by how they begin, and get advice."""

import gzip
import io
import json
import struct
import zipfile

import numpy as np
import pytest
import tifffile
import torch

from support import picture_files as files
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.files import reading
from vmambair_arch.system import signatures


def saved(call, *arguments) -> bytes:
    file = io.BytesIO()
    call(file, *arguments)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.png", b"x")
    return file.getvalue()


def raw(**first) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.zeros((12, 16, 3), np.uint8), photometric="rgb", subifds=1, **first)
        writer.write(np.zeros((96, 128), np.uint16), photometric=32803)
    return file.getvalue()


def tensors() -> bytes:
    head = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(4)


OTHERS = {
    "gif": (files.encoded(files.noise("L"), "GIF"), "is a GIF", "ffmpeg"),
    "jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL", "djxl"),
    "jxl code": (b"\xff\x0a" + bytes(50), "JPEG XL", "djxl"),
    "jp2": (files.encoded(files.noise("RGB"), "JPEG2000"), "JPEG 2000", "convert"),
    "psd": (b"8BPS\0\1" + bytes(50), "Photoshop", "export"),
    "xcf": (b"gimp xcf v011\0", "GIMP", "export"),
    "pdf": (b"%PDF-1.7\n" + bytes(50), "document", "pdftoppm"),
    "svg": (b'<?xml version="1.0"?>\n<!-- a -->\n<svg width="9">', "drawing", "Inkscape"),
    "html": (b"<!DOCTYPE html><html><svg></svg>", "web page", "download"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs", "git lfs pull"),
    "exr": (b"v/1\x01" + bytes(50), "OpenEXR", "16 bits"),
    "hdr": (b"#?RADIANCE\nFORMAT", "Radiance", "16 bits"),
    "float": (files.tiff(np.zeros((9, 9), np.float32)), "floating-point", "16 bits"),
    "dng": (raw(), "raw photograph", "develop"),
    "raf": (b"FUJIFILMCCD-RAW 0201", "raw photograph", "develop"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\0", "raw photograph", "develop"),
    "mp4": (b"\0\0\0\x18ftypisom\0\0\0\0", "video", "ffmpeg"),
    "mkv": (b"\x1a\x45\xdf\xa3" + bytes(50), "video", "ffmpeg"),
    "mts": (b"\0\0\0\0\x47" + bytes(191) + b"\x47" + bytes(191), "video", "ffmpeg"),
    "zip": (archive(), "archive", "unpack"),
    "gz": (gzip.compress(b"x"), "archive", "unpack"),
    "tar": (bytes(257) + b"ustar" + bytes(250), "archive", "unpack"),
    "pth": (saved(lambda f: torch.save({"a": torch.zeros(3)}, f)), "weights", "-m"),
    "safetensors": (tensors(), "weights", "-m"),
    "onnx": (b"\x08\x0a\x12\x07pytorch\x1a\x032.1" + bytes(50), "is an ONNX file", ""),
    "npy": (saved(np.save, np.zeros(3)), "NumPy", "PNG"),
    "zeros": (bytes(5000), "nothing but zeros", "copy"),
    "empty": (b"", "is empty", "copy"),
    "text": ("Grüße aus".encode(), "is text", ""),
    "thumbs": (b"\xd0\xcf\x11\xe0" + bytes(50), "Thumbs.db", ""),
    "unknown": (b"\x07\xf3\x99\x01" + bytes(50), "not a known kind of picture", "save it as PNG"),
    "dds": (b"DDS " + bytes(124), "DDS", "PNG"),
    "ico": (files.encoded(files.noise("RGB", height=32, width=32), "ICO"), "icon", "PNG"),
    "avis": (b"\0\0\0\x18ftypavis\0\0\0\0avis", "animation", "ffmpeg"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5", "PNG"),
    "fits": (b"SIMPLE  =                    T", "FITS", "PNG"),
    "eps": (b"\xc5\xd0\xd3\xc6\x20\0\0\0", "document", "Ghostscript"),
    "xpm": (b"/* XPM */\nstatic char", "X11", "PNG"),
    "xbm": (b"#define hopper_width 20", "X11", "PNG"),
    "ppm": (files.encoded(files.noise("RGB"), "PPM"), "Netpbm", "PNG"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_is_recognised_and_gets_advice(name):
    content, what, way = OTHERS[name]
    with pytest.raises(InputError) as error:
        reading.read(content, "holiday", max_megapixels=1)
    told = str(error.value)
    assert what in told and way in told and told.startswith("holiday: ")
    assert "remove" not in told and "\n" not in told


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_given_as_weights_is_recognised_by_the_same_table(name, tmp_path):
    content, what, _ = OTHERS[name]
    kind = signatures.why_no_checkpoint(content)
    if name in ("pth", "safetensors", "zeros", "empty", "unknown"):
        assert kind is None
    elif name == "text":
        assert kind and kind.startswith("is text ('Gr")
    else:
        assert kind and ", not a checkpoint; " in kind
        assert what.removeprefix("is ") in kind or name in ("float", "dng", "exr", "hdr")


def test_no_sentence_advises_to_remove_a_file():
    assert not any(
        "remove" in told or "delete" in told
        for kind in signatures.OTHERS.values()
        for told in (kind.picture, kind.network or "")
    )


def test_a_heic_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"pip install 'vmambair-arch\[heif\]'"):
        reading.read(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "a", max_megapixels=1)


def test_a_librarys_limit_is_not_called_damage():
    deep = bytearray(files.encoded(files.noise("RGB"), "JPEG"))
    at = deep.index(b"\xff\xc0")
    deep[at + 4] = 12
    lossless = bytes(deep[:at]) + b"\xff\xc3" + bytes(deep[at + 2 :])
    masks = bytearray(files.bmp(files.noise("RGBA")))
    masks[54:66] = struct.pack("<3I", 0xFF000000, 0xFF0, 0xFF0000)
    kinds = ((bytes(deep), "12 bits"), (lossless, "lossless"), (bytes(masks), "bitfields"))
    for content, what in kinds:
        with pytest.raises(InputError, match="not read") as error:
            reading.read(content, "a", max_megapixels=1)
        assert what in str(error.value) and "damaged" not in str(error.value)
