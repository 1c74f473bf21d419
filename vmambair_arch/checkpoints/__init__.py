"""Files of tensors: networks with their configurations, and the states of trainings."""

from .networks import (
    PREFIXES,
    load_network,
    load_weights,
    read_file,
    read_weights,
    save_network,
    to_ours,
    to_released,
    unwrap,
    write_file,
)

__all__ = [
    "PREFIXES",
    "load_network",
    "load_weights",
    "read_file",
    "read_weights",
    "save_network",
    "to_ours",
    "to_released",
    "unwrap",
    "write_file",
]
