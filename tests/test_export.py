"""Exported files: plain operators only, the network's output, and refusals in a sentence."""

import json
import sys
from pathlib import Path

import pytest
import torch
from scans import PLANAR_SHAPES, SELECTIVE_SHAPES, double, planar_inputs, selective_inputs

import vmambair_arch
from vmambair_arch import Restormer, cli, load_network, ops, presets, save_network
from vmambair_arch.commands.export import work as export
from vmambair_arch.exporting import plain_scans
from vmambair_arch.exporting.formats import FORMATS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("skimage")

# Blocks where channels are doubled, in the latent and behind it.
SMALL = {"dim": 8, "num_blocks": [1, 0, 0, 1], "num_refinement_blocks": 0, "d_state": 4}
BUNDLED = Path(vmambair_arch.__file__).with_name("weights") / "tiny_x4.safetensors"
SIZES = ((8, 8), (24, 40), (8, 104))


def exported(tmp_path, network, name="network.onnx", *arguments: str):
    """What the command writes for a network, loaded by the program that runs it."""
    save_network(network, tmp_path / "network.pth")
    out = tmp_path / name
    assert cli.vmambair(["export", str(tmp_path / "network.pth"), str(out), *arguments]) == 0
    kind = next(kind for kind in FORMATS.values() if kind.suffix == out.suffix)
    return kind.load(out.read_bytes())


def small(name: str):
    torch.manual_seed(0)
    return presets.build(name, **SMALL).eval()


def restormer():
    """A network that is exported fast, since it has no scans."""
    torch.manual_seed(0)
    depths = {"num_blocks": (1, 0, 0, 1), "num_refinement_blocks": 0}
    return Restormer(dim=8, **depths, heads=(2, 2, 2, 2)).eval()


@pytest.fixture(scope="module")
def realsr(tmp_path_factory):
    """A network, its ONNX file for any size, and what runs that."""
    folder = tmp_path_factory.mktemp("realsr")
    network = small("realsr_x4")
    return network, folder / "network.onnx", exported(folder, network)


def assert_same(run, network, *sizes):
    for size in sizes:
        image = torch.rand(1, network.config["in_channels"], *size)
        with torch.no_grad():
            expected = network(image)
        assert (run(image) - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize("shape", PLANAR_SHAPES)
def test_the_plain_planar_scan_is_the_reference(shape):
    inputs = double(planar_inputs(shape))
    exact = ops.planar_scan(**inputs, backend="reference")
    torch.testing.assert_close(plain_scans.planar_scan(**inputs), exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SELECTIVE_SHAPES)
@pytest.mark.parametrize("softplus", [True, False])
def test_the_plain_selective_scan_is_the_reference(shape, softplus):
    inputs = double(selective_inputs(shape))
    del inputs["z"]
    exact = ops.selective_scan(**inputs, delta_softplus=softplus, backend="reference")
    plain = plain_scans.selective_scan(**inputs, delta_softplus=softplus)
    torch.testing.assert_close(plain, exact, rtol=1e-11, atol=1e-11)


def test_an_onnx_file_runs_at_any_size(realsr):
    network, _, run = realsr
    assert_same(run, network, (8, 8), (24, 40), (48, 16), (8, 104))


def test_an_onnx_file_has_standard_operators_only(realsr):
    model = onnx.load(realsr[1])
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} <= {""}
    assert not model.functions


def test_an_onnx_file_says_how_it_is_used(realsr):
    network, path, _ = realsr
    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    assert (about["scale"], about["multiple"], about["colour_order"]) == ("4", "8", "RGB")
    assert (about["layout"], about["range"], about["size"]) == ("NCHW", "0 1", "any")
    assert json.loads(about["config"]) == network.config
    assert [i.name for i in session.get_inputs()] == ["image"]
    assert [o.name for o in session.get_outputs()] == ["restored"]


@pytest.mark.parametrize("name", ["sisr_x4", "derain", "derain_w2"])
def test_a_file_for_one_size_takes_that_size_only(tmp_path, capsys, name):
    network = small(name)
    run = exported(tmp_path, network, "network.onnx", "--size", "16", "24")
    first, second = capsys.readouterr().out.splitlines()
    assert "relative L2 difference from the network at most" in first
    assert second.startswith("16 x 24 pixels: ") and second.count(" s ") == 2
    assert_same(run, network, (16, 24))
    with pytest.raises(Exception, match="[Ii]nvalid dimensions"):
        run(torch.rand(1, 3, 24, 16))


def test_a_torch_export_file_runs_where_there_is_only_torch(tmp_path):
    network = small("sisr_x4")
    run = exported(tmp_path, network, "network.pt2", "--format", "torch-export")
    assert_same(run, network, (16, 16), (16, 24), (40, 16))
    assert b"vmambair::" not in (tmp_path / "network.pt2").read_bytes()


def test_a_restormer_is_exported(tmp_path):
    network = restormer()
    assert_same(exported(tmp_path, network), network, (16, 8), (24, 24))


@pytest.mark.parametrize("wrong", [1.01, float("nan")])
def test_a_file_that_computes_something_else_is_not_kept(tmp_path, capsys, monkeypatch, wrong):
    kind = FORMATS["torch-export"]
    load = kind.load
    monkeypatch.setattr(kind, "load", lambda content: lambda x: wrong * load(content)(x))
    save_network(restormer(), tmp_path / "network.pth")
    arguments = [str(tmp_path / "network.pth"), str(tmp_path / "out.pt2"), "--size", "8", "8"]
    assert cli.vmambair(["export", *arguments, "--format", "torch-export"]) == 2
    assert "not written, since on 8 x 8 pixels" in one_sentence(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["network.pth"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["out.onnx", "--size", "20", "16"], "multiples of 8; give --size 16 16, or --dynamic"),
        (["out.onnx", "--size", "0", "16"], "multiples of 8; give --size 8 16"),
        (["out.onnx", "--size", "-8", "16"], "multiples of 8"),
        (["out.pt2"], "must end in .onnx"),
        (["out.onnx", "--format", "torch-export"], "must end in .pt2"),
        (["network.pth"], "must end in .onnx"),
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


def test_a_missing_model_and_a_missing_package_are_one_sentence(tmp_path, capsys, monkeypatch):
    assert cli.vmambair(["export", str(tmp_path / "no.pth"), str(tmp_path / "out.onnx")]) == 2
    assert "there is no such checkpoint" in one_sentence(capsys)
    save_network(restormer(), tmp_path / "network.pth")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    arguments = [str(tmp_path / "network.pth"), str(tmp_path / "out.onnx")]
    assert cli.vmambair(["export", *arguments]) == 2
    assert "pip install 'vmambair-arch[export]'" in one_sentence(capsys)


def test_exporting_leaves_the_networks_scans_as_they_were():
    from vmambair_arch.modules import oss

    with pytest.raises(RuntimeError), plain_scans.plain_scans():
        assert oss.planar_scan is plain_scans.planar_scan
        raise RuntimeError
    assert oss.planar_scan is ops.planar_scan and oss.selective_scan is ops.selective_scan


def test_photographs_are_of_every_size_and_number_of_channels():
    for channels, size in ((1, (8, 8)), (3, (640, 16)), (6, (16, 24))):
        image = export.photograph(channels, size)
        assert image.shape == (1, channels, *size)
        assert 0 <= image.min() < image.max() <= 1


def one_sentence(capsys) -> str:
    error = capsys.readouterr().err
    assert error.startswith("vmambair: ") and error.count("\n") == 1
    return error
