"""Exported files: plain operators only, the network's output, and refusals in a sentence."""

import io
import json
import signal
import sys
import threading
from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export.passes import move_to_device_pass

import vmambair_arch
from support.scans import (
    PLANAR_SHAPES,
    SELECTIVE_SHAPES,
    assert_close,
    double,
    planar_inputs,
    selective_inputs,
)
from vmambair_arch import Restormer, VmambaIR, cli, ops, presets, save_network
from vmambair_arch.commands.export import arguments as command, verified_export as export
from vmambair_arch.exporting import plain_scans, regions
from vmambair_arch.exporting.formats import EXPORT_FORMATS
from vmambair_arch.exporting.tracing import OURS, replaced_scans, trace
from vmambair_arch.mamba import interface
from vmambair_arch.networks.modules import oss

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("skimage")

# One block: each block takes a second.
BLOCK = {"dim": 8, "num_blocks": [0, 0, 0, 1], "num_refinement_blocks": 0, "d_state": 4}
BUNDLED = Path(vmambair_arch.__file__).with_name("weights") / "tiny_x4.safetensors"
SIZES = ((8, 8), (24, 40), (8, 104))


@pytest.fixture(autouse=True)
def nothing_takes_long(monkeypatch):
    """Suppress the announcements of slow steps, which depend on the machine."""
    monkeypatch.setattr(command, "PATIENCE", threading.TIMEOUT_MAX)


def exported(tmp_path, network, name="network.onnx", *arguments: str):
    """The command's file for a network, loaded by the program that runs it.

    What a killed command left in the folder is gone.
    """
    save_network(network, tmp_path / "network.pth")
    out, half = tmp_path / name, tmp_path / ".a.1.0123456789abcdef.tmp"
    half.touch()
    assert cli.vmambair(["export", str(tmp_path / "network.pth"), str(out), *arguments]) == 0
    assert not half.exists()
    kind = next(kind for kind in EXPORT_FORMATS.values() if kind.suffix == out.suffix)
    return kind.runs(out.read_bytes())[kind.runner]


def small(name: str):
    torch.manual_seed(0)
    return presets.build(name, **BLOCK).eval()


def restormer():
    """A network that is exported fast, since it has no scans."""
    torch.manual_seed(0)
    depths = {"num_blocks": (1, 0, 0, 1), "num_refinement_blocks": 0}
    return Restormer(dim=8, **depths, heads=(2, 2, 2, 2)).eval()


@pytest.fixture(scope="module", params=["sisr_x4", "derain_w2"])  # the others when long
def preset(request, tmp_path_factory):
    """Networks of two presets' kinds, their ONNX files for any size, and ways to run these."""
    folder = tmp_path_factory.mktemp(request.param)
    network = small(request.param)
    return network, folder / "network.onnx", exported(folder, network)


