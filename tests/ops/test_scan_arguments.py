"""Both scans with bad arguments, and with backends that cannot run."""

import pytest
import torch

from support.scans import planar_inputs, selective_inputs
from vmambair_arch import planar_scan, selective_scan
from vmambair_arch.ops import dispatch, selective
from vmambair_arch.ops.chunked import planar as planar_chunked, selective as selective_chunked

SELECTIVE = (2, 6, 4, 5, 2)  # b, d, n, length, groups
PLANAR = (2, 3, 4, 6, 4, 2)  # b, h, w, d, n, r

# The choice of a backend.


def test_auto_chooses_the_first_that_can_run_and_logs_it_once(monkeypatch, caplog):
    monkeypatch.setattr(selective, "BACKENDS", ("chunked",))
    dispatch._announce.cache_clear()
    with caplog.at_level("INFO", logger="vmambair_arch"):
        for _ in range(2):
            selective_scan(**selective_inputs(SELECTIVE))
    messages = [record.message for record in caplog.records]
    assert messages == ["selective_scan on cpu: backend chunked ({'chunked': None})"]


def test_a_backend_that_cannot_run_here_says_why(monkeypatch):
    monkeypatch.setattr(selective_chunked, "unavailable", lambda x: "it is Sunday")
    with pytest.raises(RuntimeError, match="'chunked' of selective_scan .*: it is Sunday"):
        selective_scan(**selective_inputs(SELECTIVE), backend="chunked")
    monkeypatch.setattr(selective, "BACKENDS", ("chunked",))
    with pytest.raises(RuntimeError, match="no backend of selective_scan .*it is Sunday"):
        selective_scan(**selective_inputs(SELECTIVE))


def test_a_backend_of_planar_scan_that_cannot_run_here_says_why(monkeypatch):
    monkeypatch.setattr(planar_chunked, "unavailable", lambda x: "it is Sunday")
    with pytest.raises(RuntimeError, match="'chunked' of planar_scan .*: it is Sunday"):
        planar_scan(**planar_inputs(PLANAR), backend="chunked")


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="selective_scan has no backend 'cuda': choose auto or"):
        selective_scan(**selective_inputs(SELECTIVE), backend="cuda")
    with pytest.raises(ValueError, match="planar_scan has no backend 'cuda': choose auto or"):
        planar_scan(**planar_inputs(PLANAR), backend="cuda")


# Bad input: what replaces a good tensor, and the message.


BAD_SELECTIVE = {
    "u of two axes": ({"u": torch.ones(6, 5)}, r"u has shape \(6, 5\); it must be \(b, d, length"),
    "an empty sequence": ({"u": torch.ones(2, 6, 0)}, r"u has shape \(2, 6, 0\).*none of them 0"),
    "an empty batch": ({"u": torch.ones(0, 6, 5)}, r"u has shape \(0, 6, 5\)"),
    "a short delta": (
        {"delta": torch.ones(2, 6, 4)},
        r"delta has shape \(2, 6, 4\); it must be \(2, 6, 5\)",
    ),
    "A of one axis": ({"A": torch.ones(6)}, r"A has shape \(6,\); it must be \(d, n\) with d = 6"),
    "A without states": ({"A": torch.ones(6, 0)}, r"A has shape \(6, 0\)"),
    "A of other channels": ({"A": torch.ones(5, 4)}, r"A has shape \(5, 4\); it must be \(6, 4\)"),
    "B of other states": (
        {"B": torch.ones(2, 3, 5)},
        r"B has shape \(2, 3, 5\); it must be \(b, n, length\) = \(2, 4, 5\)",
    ),
    "C of one axis": ({"C": torch.ones(5)}, r"C has shape \(5,\).* or \(d, n\) = \(6, 4\)"),
    "groups that do not divide d": (
        {"C": torch.ones(2, 4, 4, 5)},
        "u has 6 channels, not a multiple of the 4 groups of C",
    ),
    "no groups": ({"B": torch.ones(2, 0, 4, 5)}, "multiple of the 0 groups of B"),
    "D of other channels": ({"D": torch.ones(1)}, r"D has shape \(1,\); it must be \(6,\)"),
    "z of another length": ({"z": torch.ones(2, 6, 1)}, r"z has shape \(2, 6, 1\)"),
    "delta_bias by image": ({"delta_bias": torch.ones(2, 6)}, r"delta_bias has shape \(2, 6\)"),
    "integers": (
        {"u": torch.ones(2, 6, 5, dtype=torch.long)},
        "u is torch.int64; it must be one of float32, float64, bfloat16, float16",
    ),
    "complex decay": ({"A": torch.ones(6, 4, dtype=torch.cfloat)}, "A is torch.complex64"),
    "two devices": ({"D": torch.ones(6, device="meta")}, "D is on meta but u on cpu"),
}

