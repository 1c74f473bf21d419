"""Colour spaces stated by numbers (ITU-T H.273): kept in a PNG's chunks, lost in other formats."""

import struct

from .png_chunks import Chunks

UNSPECIFIED, BT709, SRGB = 2, 1, 13  # SRGB: a transfer characteristic
LIKE_SRGB = (BT709, UNSPECIFIED, 6, SRGB, 14, 15)  # transfer characteristics shown as sRGB's
GAMMA = 45455  # of sRGB, and its chromaticities: white, red, green, blue; in 1 / 100000
PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
NEAR = 500, 100  # how far programs round them


def chunks(primaries: int, transfer: int) -> Chunks:
    """The chunk cICP for RGB of full range; none for sRGB, which is what readers assume."""
    primaries = BT709 if primaries == UNSPECIFIED else primaries
    transfer = SRGB if transfer == UNSPECIFIED else transfer
    if _is_srgb(primaries, transfer) or max(primaries, transfer) > 255:
        return ()
    return ((b"cICP", bytes([primaries, transfer, 0, 1])),)


def list_lost(carried: Chunks, icc: bytes | None) -> list[str]:
    """The chunks without which a picture looks different: those that count, other than sRGB's.

    Source: PNG, third edition, section 4.3: cICP before iCCP before sRGB before gAMA and cHRM.
    """
    found = dict(carried)
    kinds = [b"gAMA", b"cHRM"]
    if b"cICP" in found:
        kinds = [b"cICP"]
    elif icc or b"sRGB" in found:
        kinds = []
    kinds += [b"mDCV", b"cLLI"]
    return [kind.decode() for kind in kinds if kind in found and not _is_default(kind, found[kind])]


def _is_default(kind: bytes, data: bytes) -> bool:
    """Whether a chunk says what readers assume without it."""
    if kind == b"cICP" and len(data) == 4:
        return _is_srgb(data[0], data[1])
    if kind == b"gAMA" and len(data) == 4:
        return abs(int.from_bytes(data, "big") - GAMMA) <= NEAR[0]
    if kind == b"cHRM" and len(data) == 32:
        pairs = zip(struct.unpack(">8I", data), PRIMARIES, strict=True)
        return all(abs(given - usual) <= NEAR[1] for given, usual in pairs)
    return False


def _is_srgb(primaries: int, transfer: int) -> bool:
    return primaries in (BT709, UNSPECIFIED) and transfer in LIKE_SRGB