def assert_same(run, network, *sizes):
    for size in sizes:
        image = torch.rand(1, network.config["in_channels"], *size)
        with torch.no_grad():
            expected = network(image)
        assert (run(image) - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize("shape", PLANAR_SHAPES)
def test_the_plain_planar_scan_equals_the_reference(shape):
    inputs = double(planar_inputs(shape))
    exact = ops.planar_scan(**inputs, backend="reference")
    torch.testing.assert_close(plain_scans.planar_scan(**inputs), exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SELECTIVE_SHAPES)
@pytest.mark.parametrize("softplus", [True, False])
def test_the_plain_selective_scan_equals_the_reference(shape, softplus):
    inputs = double(selective_inputs(shape))
    del inputs["z"]
    exact = ops.selective_scan(**inputs, delta_softplus=softplus, backend="reference")
    plain = plain_scans.selective_scan(**inputs, delta_softplus=softplus)
    torch.testing.assert_close(plain, exact, rtol=1e-11, atol=1e-11)
    scans = OURS._replace(operator=plain_scans.selective_operator)
    options = {"delta_softplus": softplus, "return_last_state": True}
    expected = ops.selective_scan(**inputs, **options, backend="reference")
    with replaced_scans(scans):
        found = ops.selective_scan(**inputs, **options)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_the_scans_in_onnx_equal_the_reference():
    planar = [planar_inputs(shape) for shape in PLANAR_SHAPES if shape[0] == 1]
    selective = [selective_inputs(shape) for shape in SELECTIVE_SHAPES if shape[0] == 1]
    for inputs in selective:
        del inputs["z"]
        for name in ("delta", "delta_bias"):  # without softplus, to be step sizes as well
            inputs[name] = inputs[name].abs()
    results = iter(run_in_onnx(EveryScan(), (planar, selective)))
    for inputs in planar:
        exact = ops.planar_scan(**double(inputs), backend="reference")
        assert_close({"y": next(results)}, {"y": exact})
    for inputs in selective:
        for softplus in (True, False):
            exact = ops.selective_scan(
                **double(inputs), delta_softplus=softplus, backend="reference"
            )
            assert_close({"y": next(results)}, {"y": exact})


class EveryScan(nn.Module):
    """Scans of all inputs in one graph, since most of an export's time is per graph."""

    def forward(self, planar, selective):
        of_maps = [ops.planar_scan(**inputs) for inputs in planar]
        return of_maps + [
            ops.selective_scan(**inputs, delta_softplus=softplus)
            for inputs in selective
            for softplus in (True, False)
        ]


def run_in_onnx(module: nn.Module, inputs: tuple) -> list[torch.Tensor]:
    """Translate a module as an export does, and run it in onnxruntime."""
    from vmambair_arch.exporting import onnx_model

    with torch.no_grad():
        program = torch.export.export(module, inputs, strict=False)
    model = onnx_model.ir.to_proto(onnx_model.build(program))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    leaves = torch.utils._pytree.tree_leaves(inputs)
    names = [i.name for i in session.get_inputs()]
    feed = {name: leaf.numpy() for name, leaf in zip(names, leaves, strict=True)}
    return [torch.from_numpy(result) for result in session.run(None, feed)]


def test_an_onnx_file_runs_at_any_size(preset):
    network, _, run = preset
    assert_same(run, network, *SIZES)


def test_an_onnx_file_has_standard_operators_only(preset):
    model = onnx.load(preset[1])
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in nodes(model.graph)} <= {""}
    assert "Scan" in {node.op_type for node in nodes(model.graph)}
    assert [opset.domain for opset in model.opset_import] == [""] and not model.functions


def nodes(graph):
    """The nodes of a graph and of those in it."""
    inner = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return chain(graph.node, *map(nodes, inner))


def test_an_onnx_file_says_how_it_is_used(preset):
    network, path, _ = preset
    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    assert (about["scale"], about["multiple"], about["colour_order"]) == (
        str(network.scale),
        "8",
        "RGB",
    )
    assert (about["layout"], about["range"], about["size"]) == ("NCHW", "0 1", "any")
    assert json.loads(about["config"]) == network.config
    assert [i.name for i in session.get_inputs()] == ["image"]
    assert [o.name for o in session.get_outputs()] == ["restored"]


def test_a_file_for_one_size_takes_only_that_size(tmp_path, capsys):
    network = small("realsr_x4")
    run = exported(tmp_path, network, "network.onnx", "--size", "16", "24")
    first, second = capsys.readouterr().out.splitlines()
    assert "relative L2 difference from the network at most" in first
    assert second.startswith("16 x 24 pixels: ") and second.count(" s ") == 2
    assert_same(run, network, (16, 24))
    with pytest.raises(Exception, match="[Ii]nvalid dimensions"):
        run(torch.rand(1, 3, 24, 16))


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        (["--size", "16", "24"], [(16, 24)]),
        pytest.param([], [(16, 16), (16, 24), (40, 16)], marks=pytest.mark.long),  # a minute
    ],
)
def test_a_torch_export_file_runs_with_torch_alone(tmp_path, given, sizes):
    network = small("sisr_x4")
    run = exported(tmp_path, network, "network.pt2", "--format", "torch-export", *given)
    assert_same(run, network, *sizes)
    assert b"ops.vmambair" not in (tmp_path / "network.pt2").read_bytes()
    moved = move_to_device_pass(torch.export.load(tmp_path / "network.pt2"), "meta")
    h, w = sizes[0]
    output = moved.module()(torch.empty(1, 3, h, w, device="meta"))
    assert (output.shape, output.device.type) == ((1, 3, 4 * h, 4 * w), "meta")

    program = regions.load(tmp_path / "network.pt2")  # with this package, the same and faster
    targets = [node.target for node in program.graph.nodes]
    assert targets.count(torch.ops.vmambair.planar_scan.default) == sum(BLOCK["num_blocks"])
    assert regions.CALL not in targets
    assert_same(program.module(), network, *sizes)


