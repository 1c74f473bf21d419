"""Tiles cover the picture, blend seamlessly, and are as large as memory allows."""

import itertools
import logging
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from support import picture_files as files
from vmambair_arch import Restorer, VmambaIR, inference
from vmambair_arch.errors import InputError
from vmambair_arch.restoring import placing, restorer
from vmambair_arch.restoring.tiles import tile_sizes, transfer
from vmambair_arch.system import memory


class Blur(nn.Module):
    """A network with a receptive field of two pixels around each, which enlarges twice."""

    multiple = 4

    def forward(self, x):
        y = nn.functional.avg_pool2d(x, 5, 1, padding=2, count_include_pad=False)
        return nn.functional.interpolate(y, scale_factor=2)


class Failing(nn.Module):
    """An identity network that runs out of memory above a number of pixels."""

    scale = 1

    def __init__(self, pixels: int, error: Exception):
        super().__init__()
        self.pixels, self.error, self.seen = pixels, error, []

    def forward(self, x):
        self.seen.append(tuple(x.shape[2:]))
        if x.shape[2] * x.shape[3] > self.pixels:
            raise self.error
        return x


@pytest.mark.parametrize("size", [1, 7, 64, 65, 100, 333])
@pytest.mark.parametrize(("side", "overlap"), [(16, 8), (40, 32), (64, 0), (64, 13), (512, 32)])
@pytest.mark.parametrize("multiple", [1, 8])
def test_tiles_cover_an_axis_and_overlap(size, side, overlap, multiple):
    spans = inference.spans(size, side, overlap, multiple)
    assert spans[0].start == 0 and spans[-1].stop == size
    assert all(span.stop - span.start <= max(side, multiple) for span in spans)
    assert all(span.start % multiple == 0 for span in spans)
    for before, after in itertools.pairwise(spans):
        shared = before.stop - after.start
        assert before.start < after.start and before.stop < after.stop
        assert shared >= min(overlap, side - multiple)


@pytest.mark.parametrize("overlap", [0, 3, 8, 12])
@pytest.mark.parametrize("scale", [1, 2])
def test_blended_tiles_of_an_identity_network_equal_the_image(overlap, scale):
    x = torch.rand(2, 3, 37, 50, dtype=torch.double)
    rows, columns = inference.spans(37, 16, overlap, 2), inference.spans(50, 20, overlap, 2)

    def restore(row, column):
        return x[..., row, column].repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    strips = inference.blended(restore, rows, columns, scale=scale, overlap=overlap)
    expected = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    torch.testing.assert_close(torch.cat(list(strips), 2), expected, rtol=0, atol=1e-15)


def test_tiles_are_blended_with_half_a_cosine():
    rows, columns = [slice(0, 1)], [slice(0, 12), slice(8, 20)]
    values = {0: 0.0, 8: 1.0}

    def restore(row, column):
        return torch.full((1, 1, 1, 12), values[column.start], dtype=torch.double)

    (strip,) = inference.blended(restore, rows, columns, scale=1, overlap=4)
    fade = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(4, dtype=torch.double) + 0.5) / 4)
    expected = torch.cat([torch.zeros(8), fade, torch.ones(8)])
    torch.testing.assert_close(strip[0, 0, 0], expected.double(), rtol=0, atol=1e-15)


def test_tiles_make_no_difference_if_the_overlap_covers_the_receptive_field():
    x = torch.rand(1, 3, 61, 83)
    whole = Restorer(Blur()).restore_tensor(x)
    # the two pixels at a tile's border that see no neighbours weigh next to nothing
    tiled = Restorer(Blur(), tile=32, overlap=16).restore_tensor(x)
    assert (tiled - whole).abs().max() < 0.02
    assert (tiled - whole).square().mean() < 1e-6


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't allocate memory: tried 9"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("HIP error: hipErrorOutOfMemory"),
        RuntimeError("level_zero backend failed with error: UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY"),
        RuntimeError("Invalid buffer size: 9.00 GiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_tiles_are_halved_when_memory_runs_out(error):
    network = Failing(130 * 130, error)
    restorer = Restorer(network, device="cpu", overlap=8)
    image = files.noise("RGB", height=200, width=300)
    assert np.array_equal(restorer(image), image)
    tried = [seen for seen in network.seen if seen != (128, 128)]
    assert tried[:3] == [(200, 300), (200, 150), (100, 150)]
    network.seen.clear()
    restorer(image)  # remembers
    assert all(h * w <= 130 * 130 for h, w in network.seen)


def test_too_little_memory_for_small_tiles_is_an_error():
    with pytest.raises(InputError, match="memory"):
        Restorer(Failing(10, MemoryError()), tile=64)(files.noise("RGB", height=80, width=90))


def test_too_little_memory_for_the_network_itself_is_an_error():
    network = Failing(10, torch.cuda.OutOfMemoryError("CUDA out of memory"))
    network.scale = 0  # so that the network is run to find it
    with pytest.raises(InputError, match="cpu has not enough free memory for the network"):
        Restorer(network, device="cpu")


def test_other_errors_of_a_network_are_not_mistaken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match="of its own"):
        Restorer(Failing(10, RuntimeError("of its own")))(files.noise("RGB"))


