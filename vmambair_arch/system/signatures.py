"""Recognises files by their first bytes: pictures that can be read, and advice for others.

One table for callers that expect a picture and those that expect a network.
"""

import codecs
import mmap
import re
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import shortened

HEAD = 4096  # bytes to look at

READ = {  # formats of pictures that can be read, by how their files begin
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "TIFF": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "BMP": re.compile(
        rb"BM.{12}[\x0c\x10(48@l|]\0\0\0"
        rb"|[(48@l|]\0\0\0.{8}\x01\0[\x01\x04\x08\x10\x18 ]\0",  # without the file's header
        re.DOTALL,
    ),
    "AVIF": re.compile(rb"....ftyp(?:avif|(?:mif1|miaf).{4}(?:....)*?avif)", re.DOTALL),
    "HEIF": re.compile(rb"....ftyp(?:hei[cxms]|hev[cmsx]|mif1|msf1|miaf)", re.DOTALL),
}


class Kind(NamedTuple):
    """A kind of file that cannot be read as a picture.

    Args:
        what: its name, after "is".
        picture: the rest of the sentence if a picture was expected.
        network: the advice if a network was expected; None: it may contain one.
    """

    what: str
    picture: str
    network: str | None = "give the network's file"


LIGHT = (
    ": its values are floating-point light; tone-map it (for example in GIMP) and save it as PNG"
)
LIGHT += " or TIFF with 16 bits"
WEIGHTS = ", not a picture; weights are given with -m"
LAYERS = "; export it as PNG or TIFF from the program that made it"
NOT_READ = ", which is not read; convert it to PNG"
EXPORTED = "give the .pth or .safetensors file that it was exported from"

RAW = Kind(
    "a raw photograph",
    "; develop it first (darktable, RawTherapee, dcraw -T) and restore the TIFF or PNG that this"
    " gives",
)
VIDEO = Kind(
    "a video",
    "; give it a suffix that vmambair restore takes for videos (.mp4, .mov, .mkv, ...), or extract"
    " its frames (ffmpeg)",
)
PACKED = Kind("an archive", "; unpack it and give the pictures in it", "unpack it")
TENSORS = Kind("a file of weights or of a training state of a network", WEIGHTS, None)
DRAWING = Kind("a vector drawing", "; export it as PNG (Inkscape, rsvg-convert)")
PAGES = Kind("a document", "; make PNG files of its pages (pdftoppm -png, Ghostscript)")
PICTURE = Kind("a picture", "")

