"""How often an iteration stalls a GPU, and the settings of float32 and cuDNN."""

from types import SimpleNamespace

import pytest
import torch

from support.syncs import syncs
from support.trainings import MODELS
from vmambair_arch import Restorer
from vmambair_arch.degrading.model import DegradationModel
from vmambair_arch.models.build import build_model, dependable
from vmambair_arch.option_files import options
from vmambair_arch.training import pipeline
from vmambair_arch.training.validation import Validation


def batch() -> dict:
    return {"lq": torch.rand(2, 3, 8, 8), "gt": torch.rand(2, 3, 32, 32)}


@pytest.mark.parametrize(
    ("model", "most"), [("VmambaIRModel", 1), ("SRModel", 1), ("VmambaIRGANModel", 2)]
)
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_an_iteration_waits_once_for_each_optimizer(small, monkeypatch, model, most, micro_batches):
    monkeypatch.setitem(MODELS, "VmambaIRGANModel", MODELS["VmambaIRModel"])
    trained = build_model(options.read(small(model=model), is_train=True))
    for iteration in (1, 2):
        with syncs() as found:
            trained.update_learning_rate(iteration, -1)
            trained.train_on([batch() for _ in range(micro_batches)], iteration)
    assert len(found) <= most, found
    with syncs() as found:
        log = trained.get_current_log()
    assert len(found) == 1 and all(type(value) is float for value in log.values())


def test_an_iteration_with_degradations_waits_two_more_times(model_options, data_options):
    model_options |= {"gt_usm": True, "num_gpu": 0}
    trained = dependable(DegradationModel)(model_options)
    trained.wrap_optimizers()
    pulse = torch.zeros(3, 21, 21)
    pulse[:, 10, 10] = 1
    for iteration in range(1, 5):  # the pool of two batches is full after two
        data = {"gt": torch.rand(3, 3, 80, 80), "kernel1": pulse}
        data |= {"kernel2": pulse, "sinc_kernel": pulse}
        with syncs() as found:
            trained.train_on([data], iteration)
        assert len(found) <= 3, found


@pytest.fixture
def flags():
    """torch's settings of cuDNN and cuBLAS, restored after the test."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
    yield lambda: (cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark)
    cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = before


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_float32_is_full_unless_the_precision_is_lower(small, flags, precision):
    build_model(options.read(small(precision=precision), is_train=True))
    assert flags()[:2] == (precision != "fp32",) * 2


@pytest.mark.parametrize("is_train", [True, False])
def test_cudnn_benchmarks_only_training_crops_and_validates_in_full_float32(flags, is_train):
    opt = {
        "is_train": is_train,
        "num_gpu": 0,
        "manual_seed": 0,
        "rank": 0,
        "val": {"save_img": False},
    }
    pipeline._start(opt)
    assert flags()[2] is is_train
    torch.backends.cuda.matmul.allow_tf32 = True
    seen = []
    model = SimpleNamespace(validation=lambda *_: seen.append(flags()), first_visuals=None)
    loader = SimpleNamespace(dataset=SimpleNamespace(opt={"name": "set"}))
    Validation(opt, [loader], None, None).run(model, 1)
    assert seen[0][1:] == (not is_train, False)
    assert flags()[1:] == (True, is_train)


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_restoring_is_in_full_float32_unless_asked_otherwise(flags, precision):
    torch.backends.cudnn.benchmark = True
    seen = []

    class Network(torch.nn.Module):
        def forward(self, x):
            seen.append(flags())
            return x

    Restorer(Network(), precision=precision).restore_tensor(torch.rand(1, 3, 9, 9))
    assert set(seen) == {(precision == "tf32",) * 2 + (False,)}
    assert flags()[2]
