"""The Triton backend beyond tests of the scans: chunks, and a GPU if there is one."""

import ast
import importlib
import inspect
from collections.abc import Set
from functools import partial
from itertools import product
from pkgutil import iter_modules
from types import SimpleNamespace

import pytest
import torch

from support.scans import (
    assert_close,
    differentiate,
    double,
    planar_inputs,
    selective_inputs,
    uninitialised_memory_is_nan,
)
from vmambair_arch import planar_scan, selective_scan
from vmambair_arch.ops import dispatch, gpu, planar, selective, self_test
from vmambair_arch.ops.gpu import (
    device as triton_device,
    planar as planar_triton,
    selective as selective_triton,
)

triton_launch = pytest.importorskip("vmambair_arch.ops.gpu.launch", exc_type=ImportError)
triton_bidirectional = pytest.importorskip(
    "vmambair_arch.ops.gpu.bidirectional", exc_type=ImportError
)
triton_short = pytest.importorskip("vmambair_arch.ops.gpu.short", exc_type=ImportError)
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
interpreted = pytest.mark.skipif(
    not triton_device.interpreted(), reason="Triton is not interpreted"
)
HALF = (torch.bfloat16, torch.float16)


def planar_of(inputs, backend):
    return differentiate(lambda **i: planar_scan(**i, backend=backend), inputs)


def selective_of(inputs, backend):
    flags = {"delta_softplus": True, "return_last_state": True}
    return differentiate(lambda **i: selective_scan(**i, **flags, backend=backend), inputs)


# Chunks, interpreted.


@pytest.fixture
def short_chunks(monkeypatch):
    """Chunks of 4 steps in pieces of 2: ten pixels test what otherwise needs thousands."""
    monkeypatch.setattr(triton_launch, "CHUNKS", (4, 8))
    monkeypatch.setattr(triton_launch, "ROWS", 2)
    monkeypatch.setattr(triton_launch, "steps_to_add", lambda chunk, numbers: 2)


@interpreted
@pytest.mark.parametrize("shape", [(1, 3, 3, 17, 3, 2), (2, 1, 5, 3, 2, 1)], ids=str)
def test_a_planar_scan_over_many_chunks(short_chunks, shape):
    inputs = planar_inputs(shape)
    with uninitialised_memory_is_nan():
        results = planar_of(inputs, "triton")
    assert_close(results, planar_of(double(inputs), "reference"))


@interpreted
@pytest.mark.parametrize("shape", [(1, 9, 5, 37, 1), (1, 34, 2, 9, 2)], ids=str)
def test_a_selective_scan_over_many_chunks(short_chunks, shape):
    inputs = selective_inputs(shape)  # 37 steps: more chunks than start_states reads at once
    with uninitialised_memory_is_nan():
        results = selective_of(inputs, "triton")
    assert_close(results, selective_of(double(inputs), "reference"))


@interpreted
def test_the_size_of_the_workspace_changes_no_bit(short_chunks, monkeypatch):
    inputs = selective_inputs((1, 20, 3, 9, 1), torch.bfloat16)
    at_once = selective_of(inputs, "triton")
    monkeypatch.setattr(triton_launch, "WORKSPACE", 1)  # one chunk at a time
    in_turn = selective_of(inputs, "triton")
    assert all(torch.equal(at_once[name], in_turn[name]) for name in at_once)


@interpreted
@pytest.mark.parametrize("chunk", [4, 8, 64])
def test_the_number_of_states_at_hand_changes_no_bit(chunk, monkeypatch):
    """Two passes of ``gradients`` where the cache holds a chunk's states, otherwise three."""
    monkeypatch.setattr(triton_launch, "chunk_length", lambda *sizes: chunk)
    inputs = planar_inputs((1, 3, 7, 17, 3, 2))
    fewest = planar_of(inputs, "triton")
    monkeypatch.setattr(triton_launch, "second_cache", lambda device: 2**40)
    with uninitialised_memory_is_nan():
        all_of_a_chunk = planar_of(inputs, "triton")
    assert all(torch.equal(fewest[name], all_of_a_chunk[name]) for name in fewest)


def test_states_at_hand_fit_in_half_of_the_cache():
    """The square root of a chunk's steps at least, and all of them if there is room."""
    at_hand = [
        triton_launch.steps_at_hand(64, 300, 16, megabytes << 20) for megabytes in (0, 30, 90)
    ]
    assert at_hand == [8, 16, 64]
    for programs, cache in ((300, 90 << 20), (1000, 50 << 20), (100, 40 << 20)):
        sub = triton_launch.steps_at_hand(64, programs, 16, cache)
        assert 4 * programs * triton_launch.kept_numbers(64, sub, 16) <= cache // 2 or sub == 8


