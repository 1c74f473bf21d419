"""precision and channels_last: float32 where it matters, for any model, exact on resume."""

import signal
from pathlib import Path

import pytest
import torch
from basicsr.utils.registry import LOSS_REGISTRY, MODEL_REGISTRY
from torch import nn

from support.experiments import load_tensors, tiny_network
from support.polluting_model import PollutingModel
from support.trainings import (
    MODELS,
    ROOT,
    assert_same,
    assert_same_gan_runs,
    log,
    resumes,
    terminated_after,
    train,
)
from vmambair_arch.commands.check import cost, preflight as check
from vmambair_arch.errors import InputError
from vmambair_arch.models import build
from vmambair_arch.models.autocast import Boundary
from vmambair_arch.models.build import build_model
from vmambair_arch.networks.compilation import compile_network
from vmambair_arch.ops.cpu import planar as planar_numba
from vmambair_arch.option_files import options

L1 = LOSS_REGISTRY.get("L1Loss")
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def built(path: str):
    """The model of an option file."""
    torch.manual_seed(0)
    return build_model(options.read(path, is_train=True))


def batch(size: int = 2) -> dict:
    generator = torch.Generator().manual_seed(size)
    shapes = {"lq": (size, 3, 8, 8), "gt": (size, 3, 32, 32)}
    return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


def gradients(model) -> torch.Tensor:
    """The concatenated gradients of all networks."""
    networks = [net for name, net in vars(model).items() if name in ("net_g", "net_d")]
    return torch.cat([p.grad.flatten() for net in networks for p in net.parameters()])


# where which precision holds


@pytest.mark.parametrize("precision", HALF)
def test_training_lowers_the_loss_with_scan_and_losses_in_float32(precision, small, monkeypatch):
    seen: dict[str, set] = {"maps": set(), "states": set(), "losses": set()}
    backward, loss = planar_numba.backward, L1.forward

    def note_scan(dy, x, *rest):
        seen["maps"].add(x.dtype)
        seen["states"].add(rest[-1].dtype)
        return backward(dy, x, *rest)

    def note_loss(self, *images):
        seen["losses"].update(image.dtype for image in images)
        return loss(self, *images)

    model = built(small(precision=precision))
    model.train_on([batch()], 1)  # so that the backend's self-test, in float32, is over
    monkeypatch.setattr(planar_numba, "backward", note_scan)
    monkeypatch.setattr(L1, "forward", note_loss)
    values = []
    for iteration in range(1, 31):
        model.train_on([batch()], iteration)
        values.append(model.get_current_log()["l_pix"])
    assert max(values[-3:]) < 0.95 * values[0]
    assert seen == {"maps": {HALF[precision]}, "states": {torch.float32}, "losses": {torch.float32}}
    assert {p.dtype for p in model.net_g.parameters()} == {torch.float32}


@pytest.mark.parametrize("model", ["VmambaIRModel", "SRModel", "SRGANModel", "ESRGANModel"])
@pytest.mark.parametrize("precision", HALF)
def test_gradients_equal_those_of_float32_within_the_precision(model, precision, small):
    """In fp16 they are unscaled, also where a discriminator's gradient enters a generator."""
    rows = []
    for name in ("fp32", precision):
        trained = built(small("train:total_iter=9", model=model, precision=name))
        trained.loss_scale.scaler._init_scale = 1024.0
        trained.train_on([batch()], 1)
        assert trained.current.fault is None
        rows.append(gradients(trained))
    assert (rows[0] - rows[1]).norm() < 0.1 * rows[0].norm()
    assert not torch.equal(*rows)


def test_a_trainings_validations_are_in_float32_and_tests_follow_their_file(small):
    inside = []

    def note(module, _, output):
        inside.append(output.dtype)

    def restore(path: str, is_train: bool) -> torch.Tensor:
        model = build_model(options.read(path, is_train=is_train))
        for name in ("net_g", "net_g_ema"):
            getattr(model, name, nn.Conv2d(1, 1, 1)).apply(
                lambda m: type(m) is nn.Conv2d and m.register_forward_hook(note)
            )
        model.feed_data({"lq": batch()["lq"][:1]})
        model.test()
        return model.output

    path = small(precision="bf16")
    for is_train, dtype in ((True, torch.float32), (False, torch.bfloat16)):
        inside.clear()
        assert restore(path, is_train).dtype == torch.float32
        assert set(inside) == {dtype}