@pytest.mark.parametrize(
    ("h", "w"), [(100, 100), (64, 10_000), (10_000, 64), (3000, 2000), (1, 9**7)]
)
def test_the_largest_tiles_fit_and_larger_ones_do_not(h, w):
    budget, per_pixel, per_row = 1e7, 50.0, 800.0
    height, width = tile_sizes.largest(h, w, budget=budget, per_pixel=per_pixel, per_row=per_row)

    def taken(height, width):
        return height * width * per_pixel + height * per_row

    assert 1 <= height <= h and 1 <= width <= w
    assert taken(height, width) <= budget
    assert (height, width) == (h, w) or taken(height + 2, width + 2) > budget


def test_tiles_follow_the_free_memory_and_the_measured_memory_per_pixel(monkeypatch):
    network = Failing(10**9, MemoryError())
    restorer = Restorer(network)
    monkeypatch.setattr(memory, "free", lambda device: 10**7)
    monkeypatch.setattr(memory, "peak_above_idle", lambda call, device: (128**2 * 400, ""))
    image = files.noise("RGB", height=400, width=300)
    assert np.array_equal(restorer(image), image)
    largest = max(h * w for h, w in network.seen)
    assert 10_000 < largest < 0.8 * 10**7 / 400
    monkeypatch.setattr(memory, "free", lambda device: 10**9)
    restorer(image)
    assert network.seen[-1] == (400, 300)


def test_tiles_follow_a_limit_of_memory(monkeypatch):
    monkeypatch.setattr(memory, "in_use", lambda device: 3 * 10**9)
    monkeypatch.setattr(memory, "free", lambda device: 10**12)
    monkeypatch.setattr(memory, "peak_above_idle", lambda call, device: (128**2 * 40_000, ""))
    network = Failing(10**9, MemoryError())
    Restorer(network, memory=5)(files.noise("L", height=300, width=400))
    assert max(h * w for h, w in network.seen) < 2e9 / 40_000


def test_a_limit_of_memory_that_has_no_effect_is_said(monkeypatch, caplog):
    monkeypatch.setattr(memory, "free", lambda device: None)
    with caplog.at_level(logging.WARNING, "vmambair_arch"):
        Restorer(Failing(10**9, MemoryError()), device="cpu")
        assert not caplog.records
        Restorer(Failing(10**9, MemoryError()), device="cpu", memory=5)
    (record,) = caplog.records
    assert record.getMessage().startswith("memory is 5, which has no effect: the system does not")


def test_tiles_are_small_where_the_system_does_not_report_its_memory(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: None)
    network = Failing(10**9, MemoryError())
    Restorer(network)(files.noise("L", height=300, width=400))
    assert max(network.seen) == (256, 256)


