"""torch.compile and activation checkpointing change speed and memory, never results."""

import shutil

import pytest
import torch
from torch import Tensor, nn

from vmambair_arch import VmambaIR, cli
from vmambair_arch.errors import InputError
from vmambair_arch.models import build
from vmambair_arch.networks.compilation import compile_network
from vmambair_arch.networks.modules.oss import PlanarScan

TOLERANCE = 1e-4  # relative L2, of outputs and of all gradients together


def tiny(**options) -> VmambaIR:
    """A network with one block, at the bottom; the same at every call."""
    torch.manual_seed(0)
    depths = {"num_blocks": (0, 0, 0, 1), "num_refinement_blocks": 0}
    return VmambaIR(dim=4, d_state=2, scale=2, channel_scan_width=2, **depths, **options)


def run(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The output, and the concatenated gradients of all parameters."""
    network.zero_grad()
    y = network(x)
    y.square().sum().backward()
    return y.detach(), torch.cat([p.grad.flatten() for p in network.parameters()])


def assert_equal(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() <= TOLERANCE * b.norm()


def pictures(h: int, w: int) -> Tensor:
    return torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(h))


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("options", [{}, {"activation_checkpointing": True}])
def test_the_whole_network_is_one_graph_and_equals_eager(options):
    network = tiny(**options)
    compile_network(network, backend="aot_eager")  # fullgraph: a graph break is an error
    x = pictures(8, 8)
    assert_equal(run(network, x), run(tiny(), x))


def test_a_compiled_network_takes_other_sizes():
    network = tiny()
    compile_network(network, backend="eager")  # another size is traced anew
    with torch.no_grad():
        for x in (pictures(8, 8), pictures(16, 24)):
            assert (network(x) - tiny()(x)).norm() <= TOLERANCE * tiny()(x).norm()


def test_a_compiled_network_keeps_its_names_and_its_class():
    network = tiny()
    compile_network(network, backend="aot_eager")
    assert network.state_dict().keys() == tiny().state_dict().keys()
    assert type(network) is VmambaIR


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler: no g++")
def test_a_planar_scan_through_inductor_equals_eager():
    def scan() -> PlanarScan:  # the whole network takes inductor minutes
        torch.manual_seed(0)
        return PlanarScan(dim=4, d_state=2)

    network, x = scan(), torch.randn(1, 4, 3, 5).contiguous(memory_format=torch.channels_last)
    compile_network(network)
    assert_equal(run(network, x), run(scan(), x))


def test_compiling_without_a_compiler_is_one_sentence(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="no-such-compiler is not on the PATH; install one"):
        compile_network(tiny())


@pytest.mark.parametrize(
    ("gpus", "dist", "refused"), [(2, False, True), (1, False, False), (2, True, False)]
)
def test_a_compiled_network_is_not_copied_to_other_gpus(gpus, dist, refused):
    opt = {"compile": True, "num_gpu": gpus, "dist": dist, "opt_file": "opt.yml"}
    if not refused:
        build.refuse_compiled_copies(opt)
        return
    with pytest.raises(InputError, match=r"^opt.yml: compile is true, but one process has 2 GPUs"):
        build.refuse_compiled_copies(opt)


def test_a_copy_of_a_compiled_network_calls_the_original():
    """The reason for the refusal: torch.nn.parallel.replicate makes such copies."""
    network = tiny()
    compile_network(network, backend="eager")
    copied = network._replicate_for_data_parallel()
    assert copied._compiled_call_impl is network._compiled_call_impl


def test_compiled_code_keeps_the_layout_of_the_scans_tensors():
    for name in (
        "planar_scan",
        "planar_scan_backward",
        "selective_scan",
        "selective_scan_backward",
    ):
        operation = getattr(torch.ops.vmambair, name).default
        assert torch.Tag.needs_exact_strides in operation.tags


def saved_bytes(network: nn.Module, x: Tensor) -> int:
    """The bytes that the forward pass keeps for the backward pass, without parameters."""
    parameters = {p.data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = network(x)
    assert y.requires_grad
    return sum(kept.values())


def test_checkpointing_keeps_the_gradients_and_a_fraction_of_the_memory():
    options = {"num_blocks": (2, 0, 0, 1), "num_refinement_blocks": 0, "dim": 8, "d_state": 2}
    torch.manual_seed(0)
    plain = VmambaIR(**options)
    checkpointed = VmambaIR(**options, activation_checkpointing=True)
    checkpointed.load_state_dict(plain.state_dict())
    x = pictures(16, 16)
    assert_equal(run(checkpointed, x), run(plain, x))
    assert saved_bytes(checkpointed, x) < 0.4 * saved_bytes(plain, x)


def test_checkpointing_is_not_part_of_the_config():
    assert tiny(activation_checkpointing=True).config == tiny().config


def test_an_option_file_compiles_its_network(experiment, monkeypatch):
    compiled = []
    monkeypatch.setattr(build, "compile_network", compiled.append)
    assert cli.basicsr(["train", "-opt", experiment(compile=True)]) == 0
    assert [type(network) for network in compiled] == [VmambaIR]
