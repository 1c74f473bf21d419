"""A step is skipped by its optimizer, and whether it was is read an iteration later."""

import copy
from types import SimpleNamespace

import pytest
import torch

from support.trainings import assert_same
from vmambair_arch.models import before_model, finite
from vmambair_arch.models.buffers import Buffers
from vmambair_arch.models.build import build_model
from vmambair_arch.models.deferred import AsyncCopy
from vmambair_arch.option_files import options

FAULTY = 3  # the iteration whose images are not numbers


@pytest.fixture
def built(small, monkeypatch):
    """Builds the same model again and again, which decides at once or late."""

    def build(late: bool, *overrides: str, **options_of_small):
        monkeypatch.setattr(before_model, "DECIDING", ("cpu",) if late else ())
        torch.manual_seed(0)
        path = small(*overrides, **options_of_small)
        return build_model(options.read(path, is_train=True))

    return build


def batches(iteration: int, micro_batches: int) -> list[dict]:
    generator = torch.Generator().manual_seed(iteration)
    made = []
    for _ in range(micro_batches):
        lq, gt = (torch.rand(2, 3, side, side, generator=generator) for side in (8, 32))
        made.append({"lq": lq, "gt": gt, "lq_path": [f"{iteration}.png"]})
    if iteration == FAULTY:
        made[0]["gt"][0, 0, 0, 0] = torch.nan
    return made


def trained(model, micro_batches: int, logged: int) -> dict:
    """What five iterations leave, of which every ``logged``-th is logged."""
    logs = []
    for iteration in range(1, 6):
        model.update_learning_rate(iteration, -1)
        model.train_on(batches(iteration, micro_batches), iteration)
        if iteration % logged == 0:
            logs.append(copy.deepcopy(model.get_current_log()))
    model.settle()
    networks = {"net_g": model.net_g.state_dict(), "net_g_ema": model.net_g_ema.state_dict()}
    counts = model.finite.skipped, model.finite.in_a_row, model.finite.faulty
    return {**networks, "optimizer": model.optimizer_g.state_dict(), "counts": counts, "logs": logs}


@pytest.mark.parametrize(("micro_batches", "logged"), [(1, 1), (1, 5), (2, 2)])
def test_late_is_as_at_once_to_the_bit(built, monkeypatch, micro_batches, logged):
    found, said = [], ([], [])
    for late in (False, True):
        log = SimpleNamespace(warning=said[late].append)
        monkeypatch.setattr(finite, "get_root_logger", lambda log=log: log)
        found.append(trained(built(late), micro_batches, logged))
    assert found[0]["counts"] == found[1]["counts"] == (1, 0, FAULTY)
    assert repr(found[0].pop("logs")) == repr(found[1].pop("logs"))  # of NaN, the same text
    assert_same(*found)
    assert said[0] == said[1] and len(said[0]) == 1 and f"{FAULTY}.png" in said[0][0]


def test_a_step_is_read_when_the_next_is_about_to_be_made(built, monkeypatch):
    model, events, read = built(True), [], AsyncCopy.read
    model.optimizer_g.register_step_post_hook(lambda *_: events.append("step"))
    monkeypatch.setattr(AsyncCopy, "read", lambda self: events.append("read") or read(self))
    for iteration in range(1, FAULTY):
        model.train_on(batches(iteration, 1), iteration)
    assert events == ["step", "read", "step"]
    model.get_current_log()
    model.get_current_log()
    assert events[3:] == ["read"]


@pytest.mark.parametrize(
    "given",
    [
        {"model": "SRGANModel"},
        {"overrides": ["train:optim_g:type=RMSprop"]},
        {"overrides": ["train:optim_g:fused=false"]},
        {"overrides": ["precision=fp16"]},
    ],
)
def test_where_more_depends_on_a_step_it_is_read_at_once(built, given):
    model = built(True, *given.pop("overrides", []), **given)
    assert not any(map(model.skips_late, model.optimizers))


def test_networks_with_buffers_are_read_at_once(built):
    model = built(True)
    assert model.skips_late(model.optimizer_g)
    model.buffers = Buffers([torch.nn.BatchNorm2d(1)])
    assert not model.skips_late(model.optimizer_g)