def test_a_gpu_that_is_not_the_first_is_asked_for_its_own_memory(monkeypatch):
    asked = []

    def answer(device):
        asked.append(device)
        return (7, 9)

    names = ("synchronize", "reset_peak_memory_stats", "memory_allocated", "memory_reserved")
    for name in (*names, "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda device: answer(device)[0])
    monkeypatch.setattr(torch.cuda, "mem_get_info", answer)
    second = torch.device("cuda:1")
    sizes = tile_sizes.TileSizes(lambda x: x, second, largest_map=1)
    sizes.choose(300, 400, channels=3, scale=1, result=0)
    assert memory.in_use(second) == 7
    assert len(asked) > 5 and set(asked) == {second}


def test_no_map_in_a_tile_has_more_elements_than_gpu_libraries_support(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 10**15)
    monkeypatch.setattr(memory, "in_use", lambda device: 0)
    widest = 4 * 4 * 96  # of realsr_x4, in front of the last shuffle
    sizes = tile_sizes.TileSizes(lambda x: x, torch.device("cuda"), largest_map=widest)
    sizes.per_pixel = 100.0
    h, w = sizes.choose(2000, 3000, channels=3, scale=4, result=0)
    assert 2**29 < h * w * widest < 2**31


def test_the_largest_map_of_a_network_is_found_by_its_layers():
    network = VmambaIR(scale=4, dim=4, num_blocks=(0, 0, 0, 0), num_refinement_blocks=0)
    assert restorer.Restorer(network).tiling.run.largest_map() == 4 * 4 * 8


def test_the_free_memory_is_known_here():
    total = 2**52  # bytes, more than any machine has
    assert 0 < (memory.free("cpu") or 0) < total
    assert 0 < (memory.in_use("cpu") or 0) < total
    assert memory.free("mps") is None and memory.in_use("mps") is None
    assert memory.peak_above_idle(lambda: None, "mps") == (None, "not known on mps here")


def test_a_control_group_limits_the_free_memory(tmp_path, monkeypatch):
    for name, content in {
        "memory.max": "5000000",
        "memory.current": "3000000",
        "memory.stat": "anon 7\ninactive_file 1000000",
    }.items():
        (tmp_path / name).write_text(content + "\n")
    group = (tmp_path, "memory.max", "memory.current", "inactive_file")
    monkeypatch.setattr(memory, "CONTROL_GROUPS", [group])
    assert memory.free("cpu") == 3_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert (memory.free("cpu") or 0) > 3_000_000


@pytest.mark.parametrize("size", [(100, 1), (1, 100), (1, 1), (3, 10_000)])
@pytest.mark.parametrize("scale", [1, 4])
def test_pictures_of_extreme_shapes_are_restored(size, scale):
    image = files.noise("RGB", height=size[0], width=size[1])
    output = Restorer(files.identity(scale), tile=64)(image)
    assert np.array_equal(output, image.repeat(scale, 0).repeat(scale, 1))


def test_a_picture_of_10000_by_64_pixels_is_restored_by_a_real_network():
    torch.manual_seed(0)
    network = VmambaIR(dim=2, num_blocks=[1, 0, 0, 0], num_refinement_blocks=0, d_state=1)
    image = files.noise("L", height=64, width=10_000)
    output = Restorer(network, tile=2000)(image)
    assert output.shape == image.shape
    assert output.std() > 10


def test_ensemble_is_the_mean_of_eight_views():
    class Shifted(
        nn.Module
    ):  # returns the pixel to the left; the mean over the ensemble is that of all neighbours
        scale = 1

        def forward(self, x):
            return x.roll(1, -1)

    x = torch.rand(1, 3, 6, 8)
    neighbours = [x.roll(shift, axis) for shift in (1, -1) for axis in (-1, -2)]
    output = Restorer(Shifted(), ensemble=True).restore_tensor(x)
    torch.testing.assert_close(output, sum(neighbours) / 4)
    same = Restorer(files.identity(), ensemble=True)(files.noise("RGBA"))
    assert np.array_equal(same, files.noise("RGBA"))


def test_a_tile_that_is_not_finite_is_repeated_in_float32():
    class Large(nn.Module):  # a product of 1e6 is infinite in float16
        scale = 1

        def forward(self, x):
            big = torch.full((x.shape[-1], x.shape[-1]), 1e4, device=x.device)
            return (x + 1e2) @ big * 0 + x

    x = torch.rand(1, 3, 8, 8)
    output = Restorer(Large(), precision="fp16").restore_tensor(x)
    torch.testing.assert_close(output, x, rtol=0, atol=0)


def test_a_network_that_is_not_finite_in_float32_either_is_an_error():
    class Broken(nn.Module):
        scale = 1

        def forward(self, x):
            return x / 0

    with pytest.raises(InputError, match="not finite"):
        Restorer(Broken()).restore_tensor(torch.rand(1, 3, 8, 8))


def difference(tiled: Restorer, whole: Restorer, x: torch.Tensor) -> float:
    return (tiled.restore_tensor(x) - whole.restore_tensor(x)).square().mean().sqrt().item()


def test_global_pooling_is_nearer_to_the_whole_picture_than_tiles_are():
    torch.manual_seed(0)
    network = VmambaIR(dim=4, num_blocks=[1, 1, 0, 0], num_refinement_blocks=1, d_state=2)
    x = torch.rand(1, 3, 96, 112) * torch.linspace(0, 1, 112)  # tiles have different means
    by_tile, by_picture = (
        Restorer(network, tile=48, overlap=16, pool=p) for p in ("tile", "global")
    )
    whole = Restorer(network)
    assert difference(by_picture, whole, x) < 0.7 * difference(by_tile, whole, x)
    assert difference(by_tile, Restorer(network, tile=48, overlap=16), x) == 0  # no hook is left
    assert difference(Restorer(network, pool="global"), whole, x) == 0  # one tile


def test_global_pooling_forgets_the_picture_before():
    torch.manual_seed(0)
    network = VmambaIR(dim=4, num_blocks=[1, 0, 0, 0], num_refinement_blocks=0, d_state=2)
    x = torch.rand(2, 1, 3, 64, 64)
    restorer, other = (Restorer(network, tile=48, overlap=8, pool="global") for _ in range(2))
    restorer.restore_tensor(x[0])
    assert torch.equal(restorer.restore_tensor(x[1]), other.restore_tensor(x[1]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"pool": "all"}, "pool is 'all'"),
        ({"pool": "global"}, "Blur has no channel scan"),
        ({"pool": "global", "compile": True}, "compiled"),
        ({"precision": "int8"}, "precision is 'int8'"),
    ],
)
def test_invalid_options_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Restorer(Blur(), **options)


