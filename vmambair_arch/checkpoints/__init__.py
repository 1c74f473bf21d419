"""Files of tensors: networks with their configurations, and the states of trainings."""

from .files import read_file, write_file
from .networks import (
    load_any_network,
    load_network,
    load_weights,
    read_weights,
    save_network,
    to_released,
)
from .state_dicts import PREFIXES, unwrap

__all__ = [
    "PREFIXES",
    "load_any_network",
    "load_network",
    "load_weights",
    "read_file",
    "read_weights",
    "save_network",
    "to_released",
    "unwrap",
    "write_file",
]
