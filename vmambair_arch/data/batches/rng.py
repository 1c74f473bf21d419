"""The random number generators of Python, NumPy and torch: captured, restored, seeded by place."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def capture() -> dict[str, Any]:
    """The states of all global generators, in types that can be saved without pickled code."""
    version, words, gauss = random.getstate()
    numpy: Any = np.random.get_state(legacy=True)
    name, key, position, has_gauss, cached = numpy
    state: dict[str, Any] = {
        "python": [version, torch.from_numpy(np.array(words)), gauss],
        "numpy": [name, torch.from_numpy(key.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore(state: dict[str, Any]) -> None:
    """Put back what ``capture`` returned."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    name, key, *rest = state["numpy"]
    np.random.set_state((name, key.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Restore the generators at the end, whatever happens inside."""
    state = capture()
    try:
        yield
    finally:
        restore(state)


def seed_by_position(seed: int, epoch: int, position: int) -> None:
    """Seed the CPU generators by the seed and a sample's place in the run, and nothing else."""
    words = np.random.SeedSequence((seed, epoch, position)).generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])
    torch.default_generator.manual_seed(words[2])
