"""Prefetching batches: the order in which streams wait, and images restored from bytes."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from vmambair_arch.data.batches.prefetch import Levels, Prefetcher, collate_packed, unpack


@pytest.fixture
def streams(monkeypatch) -> list[str]:
    """Stands in for a device with streams; the list is what it was asked to do, in order."""
    asked: list[str] = []

    class Stream:
        def __init__(self, device=None, name: str = "copying"):
            self.name = name

        def wait_stream(self, other):
            asked.append(f"{self.name} waits for {other.name}")

    @contextlib.contextmanager
    def stream(used):
        asked.append(f"in {used.name}")
        yield
        asked.append("out")

    computing = Stream(name="computing")
    module = SimpleNamespace(Stream=Stream, stream=stream, current_stream=lambda _: computing)
    monkeypatch.setattr(torch, "get_device_module", lambda _: module)
    to = torch.Tensor.to

    def copied(self, *where, non_blocking=False, **options):
        if non_blocking:
            asked.append("copy")
        return to(self, *where, **options)

    monkeypatch.setattr(torch.Tensor, "to", copied)
    monkeypatch.setattr(
        torch.Tensor, "record_stream", lambda _, used: asked.append(f"kept for {used.name}")
    )
    return asked


def test_a_batch_is_copied_while_the_previous_one_is_used_and_kept_until_it_is_done(streams):
    batches = (
        {"lq": Levels(torch.full((1, 3, 2, 2), i, dtype=torch.uint8)), "lq_path": [i]}
        for i in range(2)
    )
    copied = ["in copying", "copy", "out"]
    received = ["computing waits for copying", "kept for computing"]
    prefetcher = Prefetcher(batches, torch.device("cpu"))
    assert streams == copied
    first = next(prefetcher)
    assert streams == [*copied, *received, *copied]
    second = next(prefetcher)
    assert [batch["lq_path"] for batch in (first, second)] == [[0], [1]]
    assert torch.equal(second["lq"], torch.full((1, 3, 2, 2), 1 / 255))
    with pytest.raises(StopIteration):
        next(prefetcher)


def test_a_loading_error_is_raised_when_its_batch_is_due(streams):
    def batches():
        yield {"lq": torch.zeros(1)}
        raise RuntimeError("DataLoader worker (pid 7) died")

    prefetcher = Prefetcher(batches(), torch.device("cpu"))
    assert next(prefetcher)["lq"].tolist() == [0]
    with pytest.raises(RuntimeError, match="pid 7"):
        next(prefetcher)


def test_images_of_256_levels_travel_as_bytes_and_arrive_bit_for_bit():
    levels = torch.arange(768).view(1, 3, 16, 16) % 256
    batch = {"gt": levels.float() / 255, "lq": torch.rand(1, 3, 8, 8), "mask": levels.byte()}
    sent = collate_packed(lambda samples: samples[0], [dict(batch)])
    assert isinstance(sent["gt"], Levels) and sent["gt"].levels.dtype == torch.uint8
    assert torch.equal(sent["lq"], batch["lq"]) and torch.equal(sent["mask"], batch["mask"])
    arrived = {name: unpack(value) for name, value in sent.items()}
    assert all(torch.equal(arrived[name], batch[name]) for name in batch)
