"""Numba's side of the scans: tiles, the cache on the disk, threads, forks."""

import functools
import logging
import math
import os
import runpy
import threading
from pathlib import Path

import numba
import pytest
import torch
from filelock import FileLock, Timeout
from numba.core.caching import FunctionCache
from torch.utils.data import DataLoader, Dataset

from support.patience import PATIENCE
from support.scans import (
    assert_close,
    differentiate,
    double,
    selective_inputs,
    threads as several_threads,
)
from vmambair_arch.ops import planar_scan, selective_scan
from vmambair_arch.ops.cpu import jit, planar as planar_numba, selective as selective_numba, threads

SHAPE = (2, 5, 6, 40)  # images, height, width, channels: three blocks, the last one partly filled


def inputs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    b, h, w, d, n, r = *SHAPE, 4, 3
    shapes = [(b, h, w, d), (b, h, w, 4, r + 2 * n), (4, d, r), (4, d), (4, d, n), (4, d)]
    x, projection, weight, bias, A, D = (torch.randn(s, generator=generator) for s in shapes)
    return [x, projection, weight, bias, -A.exp(), D]


@pytest.fixture
def two_threads():
    with several_threads(2):
        yield


def test_a_sequence_longer_than_two_tiles_equals_the_reference():
    given = selective_inputs((1, 3, 2, 2 * selective_numba.TILE + 19, 1))
    scan = functools.partial(selective_scan, delta_softplus=True)
    found = differentiate(functools.partial(scan, backend="numba"), given)
    expected = differentiate(functools.partial(scan, backend="reference"), double(given))
    assert_close(found, expected)


def test_a_cache_folder_that_cannot_be_made_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file" / "below"))
    module = tmp_path / "module.py"
    module.write_text(
        "from vmambair_arch.ops.cpu.jit import kernel\n"
        "@kernel\ndef add_one(x):\n    return x + 1\n"
        "result = add_one(1)\n"
    )
    assert runpy.run_path(str(module))["result"] == 2


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FunctionCache, "save_overload", full)
    caplog.set_level(logging.INFO, "vmambair_arch")
    assert jit.kernel(lambda x: x + 2)(1) == 3
    assert "No space left on device" in caplog.text


def lock_of(kernel) -> FileLock:
    folder = Path(kernel._cache.cache_path)
    name = f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__}.lock"
    return FileLock(folder / name, timeout=0)


def add_three(x):
    return x + 3


