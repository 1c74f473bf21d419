"""Trainings and restored pictures on a GPU where there is one, and on the CPU: the same tests."""

import numpy as np
import pytest
import torch
from torch import distributed

from support import ranks
from support.experiments import load_tensors
from support.trainings import ROOT, log, resumes, train
from vmambair_arch import Restorer, VmambaIR
from vmambair_arch.data.batches.prefetch import Prefetcher, collate_packed

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=NO_GPU)])
def device(request) -> str:
    return request.param


def weights(iteration: int | str) -> torch.Tensor:
    tensors = load_tensors(ROOT / f"models/net_g_{iteration}.pth")["params"]
    return torch.cat([t.float().flatten() for t in tensors.values()])


def on(device: str) -> str:
    return f"num_gpu={int(device == 'cuda')}"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_training_validates_saves_and_resumes(small, device, precision):
    """Not bit for bit on a GPU, where cuDNN may choose other algorithms the second time."""
    every = ("train:total_iter=4", "logger:save_checkpoint_freq=2", "val:val_freq=4")
    path = small(on(device), *every, precision=precision)
    assert train(path) == 0
    expected = weights(4)
    for file in (ROOT / "training_states/4.state", ROOT / "models/net_g_4.pth"):
        file.unlink(missing_ok=True)
    assert resumes(path)
    assert "Resuming from epoch" in log()
    if device == "cpu":
        assert torch.equal(weights(4), expected)
    torch.testing.assert_close(weights(4), expected, rtol=1e-2, atol=1e-4)
    assert expected.isfinite().all()


def test_a_discriminator_is_trained_too(small, device):
    path = small("train:total_iter=2", "val:val_freq=9", on(device), model="SRGANModel")
    assert train(path) == 0
    assert weights("latest").isfinite().all()


def test_a_process_group_of_one_trains(small, device, monkeypatch):
    """With nccl on a GPU, and gloo for messages between processes."""
    place = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "localhost"}
    for name, value in place.items():
        monkeypatch.setenv(name, str(value))
    opened, initialise = [], distributed.init_process_group

    def noted(backend, **options):
        opened.append(backend)
        initialise(backend, **options)

    monkeypatch.setattr(distributed, "init_process_group", noted)
    path = small("train:total_iter=2", "val:val_freq=9", on(device))
    try:
        with ranks.reserved_port() as port:
            monkeypatch.setenv("MASTER_PORT", str(port))
            assert train(path, "--launcher", "pytorch") == 0
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
    assert opened == [{"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}[device]]
    assert weights("latest").isfinite().all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_picture_is_restored_as_in_float32_on_the_cpu(device, precision, depth):
    torch.manual_seed(0)
    network = VmambaIR(scale=2, dim=8, d_state=2, num_blocks=(1, 0, 0, 1), num_refinement_blocks=0)
    most = np.iinfo(depth).max
    picture = (np.random.default_rng(0).random((40, 56, 3)) * most).astype(depth)
    exact = Restorer(network, device="cpu", precision="fp32")(picture).astype(float)
    for tile in (None, 40):
        found = Restorer(network, device=device, precision=precision, tile=tile)(picture)
        assert found.dtype == depth and found.shape == (80, 112, 3)
        assert np.abs(found - exact).mean() < 0.02 * most


@NO_GPU
def test_the_next_batch_is_prefetched_to_the_gpu():
    pictures = torch.arange(3 * 2 * 3 * 8 * 8).view(3, 2, 3, 8, 8) % 256 / 255
    samples = [collate_packed(lambda rows: {"lq": rows[0]}, [row]) for row in pictures]
    pinned = ({"lq": type(s["lq"])(s["lq"][0].pin_memory())} for s in samples)
    for row, batch in zip(pictures, Prefetcher(pinned, torch.device("cuda", 0)), strict=True):
        assert batch["lq"].is_cuda and torch.equal(batch["lq"].cpu(), row)