@interpreted
def test_results_have_the_layout_that_torch_compile_expects(short_chunks):
    inputs = list(selective_inputs((1, 3, 2, 5, 1)).values())
    del inputs[6]  # the gate is not the backend's
    y, last_state = selective_triton.forward(*inputs, True)
    results = [y, last_state, *selective_triton.backward(y, *inputs, True)]
    inputs = list(planar_inputs((1, 2, 3, 3, 2, 2)).values())
    y, states = planar_triton.forward(*inputs, True)
    results += [y, *planar_triton.backward(y, *inputs, states)]
    assert all(result.is_contiguous() for result in results)
    storages = {result.untyped_storage().data_ptr() for result in results}
    assert len(storages) == len(results)


@pytest.mark.parametrize("length", [1, 65, 1023, 70_000, 10**6, 10**9])
def test_chunks_are_powers_of_two_that_pieces_divide(length):
    chunk = triton_launch.chunk_length(4, 96, length)
    least, most = triton_launch.CHUNKS
    sub = triton_launch.steps_at_hand(chunk, 1000, 16, 0)
    assert chunk & (chunk - 1) == 0 and chunk % sub == 0
    assert least <= chunk <= most
    assert chunk <= 2 * least or 12 * length >= chunk * triton_launch.PROGRAMS  # fill a large GPU


# The self-test.


def kernels() -> Set[str]:
    """The kernels that are launched: those that no other function on the GPU calls."""
    modules = [
        importlib.import_module(f"{gpu.__name__}.{m.name}") for m in iter_modules(gpu.__path__)
    ]
    functions = {
        name: inspect.getsource(value.fn)
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "fn")
    }
    nodes = [node for source in functions.values() for node in ast.walk(ast.parse(source))]
    return functions.keys() - {node.id for node in nodes if isinstance(node, ast.Name)}


def test_a_kernel_has_twelve_arguments_at_most():
    for name in kernels():
        kernel = getattr(triton_bidirectional, name, getattr(triton_short, name, None))
        kernel = kernel or getattr(triton_launch, name)
        assert len(inspect.signature(kernel.fn).parameters) <= 12, name


def test_the_self_test_reaches_every_kernel(monkeypatch):
    launched = set()

    def note(kernel, *arguments, **options):
        launched.add(kernel.fn.__name__)

    for module in (triton_launch, triton_short, triton_bidirectional):
        monkeypatch.setattr(module, "run", note)
    for operation in self_test.REFERENCES:
        for inputs in self_test.problems(operation):
            module = dispatch.load(operation, "triton")
            self_test._answers(operation, module, inputs, gradients=True)
    assert launched == kernels()


@interpreted
def test_the_short_scan_passes_a_self_test(monkeypatch):
    cpu, dtype = torch.device("cpu"), torch.float32
    problems = [self_test._selective_problem(dtype, d=2, length=20)]
    monkeypatch.setattr(self_test, "problems", lambda *_: problems)
    errors = self_test.errors("selective", selective_triton, cpu, dtype, gradients=True)
    assert len(errors) == 9 and not self_test.too_large(errors, dtype)


# Where it can run.


