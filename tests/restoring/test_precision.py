"""The precision of auto: tf32 on GPUs, bfloat16 on CPUs with units for it, if it is invisible."""

import contextlib

import pytest
import torch
from torch import nn

from vmambair_arch import Restorer
from vmambair_arch.restoring.tiles import precision


@pytest.fixture
def units(monkeypatch):
    """Make torch report a CPU with certain units."""

    def have(*names):
        told = {name: name in names for name in ("avx512_f", *precision.CPU_UNITS)}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)

    return have


class Network(nn.Module):
    """Returns the image, in bfloat16 only with a given error."""

    scale = 1

    def __init__(self, off: float = 0.0):
        super().__init__()
        self.off, self.calls = off, 0

    def forward(self, x):
        self.calls += 1
        low = (torch.ones(1, 1) @ torch.ones(1, 1)).dtype == torch.bfloat16
        return x + self.off * low


def taken(network: nn.Module) -> torch.dtype:
    return Restorer(network, device="cpu").tiling.run.dtype


def test_a_cpu_without_bfloat16_units_computes_in_float32_without_a_trial(units):
    units("avx512_f")
    network = Network()
    assert taken(network) == torch.float32
    units(*precision.CPU_UNITS)
    tried = Network()
    assert taken(tried) == torch.bfloat16 and tried.calls == network.calls + 2


@pytest.mark.parametrize("unit", precision.CPU_UNITS)
def test_a_cpu_with_units_computes_in_bfloat16_if_the_error_is_invisible(units, unit):
    units(unit)
    seen = 10 ** (-precision.INVISIBLE_PSNR / 20)
    assert taken(Network(0.9 * seen)) == torch.bfloat16
    assert taken(Network(1.1 * seen)) == torch.float32
    assert taken(Network(float("nan"))) == torch.float32


@pytest.mark.parametrize("error", [RuntimeError("not implemented for 'BFloat16'"), MemoryError()])
def test_a_network_that_fails_in_the_trial_computes_in_float32(units, error):
    units(*precision.CPU_UNITS)

    class Failing(Network):
        def forward(self, x):
            y = super().forward(x)
            if torch.is_autocast_enabled("cpu"):
                raise error
            return y

    assert taken(Failing()) == torch.float32


def test_a_network_without_bfloat16_support_is_not_tried(units):
    units(*precision.CPU_UNITS)
    network = Network()
    network.supports_bfloat16 = False
    assert taken(network) == torch.float32


@pytest.mark.parametrize(("supported", "name"), [(True, "tf32"), (False, "fp32")])
def test_a_gpu_computes_in_tf32_if_it_supports_it_without_a_trial(monkeypatch, supported, name):
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: supported)
    network = Network()
    gpu = torch.device("cuda", 1)
    assert precision.choose_precision(network, gpu, network, (1, 3, 64, 64)) == name
    assert network.calls == 0


def test_an_invisible_error_changes_forty_decibels_by_a_hundredth():
    own, more = 10 ** (-40 / 10), 10 ** (-precision.INVISIBLE_PSNR / 10)
    change = 10 * torch.tensor((own + more) / own).log10()
    assert 0.009 < change <= 0.01


def test_the_trial_image_is_within_the_range():
    image = precision.probe((1, 3, 64, 64))
    assert image.shape == (1, 3, 64, 64) and 0 <= image.min() < 0.2 < 0.8 < image.max() <= 1