# The kinds of other files; the first match counts.
OTHERS = {
    rb"\0*$": Kind("empty or holds nothing but zeros", "; copy or download it again", None),
    rb"GIF8[79]a": Kind(
        "a GIF", "; save the picture as PNG, or make a video of an animation (ffmpeg)"
    ),
    rb"\xff\x0a|\0\0\0\x0cJXL \r\n": Kind("a JPEG XL picture", f"{NOT_READ} (djxl)"),
    rb"\0\0\0\x0cjP  \r\n|\xff\x4f\xff\x51": Kind(
        "a JPEG 2000 picture", ", which is not read; convert it to PNG or TIFF (opj_decompress)"
    ),
    rb"8BPS": Kind("a Photoshop document", LAYERS),
    rb"gimp xcf": Kind("a GIMP document", LAYERS),
    rb"PK\x03\x04.{26}mimetype(?:application/x-krita|image/openraster)": Kind("a document", LAYERS),
    rb"%PDF|%!PS|\xc5\xd0\xd3\xc6": PAGES,
    rb"\s*<(?:!doctype html|html|head)|(?=\s*<)(?=.*<(?:html|head|body|!doctype html))": Kind(
        "a web page",
        ", as servers send it when a download fails or needs a login; download the file again",
        "download the file itself again",
    ),
    rb"(?=\s*<)(?=.*<svg)": DRAWING,
    rb"v/1\x01": Kind("an OpenEXR picture", LIGHT),
    rb"#\?R(?:ADIANCE|GBE)": Kind("a Radiance HDR picture", LIGHT),
    rb"P[Ff]\n": Kind("a PFM picture", LIGHT),
    rb"P[1-7]\s": Kind("a Netpbm picture", f"{NOT_READ} (pnmtopng)"),
    rb"....ftyp(?:crx )": RAW,
    rb"....ftyp(?:avis)": Kind(
        "an animation (AVIF)", "; make PNG files of its pictures, or a video of it (ffmpeg)"
    ),
    rb"FUJIFILMCCD-RAW|II(?:RO|RS|U\0)|MMOR|FOVb|\0MRM|II\x1a\0\0\0HEAPCCDR": RAW,
    rb"....(?:ftyp|moov|mdat|wide|free)": VIDEO,
    rb"\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01|\x30\x26\xb2\x75|\0\0\x01\xba|OggS": VIDEO,
    rb"\x47.{187}\x47|.{4}\x47.{191}\x47": VIDEO,
    rb"version https://git-lfs": Kind(
        "a pointer of git-lfs", ", not the file itself; run git lfs pull", "run git lfs pull"
    ),
    rb"PK\x03\x04.{26}[^/]{1,80}/(?:data\.pkl|version|byteorder|\.format)": TENSORS,
    rb"\x80[\x02-\x05].{0,40}(?:ctorch|collections|}q)": TENSORS,
    rb".{4}\0{4}\{\s*\"": TENSORS,
    rb"GGUF": Kind("a GGUF file of weights", WEIGHTS, "convert it to PyTorch"),
    rb"\x08[\x03-\x14][\x12\x1a\x3a\x42]": Kind("an ONNX file", ", not a picture", EXPORTED),
    rb".{4}TFL3": Kind("a TensorFlow Lite model", WEIGHTS, "give a .pth or .safetensors file"),
    rb"\x89HDF": Kind(
        "an HDF5 file",
        ", which holds arrays or weights; save a picture in it as PNG",
        "convert it to PyTorch",
    ),
    rb".{16}\xde\xc0\xef\xbe": Kind(
        "an LMDB, a database",
        "; it is read by its folder NAME.lmdb, with type: lmdb in an option file",
    ),
    rb"\x93NUMPY": Kind(
        "a NumPy array", "; save it as PNG (8 or 16 bits)", "give a .pth or .safetensors file"
    ),
    rb"PK\x03\x04|PK\x05\x06|Rar!|7z\xbc\xaf|\x1f\x8b|\xfd7zXZ|BZh|\x28\xb5\x2f\xfd": PACKED,
    rb".{257}ustar": Kind(
        "a tar archive",
        "; unpack it and give the pictures in it",
        "unpack it, or convert it if torch wrote it (before 0.1.10)",
    ),
    rb".{128}DICM": Kind("a DICOM picture", "; convert it to PNG or TIFF of 16 bits (dcmj2pnm)"),
    rb"SIMPLE  =": Kind(
        "a FITS picture", ", which is not read; map its tones and save it as PNG or TIFF"
    ),
    rb"/\* XPM \*/|#define \w+_width": Kind("an X11 picture", f"{NOT_READ} (ImageMagick)"),
    rb"DDS ": Kind("a DirectDraw surface (DDS)", "; convert it to PNG (ImageMagick)"),
    rb"qoif": Kind("a QOI picture", f"{NOT_READ} (ImageMagick)"),
    rb"\0\0[\x01\x02]\0[^\0]": Kind("a Windows icon", "; save its picture as PNG"),
    rb"icns": Kind("a macOS icon", "; save its picture as PNG"),
    rb"[\x8a\x8b][MJ]NG": Kind("an MNG picture", NOT_READ),
    rb"BPG\xfb|FLIF": Kind("a picture of a kind that is not read", "; convert it to PNG"),
    rb"ID3|\xff\xfb|fLaC|RIFF....WAVE": Kind("sound", ", not a picture"),
    rb"\0\x05\x16\x07": Kind(
        "what macOS stores next to a file of the same name without ._", ", not a picture"
    ),
    rb"\xd0\xcf\x11\xe0": Kind(
        "a file of Windows or Office (such as Thumbs.db)", ", not a known kind of picture"
    ),
    rb"\x7fELF|MZ": Kind("a program", ", not a picture"),
}
TEXT = Kind("text", ", not a picture")
_text = re.compile(rb"[\t\n\r -~\x80-\xff]{2,}$")
_others = {re.compile(pattern, re.DOTALL | re.IGNORECASE): kind for pattern, kind in OTHERS.items()}


def picture_format(content: bytes | mmap.mmap) -> str | None:
    """The format of a picture file, a name in ``READ``; None for any other file."""
    head = bytes(content[:64])
    return next((name for name, begin in READ.items() if begin.match(head)), None)


def why_no_picture(content: bytes | mmap.mmap) -> str:
    """A sentence, without its subject, on what a file that is not a picture is, and what to do."""
    head = bytes(content[:HEAD])
    if head.lower().startswith(b"bm"):
        return "is not a known kind of picture, though it begins like a BMP; save it as PNG"
    if kind := _kind(head) or (TEXT if _text.match(head) else None):
        return f"is {kind.what}{kind.picture}"
    return "is not a known kind of picture; open it in the program that made it, and save it as PNG"


def why_no_checkpoint(head: bytes) -> str | None:
    """``is a web page, not a checkpoint; ...`` from a file's first bytes; None: it may be one."""
    kind = PICTURE if picture_format(head) else _kind(head[:HEAD])
    if kind:
        return f"is {kind.what}, not a checkpoint; {kind.network}" if kind.network else None
    try:  # the last character may be truncated
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    if text.strip() and all(letter.isprintable() or letter.isspace() for letter in text):
        return f"is text ({shortened(text, 40)!r}), not a checkpoint; download the file itself"
    return None


def why_not_from_torch(names: Iterable[str]) -> str | None:
    """What a zip archive with these files is, or None if torch.save may have written it."""
    names = list(names)
    lasts = {name.rsplit("/", 1)[-1] for name in names}
    if any("/code/" in name for name in names) and "constants.pkl" in lasts:
        return "is a TorchScript program, which holds code; save the state_dict() of its module"
    if "archive_format" in lasts and "model.json" in lasts:
        return f"is a file of torch.export, not a checkpoint; {EXPORTED}"
    if "data.pkl" in lasts:
        return None
    if lasts and all(name.endswith(".npy") for name in lasts):
        return "is an archive of NumPy arrays, not a checkpoint; give a .pth or .safetensors file"
    return f"is a zip archive (of {shortened(names[0], 60)} ...); unpack it" if names else None


def _kind(head: bytes) -> Kind | None:
    return next((kind for begin, kind in _others.items() if begin.match(head)), None)
