"""Networks of other architectures give spandrel's results, in every command that takes one."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from support import picture_files as files, released_layout
from vmambair_arch import Restorer, Restormer, cli
from vmambair_arch.checkpoints import foreign
from vmambair_arch.errors import InputError

spandrel = pytest.importorskip("spandrel")
pytestmark = pytest.mark.usefixtures("empty_folder")


def esrgan():
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=4, num_blocks=1, scale=2)


def compact():
    from spandrel.architectures.Compact import Compact

    return Compact(num_feat=4, num_conv=1, upscale=3)


def swinir():
    from spandrel.architectures.SwinIR import SwinIR

    options = {"depths": [1], "num_heads": [2], "upsampler": "pixelshuffledirect"}
    return SwinIR(img_size=8, window_size=4, embed_dim=4, mlp_ratio=1, upscale=2, **options)


def dncnn():
    from spandrel.architectures.DnCNN import DnCNN

    return DnCNN(in_nc=3, out_nc=3, nc=4, nb=4)


def span():
    from spandrel.architectures.SPAN import SPAN

    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=4, upscale=2)


SCALES = {esrgan: 2, compact: 3, swinir: 2, dncnn: 1, span: 2}


def saved(network: nn.Module, path: str = "other.pth", key: str = "params") -> str:
    torch.save({key: network.state_dict()}, path)
    return path


@pytest.mark.parametrize("make", SCALES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_output_equals_spandrels(make, dtype):
    restorer = Restorer(saved(make()))
    theirs = spandrel.ModelLoader("cpu").load_from_file("other.pth")
    most = np.iinfo(dtype).max
    pixels = files.noise("RGB", dtype, height=19, width=23)
    with torch.no_grad():
        image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / most
        expected = theirs(image)[0].permute(1, 2, 0).numpy() * most
    result = restorer(pixels)
    assert restorer.scale == SCALES[make] and result.dtype == dtype
    assert np.abs(result - expected).max() < 0.5 + most * 1e-5


def test_the_branches_of_span_are_merged_once_so_that_it_can_be_traced(monkeypatch):
    from spandrel.architectures.SPAN.__arch.span import Conv3XC

    network = Restorer(saved(span())).network
    monkeypatch.delattr(Conv3XC, "update_params")
    torch.export.export(network, (torch.rand(1, 3, 8, 8),), strict=False)


def test_grey_alpha_and_single_pixels_work_as_with_our_networks():
    restorer = Restorer(saved(dncnn(), key="model"))
    colours, alpha = files.noise("RGB"), files.noise("L")
    opaque = restorer(np.dstack([colours, np.full_like(alpha, 255)]))
    assert np.array_equal(opaque[..., :3], restorer(colours))
    grey = restorer(alpha)
    assert grey.shape == alpha.shape
    assert np.abs(grey - restorer(alpha[..., None].repeat(3, 2)).mean(2)).max() <= 1
    assert restorer(alpha[:1, :1]).shape == (1, 1)


def test_tiles_start_at_the_networks_multiples_and_agree_with_the_whole():
    pixels = files.noise("RGB", height=60, width=70)
    path = saved(dncnn())
    whole, tiles = (Restorer(path, tile=tile, overlap=8)(pixels) for tile in (None, 30))
    assert np.abs(whole.astype(int) - tiles).max() <= 1


def stub(kind: str = "ImageModelDescriptor", **options):
    """A descriptor of spandrel around one convolution."""
    channels = options.get("input_channels", 3), options.get("output_channels", 3)
    network = nn.Conv2d(*channels, 1)
    architecture = spandrel.MAIN_REGISTRY.architectures()[0].architecture
    given = {"purpose": "Restoration", "scale": 1, "input_channels": 3, "output_channels": 3}
    given |= {"tags": [], "supports_half": True, "supports_bfloat16": True, **options}
    if kind != "ImageModelDescriptor":
        del given["scale"]
    return getattr(spandrel, kind)(network, network.state_dict(), architecture, **given)


@pytest.fixture
def loads(monkeypatch):
    """Make spandrel load a descriptor for any file."""

    def use(descriptor):
        loaded = "load_from_state_dict"
        monkeypatch.setattr(spandrel.ModelLoader, loaded, lambda self, state: descriptor)
        return saved(descriptor.model)

    return use


def test_a_network_that_tiles_pictures_itself_gets_whole_ones(loads):
    path = loads(stub(tiling=spandrel.ModelTiling.INTERNAL))
    with pytest.raises(InputError, match="the network tiles pictures itself; leave it out"):
        Restorer(path, tile=64)
    restorer = Restorer(path, memory=1e-9)
    sizes = []
    restorer.network.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[2:]))
    restorer(files.noise("RGB", height=150, width=140))
    assert sizes == [(150, 140)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"kind": "MaskedImageModelDescriptor", "purpose": "Inpainting"},
            "fills in masked areas, and there is no mask here",
        ),
        ({"purpose": "FaceSR"}, "takes cropped, upright faces"),
        ({"output_channels": 1}, "turns 3 channels into 1, but pictures have 1 or 3"),
        ({"input_channels": 4, "output_channels": 4}, "turns 4 channels into 4"),
    ],
)
def test_networks_for_other_tasks_are_refused_with_a_message(loads, options, sentence):
    path = loads(stub(**options))
    with pytest.raises(InputError) as error:
        Restorer(path)
    assert sentence in str(error.value) and "give a network that restores pictures" in str(
        error.value
    )


def test_a_network_that_fails_is_one_sentence(loads, capsys):
    class Fixed(nn.Conv2d):
        def forward(self, input):
            return super().forward(input).view(1, 3, 64, 64)

    descriptor = stub()
    descriptor.model.__class__ = Fixed
    path = loads(descriptor)
    Image.fromarray(files.noise("RGB")).save("a.png")
    assert cli.vmambair(["restore", "a.png", "-o", "b.png", "-m", path]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert " fails on " in line and "pixels: RuntimeError: shape '[1, 3, 64, 64]' is" in line
    assert line.endswith("; give another network")


def test_an_unknown_network_is_one_sentence(capsys):
    state = {f"layer.{number}": torch.zeros(1) for number in range(9)}
    torch.save(state, "unknown.pth")
    Image.fromarray(files.noise("RGB")).save("a.png")
    assert cli.vmambair(["restore", "a.png", "-o", "b.png", "-m", "unknown.pth"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a network that neither this package nor spandrel" in line
    assert "'layer.0', 'layer.1', 'layer.2' and 6 more" in line


def test_without_spandrel_the_message_names_it(monkeypatch):
    find = foreign.importlib.util.find_spec
    gone = lambda name: None if name == "spandrel" else find(name)  # noqa: E731
    monkeypatch.setattr(foreign.importlib.util, "find_spec", gone)
    with pytest.raises(InputError, match=r"looks like SRVGG.*pip install 'vmambair-arch\[spandrel"):
        Restorer(saved(compact()))


def test_partial_networks_and_nan_weights_are_refused():
    state = esrgan().state_dict()
    torch.save({name: t for name, t in state.items() if name != "model.0.weight"}, "part.pth")
    with pytest.raises(InputError, match=r"part.pth: "):
        Restorer("part.pth")
    broken = compact()
    nn.init.constant_(next(broken.parameters()), float("nan"))
    with pytest.raises(InputError, match="values that are not finite"):
        Restorer(saved(broken))


def test_no_pickle_runs_and_our_own_files_do_not_ask_spandrel(monkeypatch):
    class Payload:
        def __reduce__(self):
            return Path.touch, (Path("executed"),)

    torch.save({"params": compact().state_dict(), "more": Payload()}, "bad.pth")
    with pytest.raises(InputError, match="would run pickled code"):
        Restorer("bad.pth")
    assert not Path("executed").exists()
    monkeypatch.setitem(sys.modules, "spandrel", None)
    Restorer(files.saved_identity(Path()))
    state = released_layout.fill(released_layout.shapes())
    torch.save(state, "released.pth")
    Restorer("released.pth")


def test_a_released_restormer_is_one_of_ours():
    from vmambair_arch.checkpoints import to_released

    network = Restormer(dim=8, num_blocks=[1, 1, 0, 1], num_refinement_blocks=1, heads=[1, 1, 1, 1])
    torch.save({"params": to_released(network)}, "deraining.pth")
    assert isinstance(Restorer("deraining.pth").network, Restormer)


def test_restore_compare_and_bench_take_it(capsys, monkeypatch):
    pixels = files.noise("RGB", height=32, width=32)
    for folder in ("gt", "lq"):
        Path(folder).mkdir()
        Image.fromarray(pixels).save(f"{folder}/a.png")
    path = saved(dncnn())
    assert cli.vmambair(["restore", "lq", "-o", "out", "-m", path]) == 0
    assert np.array_equal(np.asarray(Image.open("out/a.png")), Restorer(path)(pixels))
    compared = ["compare", "gt", "same=lq", "--lq", "lq", "--model", f"denoiser={path}", "-o", "c"]
    assert cli.vmambair(compared) == 0
    row = json.loads(Path("c/report.json").read_text())["rows"]
    assert {method["method"] for method in row} == {"same", "denoiser"}

    from vmambair_arch.commands.bench import measure
    from vmambair_arch.commands.bench.cases import Case

    monkeypatch.setattr(measure, "SECONDS", 0)
    found = measure.measure(Case(path, size=8), "cpu")
    assert found["parameters"] == sum(p.numel() for p in dncnn().parameters())
    assert cli.vmambair(["bench", "-m", "gone.pth", "-o", "b", "--sizes", "8"]) == 2
    assert "gone.pth: there is no such checkpoint" in capsys.readouterr().err
