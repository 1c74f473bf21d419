"""mamba_ssm and causal_conv1d where they are missing: our stand-ins have equal results."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from support import forks
from support.scans import selective_inputs
from vmambair_arch.mamba import convolution, stand_in
from vmambair_arch.mamba.block import Mamba
from vmambair_arch.mamba.convolution import causal_conv1d_fn
from vmambair_arch.mamba.interface import mamba_inner_fn, selective_scan_fn, selective_scan_ref
from vmambair_arch.ops import mamba_ssm

# The plugin, which forks have imported, has installed them too: this proves that ``install`` does.
USE = """
import logging, sys
logging.basicConfig()
from vmambair_arch.mamba import stand_in
sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, stand_in.StandIns)]
stand_in.install()
stand_in.install()
{code}
"""


@pytest.fixture
def run(empty_folder):
    """What a script prints in a process with the stand-ins and further module folders."""

    def run(code: str, *folders: Path) -> str:
        paths = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]}\n"
        assert forks.run(paths + USE.format(code=code)) == 0, Path("err.txt").read_text()
        return Path("out.txt").read_text() + Path("err.txt").read_text()

    return run


@pytest.fixture
def package(tmp_path):
    """Writes a package mamba_ssm whose kernels' module has a given content."""

    def write(content: str) -> Path:
        folder = tmp_path / "mamba_ssm/ops"
        folder.mkdir(parents=True)
        (tmp_path / "mamba_ssm/__init__.py").write_text("real = True\n")
        (folder / "__init__.py").touch()
        (folder / "selective_scan_interface.py").write_text(content)
        return tmp_path

    return write


@pytest.mark.skipif(mamba_ssm._missing() is None, reason="mamba-ssm is installed")
def test_what_networks_import_exists_with_one_warning_for_each_package(run):
    out = run(
        "from mamba_ssm.ops.selective_scan_interface import selective_scan_fn, selective_scan_ref\n"
        "from mamba_ssm.ops.selective_scan_interface import mamba_inner_fn\n"
        "from mamba_ssm.modules.mamba_simple import Mamba\n"
        "from mamba_ssm import Mamba as same\n"
        "from causal_conv1d import causal_conv1d_fn\n"
        "from vmambair_arch import selective_scan\n"
        "print(selective_scan_fn is selective_scan, same is Mamba)\n"
    )
    assert "True True" in out
    lines = [line for line in out.splitlines() if line.startswith("WARNING:vmambair_arch:")]
    assert [line.split(":")[2] for line in lines] == ["mamba_ssm", "causal_conv1d"]
    assert "vmambair_arch's own stands in for it: No module named 'mamba_ssm'" in lines[0]


def test_other_modules_of_a_package_stay_missing(run):
    code = "import importlib.util as u\nprint(u.find_spec('mamba_ssm.ops.triton'))\n"
    assert "None" in run(code)


def test_a_package_that_imports_is_left_alone(run, package):
    folder = package("selective_scan_fn = 'real'\n")
    code = (
        "from mamba_ssm.ops.selective_scan_interface import selective_scan_fn\n"
        "import mamba_ssm\nprint(selective_scan_fn, mamba_ssm.real)\n"
    )
    assert run(code, folder) == "real True\n"


def test_a_package_whose_libraries_do_not_load_is_replaced(run, package):
    folder = package("raise OSError('libcudart.so.12: cannot open shared object file')\n")
    code = (
        "from mamba_ssm.ops.selective_scan_interface import selective_scan_fn\n"
        "import mamba_ssm\nprint(selective_scan_fn.__module__, hasattr(mamba_ssm, 'real'))\n"
    )
    out = run(code, folder)
    assert "vmambair_arch.ops.selective False" in out
    assert "stands in for it: libcudart.so.12: cannot open shared object file" in out


@pytest.mark.parametrize("first", ["import mamba_ssm.ops.selective_scan_interface\n", ""])
def test_our_own_backend_ignores_the_stand_in(run, first):
    code = first + (
        "import torch\nfrom vmambair_arch.ops import mamba_ssm\n"
        "print(mamba_ssm.unavailable(torch.ones(1)))\n"
    )
    if mamba_ssm._missing() is None:
        pytest.skip("mamba-ssm is installed")
    assert "not installed: " in run(code)


def test_the_scans_have_mamba_ssms_arguments():
    given = selective_inputs((2, 6, 4, 5, 2))
    ours, plain = (
        scan(**given, delta_softplus=True, return_last_state=True)
        for scan in (selective_scan_fn, selective_scan_ref)
    )
    torch.testing.assert_close(ours, plain)


def by_hand(x, weight, bias):
    """The weighted sum of each step and those before it, with its channel's weights."""
    y = torch.zeros_like(x) + bias[:, None]
    for t in range(x.shape[-1]):
        for i in range(weight.shape[1]):
            before = t - weight.shape[1] + 1 + i
            if before >= 0:
                y[..., t] += weight[:, i] * x[..., before]
    return y


@pytest.mark.parametrize("width", [1, 3, 4, 7])
def test_a_causal_convolution_by_hand(width):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 3, 5), torch.randn(3, width), torch.randn(3)
    expected = by_hand(x, weight, bias)
    torch.testing.assert_close(causal_conv1d_fn(x, weight, bias), expected)
    silu = causal_conv1d_fn(x, weight, bias, activation="silu")
    torch.testing.assert_close(silu, F.silu(expected))