def test_only_one_of_the_processes_that_start_together_compiles(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    one, other = jit.kernel(add_three), jit.kernel(add_three)
    compile_ = one._compiler.compile

    def compile_in_time(*signature):
        with pytest.raises(Timeout):
            lock_of(other).acquire()
        return compile_(*signature)

    monkeypatch.setattr(one._compiler, "compile", compile_in_time)
    assert one(1) == other(1) == 4
    assert sum(other.stats.cache_hits.values()) == 1
    lock_of(one).acquire().lock.release()


def test_a_process_that_never_ends_does_not_block_compiling(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "LOCK_TIMEOUT", 0)
    caplog.set_level(logging.INFO, "vmambair_arch")
    kernel = jit.kernel(add_three)
    with lock_of(kernel):
        assert kernel(1) == 4
    assert "kernels are compiled beside other processes" in caplog.text


def test_a_change_in_any_file_of_the_kernels_invalidates_the_cache(monkeypatch):
    cache = planar_numba._forward._cache
    target = planar_numba._scan.targetdescr.target_context.codegen()
    key = cache._index_key((), target)
    monkeypatch.setattr(jit, "_sources", lambda: "other")
    assert cache._index_key((), target) != key


def test_a_thread_pool_gives_the_results_of_openmp(monkeypatch, two_threads):
    y = planar_scan(*inputs(), backend="numba")
    monkeypatch.setattr(threads, "openmp", lambda: None)
    assert torch.equal(planar_scan(*inputs(), backend="numba"), y)


def test_python_threads_may_scan_at_once(two_threads):
    y, results = planar_scan(*inputs(), backend="numba"), []

    def scan():
        results.append(planar_scan(*inputs(), backend="numba"))

    running = [threading.Thread(target=scan) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(PATIENCE)
    assert len(results) == 4
    assert all(torch.equal(result, y) for result in results)


def test_an_error_in_a_thread_is_raised(two_threads):
    def kernel(first, last):
        raise ZeroDivisionError(f"{first} to {last}")

    with pytest.raises(ZeroDivisionError):
        threads.run(kernel, 4, 2)


def test_a_short_scan_takes_one_thread_and_a_longer_one_more(two_threads, monkeypatch):
    monkeypatch.setattr(threads, "STATES", 1000)
    assert [threads.fitting(states) for states in (1, 1999, 2000, 9000)] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("cells", "number", "work"),
    [(3, 1, 12), (3, 2, 6), (4, 2, 8), (3, 4, 3), (3, 8, 2), (1, 4, 1), (21, 2, 44), (1, 3, 2)],
)
def test_threads_share_the_directions_of_all_cells_evenly(cells, number, work):
    """``work`` is the most that a thread scans, in directions of a cell."""
    parts = planar_numba._parts(cells, number)
    scanned = sorted(
        (cell, k)
        for first, last, group, groups in parts
        for cell in range(first, last)
        for k in range(4 * group // groups, 4 * (group + 1) // groups)
    )
    assert scanned == [(cell, k) for cell in range(cells) for k in range(4)]
    assert max((last - first) * 4 // groups for first, last, _, groups in parts) == work


class Scans(Dataset):
    """A data set whose items are computed by a scan, on two threads.

    Its tensors are made before the fork: after it torch's own operations would hang on two.
    """

    def __init__(self):
        self.inputs = inputs()

    def __len__(self):
        return 2

    def __getitem__(self, index):
        torch.set_num_threads(2)
        return planar_scan(*self.inputs, backend="numba")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_workers_that_fork_may_scan(two_threads):
    y = planar_scan(*inputs(), backend="numba")
    loader = DataLoader(
        Scans(), batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=PATIENCE
    )
    assert all(torch.equal(item, y) for item in loader)


def test_the_backward_pass_uses_the_states_that_the_forward_pass_kept():
    """Even with many segments, gradients equal those of the reference."""
    tensors = [tensor.requires_grad_() for tensor in inputs()]
    x, projection, *_, A, _ = tensors
    wide = torch.randn(1, 40, 40, 40).requires_grad_()
    tensors[0] = wide
    tensors[1] = torch.randn(1, 40, 40, *projection.shape[3:]).requires_grad_()
    segments = planar_numba.states_shape(wide, tensors[1], A)[3]
    assert segments > 5
    grads = [
        torch.autograd.grad(planar_scan(*tensors, backend=backend).sin().sum(), tensors)
        for backend in ("numba", "reference")
    ]
    for ours, exact in zip(*grads, strict=True):
        assert float((ours - exact).norm()) <= 1e-4 * float(exact.norm())


@pytest.mark.parametrize("channels", [16, 48, 96, 384])
def test_the_states_that_are_kept_are_at_most_a_quarter_of_the_inputs(channels):
    rank, n = -(-channels // 16), 16
    x = torch.empty(1, 64, 64, channels, device="meta")
    projection = torch.empty(1, 64, 64, 4, rank + 2 * n, device="meta")
    A = torch.empty(4, channels, n, device="meta")
    kept = math.prod(planar_numba.states_shape(x, projection, A))
    assert 0 < kept <= (x.numel() + projection.numel()) / 4


def test_nothing_is_kept_if_no_gradient_is_needed(monkeypatch):
    kept = []
    forward = planar_numba.forward

    def spy(*arguments):
        result = forward(*arguments)
        kept.append(result[1].numel())
        return result

    tensors = inputs()
    with torch.no_grad():
        planar_scan(*tensors)  # so that the backend's self-test is over
        monkeypatch.setattr(planar_numba, "forward", spy)
        planar_scan(*tensors)
    assert kept == [0]