LARGE = """
import ctypes
import sys
import numpy as np
from PIL import Image
from torch import nn
from vmambair_arch import Restorer
from vmambair_arch.commands.restore import batch_restore, plan
from vmambair_arch.system.memory import peak_of_process

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # no large pages, which count whole (THP_DISABLE)

class Greedy(nn.Module):
    scale = 1
    def forward(self, x):  # 100 bytes a pixel
        return x.repeat(1, 8, 1, 1)[:, :3]

noise = np.random.default_rng(0).integers(0, 256, (600, 1000, 3), np.uint8)
tiles, memory = map(int, sys.argv[1:])
Image.fromarray(np.tile(noise, (tiles, 10, 1))).save("large.bmp")
jobs = plan.plan(["large.bmp"], "out.bmp")
options = {"prefetch": 1, "quality": 95, "max_megapixels": 64}
options |= dict.fromkeys(["begin", "progress"], lambda job, number: None)
told = []
batch_restore.restore(jobs, Restorer(Greedy(), memory=memory), **options, report=told.append)
(done,) = told
assert not done.failure, done.failure
print(peak_of_process() / 2**30)
"""


@pytest.mark.long
def test_sixty_megapixels_are_restored_within_eight_gigabytes(tmp_path):
    assert gigabytes_of(tmp_path, megapixels=60, memory=4) < 5


def test_a_picture_larger_than_the_memory_is_restored_within_it(tmp_path):
    assert gigabytes_of(tmp_path, megapixels=12, memory=1) < 1.5  # at once it would take two


def gigabytes_of(tmp_path, *, megapixels: int, memory: int) -> float:
    """Peak memory of a process that restores a picture."""
    if sys.platform == "win32":
        pytest.skip("the system does not tell a process's peak memory")
    command = [sys.executable, "-c", LARGE, str(megapixels // 6), str(memory)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.bmp").read_bytes() == (tmp_path / "large.bmp").read_bytes()
    return float(done.stdout)


@pytest.mark.parametrize("found", [None, "mps", "xpu"])
def test_auto_takes_any_accelerator_that_torch_has(monkeypatch, found):
    device = found and torch.device(found)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: device)
    assert placing.device_named("auto") == torch.device(found or "cpu")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cpu", ["start", "finish"] * 3),  # another tile would be one more in memory
        ("cuda", ["start", "start", "finish", "start", "finish", "finish"]),
    ],
)
def test_a_gpu_gets_the_next_tile_before_the_first_is_awaited(kind, expected, monkeypatch):
    tiling, order = Restorer(Failing(10**9, MemoryError()), tile=32, overlap=8).tiling, []

    def start(x, *, progress):
        order.append("start")
        return lambda: order.append("finish") or x

    monkeypatch.setattr(tiling.run, "start", start)
    tiling.run.device = torch.device(kind)
    picture = torch.rand(1, 3, 32, 80)
    strips = tiling.strips(
        lambda rows, columns: picture[..., rows, columns],
        *(32, 80),
        channels=3,
        result=0,
        progress=None,
    )
    (strip,) = [strip for _, strip in strips]
    torch.testing.assert_close(strip, picture)
    assert order == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pixels_transferred_in_their_own_depth_become_the_same_values(dtype):
    pixels = np.random.default_rng(0).random((7, 9, 3))
    pixels = (pixels * transfer.max_value(np.dtype(dtype))).astype(dtype)
    expected = transfer.to_device(pixels, torch.device("cpu"))
    found = transfer.scaled(torch.from_numpy(pixels)).permute(2, 0, 1)[None]
    assert torch.equal(found, expected)
