"""A fixture that stands in for pyiqa and its metrics."""

import math
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from vmambair_arch.models import iqa


class Judge(nn.Module):
    """A stand-in for a metric of pyiqa."""

    def __init__(self, name: str, *, smallest: int = 1, nan: bool = False):
        super().__init__()
        self.lower_better = name != "musiq"
        self.metric_mode = "NR" if name in ("musiq", "niqe") else "FR"
        self.smallest = smallest
        self.value = math.nan if nan else None

    def forward(self, image, reference=None):
        """The mean of red minus the reference's."""
        assert min(image.shape[2:]) >= self.smallest, "image too small"
        red = image[:, 0].mean() - (0 if reference is None else reference[:, 0].mean())
        return torch.tensor(self.value) if self.value else red.reshape(1, 1)


@pytest.fixture
def pyiqa(monkeypatch):
    """A stand-in for pyiqa, whose dists lacks its weights."""
    module = ModuleType("pyiqa")
    names = ["lpips", "dists", "musiq", "niqe", "fid"]

    def create_metric(name, **options):
        torch.rand(3)  # as building a network does
        if name == "dists":
            raise OSError("no network")
        return Judge(name, **options)

    module.list_models = lambda: names
    module.create_metric = create_metric
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    iqa.build.cache_clear()
    yield
    iqa.build.cache_clear()
