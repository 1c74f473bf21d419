"""What a file is that is no checkpoint, told by its first bytes or the names of its tensors."""

import codecs
import re
from collections.abc import Iterable

from ..errors import shortened

HEAD = 512  # bytes by which a file is known

# Where the bytes stand, what they are, what such a file is, and what to do.
SIGNATURES = [
    (0, rb"\s*<(!doctype|html|head|\?xml)", "a web page", "download the file itself again"),
    (0, b"version https://git-lfs", "a pointer of git-lfs to the file", "run git lfs pull"),
    (0, rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\(\xb5/\xfd", "an archive", "unpack it"),
    (257, b"ustar", "a tar archive, as torch wrote before 0.1.10", "unpack or convert it"),
    (0, b"\x89HDF", "an HDF5 file, as Keras writes", "convert it to PyTorch"),
    (0, b"GGUF", "a GGUF file", "convert it to PyTorch"),
    (0, b"\x93NUMPY", "a NumPy array", "give a .pth or .safetensors file"),
    (4, b"TFL3", "a TensorFlow Lite model", "give a .pth or .safetensors file"),
    (
        0,
        rb"\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF|II\*\0|MM\0\*",
        "a picture",
        "give the network's file",
    ),
    (4, b"ftyp", "a picture or film", "give the network's file"),
    (0, b"%PDF", "a PDF document", "give a .pth or .safetensors file"),
]

# A name that an architecture has and others have not.
ARCHITECTURES = {
    "a discriminator": r"conv\d\.weight_orig|conv0_0\.weight",
    "ESRGAN or Real-ESRGAN": r"(body|RRDB_trunk)\.\d+\.(rdb|RDB)1\..*|model\.1\.sub\.0\.RDB1.*",
    "MambaIR or another with A_logs": r"layers\.\d+\.residual_group\..*\.A_logs?",
    "HAT": r"relative_position_index_OCA|layers\.\d+\.residual_group\.overlap_attn\..*",
    "SwinIR": r"layers\.\d+\.residual_group\.blocks\.\d+\.attn\.relative_position_bias_table",
    "DAT": r"layers\.\d+\.blocks\.\d+\.attn\.(attns\.\d+|temperature).*",
    "NAFNet": r"intro\.weight|middle_blks\.\d+\.beta",
    "RCAN": r"body\.\d+\.residual_group\.\d+\..*",
    "EDVR": r"pcd_align\..*",
    "EDSR or MSRResNet": r"body\.\d+\.conv[12]\.weight",
    "SRVGGNetCompact": r"body\.\d+\.weight",
    "BasicVSR": r"spynet\..*|(back|for)ward_trunk\..*",
    "VGG": r"features\.\d+\.weight",
    "Stable Diffusion": r"model\.diffusion_model\..*|first_stage_model\..*",
    "a LoRA": r".*\.lora_(up|down|A|B)\.weight",
}


def what(head: bytes) -> str | None:
    """``is a web page; download ...``: what a file with these first bytes is, if it is known."""
    for place, pattern, kind, advice in SIGNATURES:
        if re.match(pattern, head[place:], re.IGNORECASE):
            return f"is {kind}, not a checkpoint; {advice}"
    try:  # the last letter may be cut
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    if text.strip() and all(letter.isprintable() or letter.isspace() for letter in text):
        return f"is text ({shortened(text, 40)!r}), not a checkpoint; download the file itself"
    return None


def archive(names: Iterable[str]) -> str | None:
    """What a zip archive with these files in it is, unless it is what torch.save writes."""
    names = list(names)
    lasts = {name.rsplit("/", 1)[-1] for name in names}
    if any("/code/" in name for name in names) and "constants.pkl" in lasts:
        return "is a TorchScript program, which holds code; save the state_dict() of its module"
    if "data.pkl" in lasts:
        return None
    if lasts and all(name.endswith(".npy") for name in lasts):
        return "is an archive of NumPy arrays, not a checkpoint; give a .pth or .safetensors file"
    return f"is a zip archive (of {shortened(names[0], 60)} ...); unpack it" if names else None
