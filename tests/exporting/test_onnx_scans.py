"""The forms of the scan of the map in ONNX: a loop over pixels, or all chunks at once."""

from itertools import chain

import pytest
import torch
from torch.export import Dim

from support.scans import assert_close, double, planar_inputs
from vmambair_arch import cli, ops
from vmambair_arch.commands.export import verified_export
from vmambair_arch.exporting.formats import EXPORT_FORMATS
from vmambair_arch.networks.modules.oss import OSSModule

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("skimage")

ONNX = EXPORT_FORMATS["onnx"]
LOOPS = {"Scan", "Loop", "If"}
SIZES = ((8, 16), (24, 40))  # one group of chunks, and several


def operators(graph) -> set[str]:
    """Those of a graph and of the graphs in it."""
    inner = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return {node.op_type for node in graph.node}.union(*map(operators, inner))


@pytest.fixture(scope="module")
def traced():
    """A network of one module, since a whole one takes seconds, and its graph for any size."""
    torch.manual_seed(0)
    network = OSSModule(dim=4, d_state=2).eval()
    sides = {2: Dim("h", min=2, max=512), 3: Dim("w", min=2, max=512)}
    image = torch.rand(1, 4, 16, 24)
    with torch.no_grad():
        return network, torch.export.export(
            network, (image,), dynamic_shapes=(sides,), strict=False
        )


@pytest.mark.parametrize("form", ["sequential", "parallel"])
def test_a_file_of_either_form_computes_what_the_network_does(form, traced):
    network, program = traced
    content = ONNX.write(program, {}, form)
    run = ONNX.runs(content)[ONNX.runner]
    for size in SIZES:
        image = torch.rand(1, 4, *size)
        with torch.no_grad():
            expected = network(image)
        assert (run(image) - expected).norm() <= 1e-4 * expected.norm()
    found = operators(onnx.load_from_string(content).graph)
    assert found & LOOPS == ({"Scan"} if form == "sequential" else set())


@pytest.mark.parametrize(
    ("given", "form"), [([], "sequential"), (["--scan", "parallel"], "parallel")]
)
def test_the_command_writes_the_form_that_is_asked_for(given, form, tmp_path, monkeypatch):
    def write(program, about, form):
        written.append(form)
        raise KeyboardInterrupt

    written = []
    monkeypatch.setattr(verified_export, "trace", lambda *arguments: None)
    monkeypatch.setattr(ONNX, "write", write)
    assert cli.vmambair(["export", "tiny_x4", str(tmp_path / "out.onnx"), *given]) == 130
    assert written == [form]


class Scans(torch.nn.Module):
    """Scans of several maps in one graph."""

    def forward(self, maps):
        return [ops.planar_scan(**inputs) for inputs in maps]


def test_the_parallel_form_equals_the_reference_however_fast_states_decay():
    from vmambair_arch.exporting import onnx_model

    maps = [planar_inputs((1, *shape)) for shape in ((1, 1, 3, 2, 1), (20, 33, 3, 2, 1))]
    maps.append({**maps[1], "A": 1e4 * maps[1]["A"]})  # no decay but 0 is left in float32
    maps.append({**maps[1], "A": 1e-6 * maps[1]["A"]})  # and here none that is not 1
    with torch.no_grad():
        program = torch.export.export(Scans(), (maps,), strict=False)
    content = onnx_model.ir.to_proto(onnx_model.build(program, "parallel")).SerializeToString()
    session = onnxruntime.InferenceSession(content)
    leaves = chain.from_iterable(inputs.values() for inputs in maps)
    names = [given.name for given in session.get_inputs()]
    feed = {name: leaf.numpy() for name, leaf in zip(names, leaves, strict=True)}
    for inputs, result in zip(maps, session.run(None, feed), strict=True):
        exact = ops.planar_scan(**double(inputs), backend="reference")
        assert_close({"y": torch.from_numpy(result)}, {"y": exact})


def test_a_form_that_a_format_has_not_is_one_sentence(tmp_path, capsys):
    arguments = ["tiny_x4", str(tmp_path / "out.pt2"), "--format", "torch-export"]
    assert cli.vmambair(["export", *arguments, "--scan", "sequential"]) == 2
    message = "--scan sequential: files of format torch-export have the scan parallel; leave it out"
    assert capsys.readouterr().err == f"vmambair: {message}\n"