BAD_PLANAR = {
    "x of three axes": ({"x": torch.ones(3, 4, 6)}, r"x has shape \(3, 4, 6\); it must be \(b, h"),
    "no rows": ({"x": torch.ones(2, 0, 4, 6)}, r"x has shape \(2, 0, 4, 6\).*none of them 0"),
    "channels first": (
        {"x": torch.ones(2, 6, 3, 4)},
        r"delta_weight has shape \(4, 6, 2\); it must be \(4, 4, 2\)",
    ),
    "a projection of three directions": (
        {"projection": torch.ones(2, 3, 4, 3, 10)},
        r"projection has shape \(2, 3, 4, 3, 10\); it must be \(2, 3, 4, 4, 10\)",
    ),
    "a projection without C": (
        {"projection": torch.ones(2, 3, 4, 4, 6)},
        r"projection has shape .*; it must be \(2, 3, 4, 4, 10\)",
    ),
    "delta_weight of two axes": (
        {"delta_weight": torch.ones(6, 2)},
        r"delta_weight has shape \(6, 2\); it must be \(4, d, r\)",
    ),
    "no step": ({"delta_weight": torch.ones(4, 6, 0)}, r"delta_weight has shape \(4, 6, 0\)"),
    "delta_bias of two directions": (
        {"delta_bias": torch.ones(2, 6)},
        r"delta_bias has shape \(2, 6\); it must be \(4, 6\)",
    ),
    "flat A": ({"A": torch.ones(24, 4)}, r"A has shape \(24, 4\); it must be \(4, d, n\)"),
    "A of five channels": ({"A": torch.ones(4, 5, 4)}, r"A has shape .*it must be \(4, 6, 4\)"),
    "flat D": ({"D": torch.ones(24)}, r"D has shape \(24,\); it must be \(4, 6\)"),
    "integers": (
        {"x": torch.ones(2, 3, 4, 6, dtype=torch.uint8)},
        "x is torch.uint8; it must be one of float32, float64, bfloat16, float16",
    ),
    "two devices": ({"A": torch.ones(4, 6, 4, device="meta")}, "A is on meta but x on cpu"),
}


@pytest.mark.parametrize("case", BAD_SELECTIVE)
def test_bad_input_of_selective_scan_is_named(case):
    changed, sentence = BAD_SELECTIVE[case]
    with pytest.raises(ValueError, match=sentence):
        selective_scan(**{**selective_inputs(SELECTIVE), **changed})


@pytest.mark.parametrize("case", BAD_PLANAR)
def test_bad_input_of_planar_scan_is_named(case):
    changed, sentence = BAD_PLANAR[case]
    with pytest.raises(ValueError, match=sentence):
        planar_scan(**{**planar_inputs(PLANAR), **changed})


@pytest.mark.parametrize(
    ("scan", "inputs", "name"),
    [
        (planar_scan, planar_inputs(PLANAR), "D"),
        (selective_scan, selective_inputs(SELECTIVE), "u"),
    ],
)
def test_forward_mode_is_refused_not_taken_for_a_derivative_of_zero(scan, inputs, name):
    def of_one(value: torch.Tensor) -> torch.Tensor:
        return scan(**{**inputs, name: value})

    value = inputs[name].detach()
    with pytest.raises(NotImplementedError, match=f"{name} has a tangent, and the scans have no"):
        torch.func.jvp(of_one, (value,), (torch.ones_like(value),))
