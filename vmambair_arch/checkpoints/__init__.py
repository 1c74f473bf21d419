"""Files of tensors: networks with their configurations, and the states of trainings."""

from .files import read_file, write_file
from .networks import (
    build_any_network,
    build_network,
    load_network,
    load_weights,
    read_weights,
    save_network,
    select_weights,
    to_released,
)
from .state_dicts import PREFIXES, unwrap

__all__ = [
    "PREFIXES",
    "build_any_network",
    "build_network",
    "load_network",
    "load_weights",
    "read_file",
    "read_weights",
    "save_network",
    "select_weights",
    "to_released",
    "unwrap",
    "write_file",
]