@pytest.mark.parametrize("width", [1, 4])
def test_a_sequence_in_two_parts_is_convolved_like_a_whole_one(width):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 9), torch.randn(3, width)
    first, state = causal_conv1d_fn(x[..., :2], weight, return_final_states=True)
    second = causal_conv1d_fn(x[..., 2:], weight, initial_states=state)
    whole = causal_conv1d_fn(x, weight)
    torch.testing.assert_close(torch.cat([first, second], dim=-1), whole)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"seq_idx": torch.zeros(1, 4)}, "one sequence per row"), ({"activation": "relu"}, "'relu'")],
)
def test_what_the_convolution_does_not_support_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        causal_conv1d_fn(torch.ones(1, 2, 4), torch.ones(2, 3), **options)


@pytest.fixture
def installed(monkeypatch):
    """Replace causal-conv1d's function."""

    def put(function):
        package = type(sys)("causal_conv1d")
        package.causal_conv1d_fn = function
        monkeypatch.setitem(sys.modules, "causal_conv1d", package)
        convolution._installed.cache_clear()

    yield put
    convolution._installed.cache_clear()


def test_an_installed_convolution_is_used_if_it_computes_correctly(installed):
    calls = []

    def real(x, weight, bias=None, *, activation=None):
        calls.append(x.shape)
        return convolution._convolve(F.pad(x, (weight.shape[1] - 1, 0)), weight, bias, activation)

    installed(real)
    for _ in range(2):
        causal_conv1d_fn(torch.ones(1, 2, 4), torch.ones(2, 3))
    assert calls == [(2, 8, 19), (1, 2, 4), (1, 2, 4)]


@pytest.mark.parametrize("wrong", [lambda y: 1.01 * y, lambda y: y.new_tensor([]).sum() / 0 + y])
def test_an_installed_convolution_that_is_wrong_is_not_used(installed, wrong):
    def real(x, weight, bias=None, *, activation=None):
        return wrong(
            convolution._convolve(F.pad(x, (weight.shape[1] - 1, 0)), weight, bias, activation)
        )

    installed(real)
    x, weight = torch.ones(1, 2, 4), torch.ones(2, 3)
    torch.testing.assert_close(causal_conv1d_fn(x, weight), by_hand(x, weight, torch.zeros(2)))


def test_a_mamba_block_equals_its_parts():
    torch.manual_seed(0)
    block, x = Mamba(6, d_state=3, dt_rank=2), torch.randn(2, 5, 6)
    assert {name: tuple(p.shape) for name, p in block.state_dict().items()} == {
        "A_log": (12, 3),
        "D": (12,),
        "in_proj.weight": (24, 6),
        "conv1d.weight": (12, 1, 4),
        "conv1d.bias": (12,),
        "x_proj.weight": (8, 12),
        "dt_proj.weight": (12, 2),
        "dt_proj.bias": (12,),
        "out_proj.weight": (6, 12),
    }
    u, z = block.in_proj(x).chunk(2, dim=-1)
    u = F.silu(block.conv1d(u.mT)[..., :5])  # padded on both sides
    step, B, C = block.x_proj(u.mT).split([2, 3, 3], dim=-1)
    delta = F.softplus(block.dt_proj(step))
    A, h, steps = -block.A_log.exp(), torch.zeros(2, 12, 3), []
    for t in range(5):
        decay = (delta[:, t, :, None] * A).exp()
        h = decay * h + (delta[:, t] * u[..., t])[..., None] * B[:, t, None]
        steps.append((h * C[:, t, None]).sum(-1) + block.D * u[..., t])
    y = block.out_proj(torch.stack(steps, dim=1) * F.silu(z))
    torch.testing.assert_close(block(x), y)


def test_initial_steps_of_a_mamba_block_are_within_its_bounds():
    torch.manual_seed(0)
    steps = F.softplus(Mamba(64, dt_min=0.01, dt_max=0.2).dt_proj.bias)
    assert 0.01 * 0.999 <= steps.min() < 0.02 and 0.1 < steps.max() <= 0.2 * 1.001


def test_b_c_and_biases_may_be_given():
    torch.manual_seed(0)
    d, n, r, length = 4, 3, 2, 5
    given = [torch.randn(1, 2 * d, length), torch.randn(d, 1, 4), None]
    given += [torch.randn(r + 2 * n, d), torch.randn(d, r), torch.randn(6, d), torch.randn(6)]
    A = -torch.rand(d, n)
    biased = mamba_inner_fn(*given, A, B_proj_bias=torch.ones(n), C_proj_bias=-torch.ones(n))
    x = causal_conv1d_fn(given[0][:, :d], given[1][:, 0], activation="silu")
    _, B, C = F.linear(x.mT, given[3]).split([r, n, n], dim=-1)
    explicit = mamba_inner_fn(*given, A, (B + 1).mT, (C - 1).mT)
    torch.testing.assert_close(biased, explicit)
    weights = {"b_rms_weight": torch.ones(n), "dt_rms_weight": torch.ones(r)}
    assert mamba_inner_fn(*given, A, **weights).shape == (1, length, 6)


def test_single_steps_are_refused():
    with pytest.raises(ValueError, match="only whole sequences; install mamba-ssm"):
        Mamba(4)(torch.ones(1, 2, 4), inference_params={})


def test_the_finder_leaves_other_modules_alone():
    finder = stand_in.StandIns()
    assert finder.find_spec("mamba_ssm.utils", None) is None
    assert importlib.import_module("json") is sys.modules["json"]
