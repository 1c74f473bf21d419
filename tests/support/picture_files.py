"""What the tests of restoring share: networks that change nothing, and files made without us."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import tifffile
import torch
from PIL import Image, ImageCms

from vmambair_arch import VmambaIR, save_network

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SHAPES = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}


def identity(scale: int = 1, **options) -> VmambaIR:
    """A VmambaIR that returns its input, enlarged to nearest."""
    none = {"num_blocks": [0, 0, 0, 0], "num_refinement_blocks": 0}
    network = VmambaIR(scale=scale, dim=2, **{**none, **options})
    for parameter in network.tail.last.parameters():
        torch.nn.init.zeros_(parameter)
    return network


def saved_identity(folder: Path, scale: int = 1) -> str:
    """The file of such a network."""
    path = folder / f"identity_x{scale}.safetensors"
    save_network(identity(scale), path)
    return str(path)


def noise(kind: str, dtype: type = np.uint8, height: int = 20, width: int = 33) -> np.ndarray:
    """Random values of the whole range; alpha is often 0 or its largest value."""
    rng = np.random.default_rng(0)
    most = np.iinfo(dtype).max
    pixels = rng.integers(0, most + 1, (height, width, *SHAPES[kind]), dtype)
    if kind.endswith("A"):
        few = rng.integers(0, 3, (height, width))
        pixels[..., -1] = np.choose(
            few, [np.zeros_like(few), pixels[..., -1], np.full_like(few, most)]
        )
    return pixels


def encoded(pixels: np.ndarray, form: str, **options) -> bytes:
    """A file of 8 bits, or of 16 as grey, by PIL."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def png(pixels: np.ndarray, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of any depth and channels, with further chunks, unfiltered."""
    h, w = pixels.shape[:2]
    channels = pixels.reshape(h, w, -1).shape[2]
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(h, -1).view(np.uint8)
    data = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">2I5B", w, h, 8 * pixels.itemsize, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(pixels: np.ndarray, **options) -> bytes:
    """A TIFF of any depth and channels, by tifffile; alpha is straight if no option says else."""
    file = io.BytesIO()
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    photometric = "rgb" if channels > 2 else "minisblack"
    extra = ["unassalpha"] if channels in (2, 4) else None
    planar = None if channels == 1 else "contig"
    options = {"photometric": photometric, "extrasamples": extra, "planarconfig": planar, **options}
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def bmp(pixels: np.ndarray) -> bytes:
    """A BMP with alpha, by OpenCV."""
    return cv2.imencode(".bmp", pixels[..., [2, 1, 0, 3]])[1].tobytes()


def decoded(path: Path) -> np.ndarray:
    """The stored pixels of a file, by libraries that read its kind exactly."""
    content = path.read_bytes()
    if path.suffix == ".tif":
        return tifffile.imread(io.BytesIO(content))
    if path.suffix == ".png" and content[24] == 16:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        order = {0: 0, 4: [0, 3], 2: [2, 1, 0], 6: [2, 1, 0, 3]}[content[25]]
        return pixels if pixels.ndim == 2 else pixels[..., order]
    return np.asarray(Image.open(path))
