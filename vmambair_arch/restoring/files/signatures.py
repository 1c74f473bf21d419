"""What a file is, told by how it begins: the formats that are read, and for others the way on."""

import mmap
import re

READ = {  # formats that are read here, by how their files begin
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

RAW = "is a raw photograph; develop it first (darktable, RawTherapee, dcraw -T) and restore the"
RAW += " TIFF or PNG that this gives"
VIDEO = "is a video; give it a name with one of the endings that vmambair restore takes for videos"
VIDEO += " (.mp4, .mov, .mkv, ...), or take its pictures out of it (ffmpeg)"
LIGHT = "holds light in floating-point numbers; map its tones (for example in GIMP) and save it as"
LIGHT += " PNG or TIFF of 16 bits"
PACKED = "is an archive; unpack it and give the pictures in it"
WEIGHTS = "holds weights or a training state of a network, no picture; weights are given with -m"
DRAWING = "is a drawing made of lines; export it as PNG (Inkscape, rsvg-convert)"
PAGES = "is a document; make PNG files of its pages (pdftoppm -png, Ghostscript)"
LAYERS = "; export it as PNG or TIFF from the program that made it"

# What other files are, and the way on; the first that fits.
OTHERS = {
    rb"\0*$": "is empty or holds nothing but zeros; copy or download it again",
    rb"GIF8[79]a": "is a GIF; save the picture as PNG, or make a video of an animation (ffmpeg)",
    rb"\xff\x0a|\0\0\0\x0cJXL \r\n": "is a JPEG XL picture, which is not read; convert it to PNG"
    " (djxl)",
    rb"\0\0\0\x0cjP  \r\n|\xff\x4f\xff\x51": "is a JPEG 2000 picture, which is not read; convert it"
    " to PNG or TIFF (opj_decompress)",
    rb"8BPS": f"is a Photoshop document{LAYERS}",
    rb"gimp xcf": f"is a GIMP document{LAYERS}",
    rb"PK\x03\x04.{26}mimetype(?:application/x-krita|image/openraster)": f"is a document{LAYERS}",
    rb"%PDF|%!PS|\xc5\xd0\xd3\xc6": PAGES,
    rb"(?=\s*<)(?=.*<(?:html|head|body|!doctype html))": "is a web page, as it comes instead of a"
    " file when a download fails or wants a login; download the file again",
    rb"(?=\s*<)(?=.*<svg)": DRAWING,
    rb"v/1\x01": f"is an OpenEXR picture: it {LIGHT}",
    rb"#\?R(?:ADIANCE|GBE)": f"is a Radiance HDR picture: it {LIGHT}",
    rb"P[Ff]\n": f"is a PFM picture: it {LIGHT}",
    rb"P[1-7]\s": "is a Netpbm picture, which is not read; convert it to PNG (pnmtopng)",
    rb"....ftyp(?:crx )": RAW,
    rb"....ftyp(?:avis)": "is an animation (AVIF); make PNG files of its pictures, or a video of it"
    " (ffmpeg)",
    rb"FUJIFILMCCD-RAW|II(?:RO|RS|U\0)|MMOR|FOVb|\0MRM|II\x1a\0\0\0HEAPCCDR": RAW,
    rb"....(?:ftyp|moov|mdat|wide|free)": VIDEO,
    rb"\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01|\x30\x26\xb2\x75|\0\0\x01\xba|OggS": VIDEO,
    rb"\x47.{187}\x47|.{4}\x47.{191}\x47": VIDEO,
    rb"version https://git-lfs": "is a pointer of git-lfs, not the file itself; run git lfs pull",
    rb"PK\x03\x04.{26}[^/]{1,80}/(?:data\.pkl|version|byteorder|\.format)": WEIGHTS,
    rb"\x80[\x02-\x05].{0,40}(?:ctorch|collections|}q)": WEIGHTS,
    rb".{4}\0{4}\{\s*\"": WEIGHTS,
    rb"GGUF": WEIGHTS,
    rb"\x89HDF": "is an HDF5 file, which holds arrays or weights; save a picture in it as PNG",
    rb".{16}\xde\xc0\xef\xbe": "is an LMDB, a data base; it is read by its folder NAME.lmdb, with"
    " type: lmdb in an option file",
    rb"\x93NUMPY": "is a NumPy array; save it as PNG (8 or 16 bits)",
    rb"PK\x03\x04|PK\x05\x06|Rar!|7z\xbc\xaf|\x1f\x8b|\xfd7zXZ|BZh|\x28\xb5\x2f\xfd": PACKED,
    rb".{257}ustar": PACKED,
    rb".{128}DICM": "is a DICOM picture; convert it to PNG or TIFF of 16 bits (dcmj2pnm)",
    rb"SIMPLE  =": "is a FITS picture, which is not read; map its tones and save it as PNG or TIFF",
    rb"/\* XPM \*/|#define \w+_width": "is an X11 picture, which is not read; convert it to PNG"
    " (ImageMagick)",
    rb"DDS ": "is a DirectDraw surface (DDS); convert it to PNG (ImageMagick)",
    rb"qoif": "is a QOI picture, which is not read; convert it to PNG (ImageMagick)",
    rb"\0\0[\x01\x02]\0[^\0]": "is an icon of Windows; save its picture as PNG",
    rb"icns": "is an icon of macOS; save its picture as PNG",
    rb"[\x8a\x8b][MJ]NG": "is a picture of the MNG kind, which is not read; convert it to PNG",
    rb"BPG\xfb|FLIF": "is a picture of a kind that is not read; convert it to PNG",
    rb"ID3|\xff\xfb|fLaC|RIFF....WAVE": "is sound, no picture",
    rb"\0\x05\x16\x07": "is what macOS keeps beside a file of the same name without ._, no picture",
    rb"\xd0\xcf\x11\xe0": "is a file of Windows or Office (such as Thumbs.db), no picture that is"
    " known here",
    rb"\x7fELF|MZ": "is a program, no picture",
    rb"[\t\n\r -~\x80-\xff]{2,}$": "is text, no picture",
}
_others = {re.compile(pattern, re.DOTALL | re.IGNORECASE): told for pattern, told in OTHERS.items()}
HEAD = 4096  # bytes that tell


def read_as(content: bytes | mmap.mmap) -> str | None:
    """The format of a file that is read here, a name in ``READ``; None: it is another."""
    head = bytes(content[:64])
    return next((name for name, begin in READ.items() if begin.match(head)), None)


def told(content: bytes | mmap.mmap) -> str:
    """What a file is that is not read here, and the way on: a sentence without its subject."""
    head = bytes(content[:HEAD])
    if head.lower().startswith(b"bm"):
        return "is no picture that is known here, though it begins as a BMP; save it as PNG"
    return next(
        (what for begin, what in _others.items() if begin.match(head)),
        "is no picture of a kind that is known here; open it in the program that made it, and save"
        " it as PNG",
    )