@pytest.fixture
def old_gpu(monkeypatch):
    """An object like a tensor on a GPU from 2016."""
    monkeypatch.setattr(triton_device, "interpreted", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GeForce GTX 1080")
    return SimpleNamespace(device=torch.device("cuda:0"), dtype=torch.float32)


@pytest.mark.parametrize("operation", ["planar", "selective"])
def test_an_old_gpu_is_passed_over_with_one_sentence(old_gpu, caplog, monkeypatch, operation):
    monkeypatch.setattr(dispatch.self_test, "failure", lambda *_: None)  # it is not there
    dispatch._announce.cache_clear()
    with caplog.at_level("INFO", logger="vmambair_arch"):
        for _ in range(2):
            chosen = dispatch.choose(
                operation, ("triton", "chunked"), "auto", old_gpu, gradients=True
            )
    assert chosen is dispatch.load(operation, "chunked")
    (record,) = caplog.records
    assert "backend chunked" in record.message
    assert "needs compute capability 7.5, GeForce GTX 1080 has 6.1" in record.message


@pytest.mark.parametrize("operation", ["planar", "selective"])
def test_an_old_gpu_raises_if_triton_was_named(old_gpu, operation):
    with pytest.raises(RuntimeError, match="'triton' of .* cannot run here: .* 7.5, .* has 6.1"):
        dispatch.choose(operation, ("triton", "chunked"), "triton", old_gpu, gradients=True)


def test_the_other_reasons_why_it_cannot_run(old_gpu, monkeypatch):
    capable = SimpleNamespace(device=torch.device("cuda:0"), dtype=torch.float32)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert triton_device.unavailable(capable) is None
    assert "float64" in triton_device.unavailable(torch.ones(1).double())
    assert "an NVIDIA GPU, the input is on cpu" in triton_device.unavailable(torch.ones(1))
    monkeypatch.setattr(torch.version, "hip", "6.2")
    assert "needs an NVIDIA GPU" in triton_device.unavailable(capable)
    monkeypatch.setattr(triton_device.importlib.util, "find_spec", lambda name: None)
    assert triton_device.unavailable(capable) == "triton is not installed"


@pytest.mark.parametrize("module", [planar, selective])
def test_auto_never_uses_it_on_the_cpu(module):
    operation = module.__name__.rpartition(".")[2]
    chosen = dispatch.choose(operation, module.BACKENDS, "auto", torch.ones(1), gradients=True)
    assert chosen is dispatch.load(operation, "numba")


# On a GPU. The scans' own tests run there too, at small shapes.

# b, h, w, d, n, r: the network's widths; several chunks and blocks of channels, ragged at the end.
LARGE_MAPS = [(1, 64, 64, 48, 16, 3), (2, 45, 67, 96, 16, 6), (1, 16, 24, 384, 16, 24)]
LARGE_SEQUENCES = [(1, 48, 16, 4096, 1), (3, 24, 16, 1001, 2), (2, 8, 64, 384, 2)]


def on_cuda(inputs):
    return {name: tensor.cuda() for name, tensor in inputs.items()}


def to_cpu(results):
    return {name: tensor.cpu() for name, tensor in results.items()}


@on_gpu
@pytest.mark.parametrize(
    ("shape", "dtype"), product(LARGE_MAPS, (torch.float32, *HALF)), ids=lambda p: str(p)
)
def test_large_maps_are_right_on_a_gpu(shape, dtype):
    inputs = on_cuda(planar_inputs(shape, dtype))
    with uninitialised_memory_is_nan():
        results = planar_of(inputs, "triton")
    assert_close(to_cpu(results), to_cpu(planar_of(double(inputs), "reference")))


@on_gpu
@pytest.mark.parametrize(
    ("shape", "dtype"), product(LARGE_SEQUENCES, (torch.float32, *HALF)), ids=lambda p: str(p)
)
def test_long_sequences_are_right_on_a_gpu(shape, dtype):
    inputs = on_cuda(selective_inputs(shape, dtype))
    with uninitialised_memory_is_nan():
        results = selective_of(inputs, "triton")
    assert_close(to_cpu(results), to_cpu(selective_of(double(inputs), "reference")))


@on_gpu
def test_every_run_on_a_gpu_gives_the_same_bits():
    inputs = on_cuda(planar_inputs((2, 96, 80, 96, 16, 6), torch.bfloat16))
    first = planar_of(inputs, "triton")
    for _ in range(5):
        again = planar_of(inputs, "triton")
        assert all(torch.equal(first[name], again[name]) for name in first)


@on_gpu
def test_auto_uses_it_on_a_gpu():
    chosen = dispatch.choose(
        "planar", planar.BACKENDS, "auto", torch.ones(1, device="cuda"), gradients=True
    )
    assert chosen is planar_triton


@on_gpu
def test_it_works_under_compile_on_a_gpu():
    inputs = on_cuda(planar_inputs((1, 33, 40, 48, 16, 3)))

    def scan(**inputs):
        return planar_scan(**inputs, backend="triton").square()

    compiled = torch.compile(scan, fullgraph=True)
    eager, traced = differentiate(scan, inputs), differentiate(compiled, inputs)
    for name in eager:
        torch.testing.assert_close(traced[name], eager[name])


@on_gpu
def test_the_backward_pass_on_a_gpu_needs_little_memory():
    """Besides its results: a map for each direction, states between the chunks, and a workspace."""
    b, h, w, d, n, r = 1, 512, 512, 96, 16, 6
    x = torch.randn(b, h, w, d, device="cuda", requires_grad=True)
    projection = torch.randn(b, h, w, 4, r + 2 * n, device="cuda", requires_grad=True)
    parameters = [tensor.cuda() for tensor in list(planar_inputs((b, 1, 1, d, n, r)).values())[2:]]
    scan = partial(planar_scan, x, projection, *parameters, backend="triton")
    dy = torch.ones_like(x)
    torch.autograd.grad(scan(), (x, projection), dy)  # the first call also takes libraries' memory
    y = scan()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    torch.autograd.grad(y, (x, projection), dy)
    inputs = 4 * (x.numel() + projection.numel())
    extra = torch.cuda.max_memory_allocated() - before - inputs  # the gradients are as large
    assert extra < 4 * 4 * x.numel() + 0.3 * inputs + triton_launch.WORKSPACE
