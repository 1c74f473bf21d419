"""Refuses HDR pictures, whose values mean other light than those networks are trained on."""

from ...errors import InputError

CURVES = {16: "PQ", 18: "HLG"}  # transfer characteristics of HDR; ITU-T H.273
TAGS = 100  # of a profile that are looked through


def check_curve(kind: int | None) -> None:
    """Raise InputError if a picture's transfer characteristics, by ITU-T H.273, are of HDR."""
    if kind in CURVES:
        raise InputError(
            f"is an HDR picture ({CURVES[kind]}), which is not restored; export it as SDR"
        )


def check_profile(icc: bytes) -> None:
    """The same for the characteristics that a colour profile names (its tag cicp, ICC.1:2022)."""
    count = int.from_bytes(icc[128:132], "big")
    for start in range(132, 132 + 12 * min(count, TAGS), 12):
        if icc[start : start + 4] == b"cicp":
            at = int.from_bytes(icc[start + 4 : start + 8], "big")
            check_curve(int.from_bytes(icc[at + 9 : at + 10], "big"))