def test_a_model_of_another_package_also_trains_in_the_precision(small, monkeypatch):
    monkeypatch.setitem(MODEL_REGISTRY._obj_map, "OtherGANModel", PollutingModel)
    monkeypatch.setitem(MODELS, "OtherGANModel", MODELS["SRGANModel"])
    dtypes = set()
    model = built(small(model="OtherGANModel", precision="bf16"))
    for network in (model.net_g, model.net_d):
        last = [m for m in network.modules() if isinstance(m, nn.Conv2d)][-1]
        last.register_forward_hook(lambda _, __, output: dtypes.add(output.dtype))
    model.train_on([batch()], 1)
    assert dtypes == {torch.bfloat16}
    assert model.output.dtype == torch.float32


# fp16


def overflowing(at, monkeypatch) -> None:
    """Make gradients infinite at some calls of the L1 loss, which itself stays finite."""
    forward, calls = L1.forward, [0]

    def overflow(self, *images):
        calls[0] += 1
        loss = forward(self, *images)
        if calls[0] in at:
            loss.register_hook(lambda gradient: gradient * float("inf"))
        return loss

    monkeypatch.setattr(L1, "forward", overflow)


FP16 = ("logger:save_checkpoint_freq=1", "val:val_freq=100")


def test_an_overflow_lowers_the_scale_and_skips_the_step_but_is_no_fault(small, monkeypatch):
    overflowing([2], monkeypatch)
    assert train(small("train:total_iter=3", *FP16, precision="fp16", model="SRGANModel")) == 0
    files = {n: load_tensors(ROOT / f"models/net_g_{n}.pth") for n in (1, 2, 3)}
    states = {n: load_tensors(ROOT / f"training_states/{n}.state") for n in (1, 2, 3)}
    for key in ("params", "params_ema"):
        assert_same(files[1][key], files[2][key])
    assert any(not torch.equal(v, files[2]["params"][k]) for k, v in files[3]["params"].items())
    assert [states[n]["scaler"]["scale"] for n in (1, 2, 3)] == [65536.0, 32768.0, 32768.0]
    assert states[3]["skipped"] == (0, 0)
    assert "Iteration 2: no step, because gradients overflowed float16" in log()
    assert "loss_scale: 3.2768e+04" in log()


def test_many_overflows_in_a_row_are_no_divergence_until_the_scale_is_gone(
    small, monkeypatch, capsys
):
    overflowing(range(1, 100), monkeypatch)
    assert train(small("train:total_iter=50", *FP16, precision="fp16", model="SRModel")) == 1
    message = capsys.readouterr().err.splitlines()[-1]  # 16 halvings to 1, and then ten faults
    assert "iteration 26: the gradient norm of optimizer_g is nan, the tenth step" in message


def test_a_loss_that_is_not_finite_is_a_fault_in_fp16_too(small, monkeypatch):
    forward = L1.forward
    monkeypatch.setattr(L1, "forward", lambda self, *images: forward(self, *images) * float("nan"))
    model = built(small(precision="fp16"))
    for iteration in range(1, 11):
        assert not model.finite.diverged
        model.train_on([batch()], iteration)
    assert model.finite.diverged and model.finite.fault == "the loss cri_pix is nan"


def halves(whole: dict) -> list[dict]:
    """A batch as two micro-batches."""
    return [{key: value[i : i + 2] for key, value in whole.items()} for i in (0, 2)]


def test_micro_batches_share_a_scale(small):
    rows = []
    for micro_batches in ([batch(4)], halves(batch(4))):
        model = built(small(precision="fp16", model="SRGANModel"))
        model.train_on(micro_batches, 1)
        rows.append(gradients(model))
        assert model.loss_scale.scaler.state_dict()["_growth_tracker"] == 1
    assert (rows[0] - rows[1]).norm() < 0.01 * rows[0].norm()


def test_a_model_that_differentiates_gradients_is_refused_in_fp16(small):
    model = built(small(precision="fp16", model="SRGANModel"))
    images = batch()["gt"].requires_grad_()
    with pytest.raises(InputError, match="differentiates them again"):
        torch.autograd.grad(model.net_d(images).sum(), images, create_graph=True)


