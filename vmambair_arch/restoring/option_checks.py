"""Which values the options of a restoration may have."""

import math

from ..errors import InputError


def check_positive(**options: float | None) -> None:
    """Raises InputError: an option that is given is no number above 0."""
    for name, value in options.items():
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name} is {value}; it must be a number above 0")


def check_pool(pool: str, *, tile: int | None, compile: bool, graphs: bool) -> None:
    """Raises InputError: there is no such pool, or the options exclude each other."""
    if pool not in ("tile", "global"):
        raise InputError(f"pool is {pool!r}: choose tile or global")
    if pool == "global" and compile:
        raise InputError("a compiled network cannot pool globally; leave compile or pool out")
    if graphs and (tile is None or compile or pool == "global"):
        raise InputError(
            "graphs needs tiles of one size, a network that is not compiled and pool tile;"
            " give tile, and leave compile and pool out"
        )


def check_strength(strength: float) -> float:
    """The strength of a blend. Raises InputError: it is not in [0, 1]."""
    if not 0 <= strength <= 1:
        raise InputError(f"strength is {strength}; it must be a number from 0 to 1")
    return strength