class Windows(nn.Module):
    """A network of another package, which works on windows of 16 x 16 pixels."""

    scale, multiple = 1, 16
    config = {"in_channels": 3, "architecture": "Windows"}

    def forward(self, x):
        b, c, h, w = x.shape
        windows = x.view(b, c, h // 16, 16, w // 16, 16).permute(0, 2, 4, 1, 3, 5)
        y = self.in_window(windows.reshape(-1, c, 256)).view(b, h // 16, w // 16, c, 16, 16)
        return y.permute(0, 3, 1, 4, 2, 5).reshape(b, c, h, w)

    def in_window(self, u):
        return u.softmax(2)


class ScannedWindows(Windows):
    """The same with mamba_ssm's scan in each window."""

    def in_window(self, u):
        A, B = -torch.ones(3, 1), u.mean(1, keepdim=True)
        return interface.selective_scan_fn(u, u, A, B, B, delta_softplus=True)


def test_a_network_that_works_in_windows_is_traced_for_any_size():
    network = Windows().eval()
    assert_same(trace(network, None).module(), network, (32, 32), (64, 48))


def test_the_file_of_a_mamba_restorer_runs_with_torch_alone():
    kind, network = EXPORT_FORMATS["torch-export"], ScannedWindows().eval()
    content = kind.write(trace(network, (16, 16), kind.scans), {}, "parallel")
    assert b"ops.vmambair" not in content
    assert_same(kind.runs(content)[kind.runner], network, (16, 16))


@pytest.mark.long
@pytest.mark.parametrize("name", [BUNDLED.stem, *presets.PRESETS])
def test_the_bundled_network_and_each_preset_run_in_onnxruntime(tmp_path, name):
    network = vmambair_arch.load_network(BUNDLED) if name == BUNDLED.stem else full(name)
    assert_same(exported(tmp_path, network), network, *SIZES)


def full(name: str):
    torch.manual_seed(0)
    return presets.build(name).eval()


def test_a_restormer_is_exported(tmp_path):
    network = restormer()
    assert_same(exported(tmp_path, network), network, (16, 8), (24, 24))


def test_a_network_of_spandrel_is_exported_or_refused_with_a_reason(tmp_path, capsys, monkeypatch):
    pytest.importorskip("spandrel")
    from spandrel.architectures.Compact import Compact

    network = Compact(num_feat=4, num_conv=1, upscale=3)
    torch.save(network.state_dict(), tmp_path / "compact.pth")
    arguments = ["export", str(tmp_path / "compact.pth"), str(tmp_path / "compact.onnx")]
    assert cli.vmambair(arguments) == 0
    session = onnxruntime.InferenceSession(arguments[2])
    about = session.get_modelmeta().custom_metadata_map
    assert (about["network"], about["scale"], about["multiple"]) == ("RealESRGAN Compact", "3", "1")

    monkeypatch.setattr(Compact, "forward", lambda self, x: x[:, :, : int(x.sum())])
    arguments[2] = str(tmp_path / "other.onnx")
    assert cli.vmambair(arguments) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "RealESRGAN Compact cannot be traced for any size: " in message
    assert message.endswith("; give --size H W, or export another")


def test_what_a_format_cannot_hold_is_one_sentence(tmp_path, capsys, monkeypatch):
    """ONNX has no singular value decomposition."""

    class Decomposed(Windows):
        multiple = 1

        def forward(self, x):
            u, s, v = torch.linalg.svd(x, full_matrices=False)
            return u * s[..., None, :] @ v

    monkeypatch.setattr(export.networks, "load", lambda *_: Decomposed().eval())
    out = tmp_path / "out.onnx"
    assert cli.vmambair(["export", "any.pth", str(out), "--size", "16", "16"]) == 2
    sentence = one_sentence(capsys)
    assert "ONNX cannot hold Windows: No ONNX function found for" in sentence
    assert "; give a name that ends in .pt2, or export another network" in sentence
    assert not any(tmp_path.iterdir())


def test_a_size_beyond_memory_is_one_sentence(tmp_path, capsys):
    save_network(restormer(), tmp_path / "network.pth")
    files = [str(tmp_path / name) for name in ("network.pth", "out.onnx")]
    assert cli.vmambair(["export", *files, "--size", "8000000", "8000000"]) == 2
    assert "memory ran out (" in one_sentence(capsys)


@pytest.mark.parametrize("wrong", [1.01, float("nan")])
def test_a_file_that_computes_something_else_is_not_kept(tmp_path, capsys, monkeypatch, wrong):
    kind = EXPORT_FORMATS["torch-export"]

    def runs(content):
        run = torch.export.load(io.BytesIO(content)).module()
        return {kind.runner: lambda x: wrong * run(x)}

    monkeypatch.setattr(kind, "runs", runs)
    save_network(restormer(), tmp_path / "network.pth")
    arguments = [str(tmp_path / "network.pth"), str(tmp_path / "out.pt2"), "--size", "8", "8"]
    assert cli.vmambair(["export", *arguments]) == 2
    assert "not written, since on 8 x 8 pixels" in one_sentence(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["network.pth"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["out.onnx", "--size", "20", "16"], "multiples of 8; give --size 16 16, or --dynamic"),
        (["out.onnx", "--size", "0", "16"], "multiples of 8; give --size 8 16"),
        (["out.onnx", "--size", "-8", "16"], "multiples of 8"),
        (["out.pt2", "--format", "onnx"], "must end in .onnx"),
        (["out.onnx", "--format", "torch-export"], "must end in .pt2"),
        (["network.pth"], "must end in .onnx or .pt2"),
        (["there.onnx"], "exists already"),
        (["nowhere/out.onnx"], "there is no folder nowhere"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    save_network(restormer(), tmp_path / "network.pth")
    (tmp_path / "there.onnx").touch()
    assert cli.vmambair(["export", "network.pth", *arguments]) == 2
    assert sentence in one_sentence(capsys)
    assert (tmp_path / "there.onnx").read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.pth", "there is no such checkpoint"),
        ("empty.pth", "truncated or not a checkpoint"),
        ("empty.safetensors", "truncated or not a checkpoint"),
    ],
)
def test_a_model_that_cannot_be_read_is_one_sentence(tmp_path, capsys, name, sentence):
    if name.startswith("empty"):
        (tmp_path / name).touch()
    assert cli.vmambair(["export", str(tmp_path / name), str(tmp_path / "out.onnx")]) == 2
    assert sentence in one_sentence(capsys)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime", "skimage"])
def test_a_missing_package_is_one_sentence(tmp_path, capsys, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert cli.vmambair(["export", str(BUNDLED), str(tmp_path / "out.onnx")]) == 2
    sentence = one_sentence(capsys)
    assert package in sentence and "pip install 'vmambair-arch[export]'" in sentence


def test_an_export_announces_slow_steps(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command.threading, "Timer", Elapsed)
    exported(tmp_path, restormer(), "network.pt2", "--format", "torch-export", "--size", "8", "8")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "vmambair: tracing the network"
    assert lines[-1].endswith("comparing it with the network")


class Elapsed(threading.Thread):
    """A timer that fires as soon as it starts."""

    def __init__(self, interval, function, args, kwargs):
        super().__init__(target=function, args=args, kwargs=kwargs)

    def start(self):
        super().start()
        self.join()

    def cancel(self):
        pass


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_export_leaves_nothing(number, code, tmp_path, capsys, monkeypatch):
    def stop(content):
        signal.raise_signal(number)

    monkeypatch.setattr(EXPORT_FORMATS["torch-export"], "runs", stop)
    save_network(restormer(), tmp_path / "network.pth")
    arguments = [str(tmp_path / "network.pth"), str(tmp_path / "out.pt2"), "--size", "8", "8"]
    assert cli.vmambair(["export", *arguments, "--format", "torch-export"]) == code
    assert "stopped; " in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["network.pth"]


def test_tracing_restores_the_networks_scans():
    with (
        pytest.raises(RuntimeError),
        replaced_scans(OURS._replace(planar=plain_scans.planar_scan)),
    ):
        assert oss.planar_scan is plain_scans.planar_scan
        raise RuntimeError
    assert oss.planar_scan is ops.planar_scan and oss.selective_scan is ops.selective_scan


def test_photographs_have_every_size_and_number_of_channels():
    for channels, size in ((1, (8, 8)), (3, (640, 16)), (6, (16, 24))):
        image = export.photograph(channels, size)
        assert image.shape == (1, channels, *size)
        assert 0 <= image.min() < image.max() <= 1


def one_sentence(capsys) -> str:
    error = capsys.readouterr().err
    assert error.startswith("vmambair: ") and error.count("\n") == 1
    return error


@pytest.mark.parametrize("size", [None, (8, 16)])
def test_the_tail_is_one_convolution_in_a_graph(size):
    network = VmambaIR(**BLOCK, scale=4).eval()
    program = trace(network, size)
    shapes = [tuple(tensor.shape) for tensor in program.constants.values()]
    assert (48, 16, 5, 5) in shapes
    x = torch.rand(1, 3, *(size or (24, 16)))
    torch.testing.assert_close(program.module()(x), network(x), rtol=0, atol=1e-5)