@pytest.mark.parametrize("precision", HALF)
def test_a_run_stopped_within_an_epoch_equals_an_uninterrupted_one(precision, small, monkeypatch):
    overflowing([1], monkeypatch)
    sizes = ("datasets:train:batch_size_per_gpu=1", "train:total_batch_size=2")
    sections = {"precision": precision, "channels_last": True, "model": "SRGANModel"}
    assert train(small(*sizes, name="whole", **sections)) == 0
    overflowing([1], monkeypatch)
    path = small(*sizes, name="stopped", **sections)
    with terminated_after(2):  # of three in an epoch
        assert train(path) == 128 + signal.SIGTERM
    assert resumes(path)
    assert_same_gan_runs("whole", "stopped", 4)
    state = load_tensors("experiments/whole/training_states/4.state")
    assert bool(state["scaler"]) == (precision == "fp16")


# memory formats, and all together


@pytest.mark.parametrize("model", ["VmambaIRModel", "SRModel", "SRGANModel"])
def test_channels_last_changes_memory_but_not_the_results(model, small):
    rows = []
    for channels_last in (False, True):
        trained = built(small(model=model, channels_last=channels_last))
        layouts = []
        trained.net_g.register_forward_hook(
            lambda _, inputs, __: layouts.append(  # noqa: B023
                inputs[0].is_contiguous(memory_format=torch.channels_last)
            )
        )
        trained.train_on([batch()], 1)
        assert layouts == [channels_last]
        rows.append(gradients(trained))
    weights = [p for p in trained.net_g.parameters() if p.dim() == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    assert (rows[0] - rows[1]).norm() < 1e-4 * rows[0].norm()


def test_everything_together_is_close_to_the_plain_step(small, monkeypatch):
    torch.compiler.reset()
    monkeypatch.setattr(
        build, "compile_network", lambda net: compile_network(net, backend="aot_eager")
    )
    every = {"compile": True, "channels_last": True, "precision": "fp16"}
    network = tiny_network(num_blocks=[0, 0, 0, 1])
    rows = []
    for sections in ({}, every):
        network = {**network, "activation_checkpointing": bool(sections)}
        model = built(small(network_g=network, **sections))
        parts = halves(batch(4)) if sections else [batch(4)]
        model.train_on(parts, 1)
        assert model.current.fault is None
        rows.append(gradients(model))
    assert (rows[0] - rows[1]).norm() < 0.1 * rows[0].norm()
    torch.compiler.reset()


def test_a_network_within_a_boundary_keeps_its_names_and_takes_nested_inputs():
    class Fusion(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, images, *, weights):
            outputs = [self.conv(image) * weights["w"] for image in images]
            return {"outputs": outputs, "first": (outputs[0], 1)}

    network = Fusion()
    names = list(network.state_dict())
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    Boundary("cpu", torch.bfloat16, True, scaler, False).wrap(network)
    images = [torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)]
    made = network(images, weights={"w": torch.ones(1)})
    assert type(network).__name__ == "Fusion" and isinstance(network, Fusion)
    assert list(network.state_dict()) == names
    assert made["first"][1] == 1
    assert {output.dtype for output in made["outputs"]} == {torch.float32}


# option files


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"precision": "half"},
            "precision: is 'half'; it must be 'fp32', 'tf32', 'bf16' or 'fp16'",
        ),
        ({"channels_last": 2}, "channels_last: is 2"),
    ],
)
def test_an_unknown_precision_is_refused(sections, message, small, capsys):
    assert train(small(**sections)) == 2
    assert message in capsys.readouterr().err
    assert not Path("experiments").exists()


def test_bf16_is_refused_on_a_gpu_without_it(small, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    with pytest.raises(InputError, match="precision: is bf16, which Tesla T4 does not have; set"):
        options.read(small(precision="bf16", num_gpu="auto"), is_train=True)
    options.read(small(precision="fp16", num_gpu="auto"), is_train=True)
    options.read(small(precision="bf16", num_gpu=0), is_train=True)


def test_check_runs_steps_in_the_precision_and_estimates_less_memory(small, monkeypatch):
    monkeypatch.setattr(check, "SECONDS", 0)
    found = []
    for precision in ("fp32", "fp16"):
        opt = options.read(small(precision=precision), is_train=True)
        found.append(cost.memory(opt, (2, 3, 64, 64)))
        assert any("s per iteration" in line for line in check._costs(opt, []))
    assert found[1] < 0.75 * found[0]
