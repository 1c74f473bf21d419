"""VmambaIR computes what the released networks compute, for all options and image sizes."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from support import released_layout
from support.networks import TINY
from vmambair_arch import EFFN, OSSBlock, OSSModule, VmambaIR, load_network, presets
from vmambair_arch.checkpoints import to_released
from vmambair_arch.networks.modules import oss


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def image(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


# Parity.


@pytest.mark.parametrize("layout", released_layout.LAYOUTS)
def test_it_computes_what_the_released_network_computes(layout):
    network = load_network(released_layout.fill(released_layout.read(layout)["tensors"]))
    x, expected = released_layout.golden(layout)
    with torch.no_grad():
        output = network(x)
    assert (output - expected).norm() / expected.norm() <= 1e-5


@pytest.mark.parametrize("layout", released_layout.LAYOUTS)
def test_a_released_network_has_as_many_parameters_here(layout):
    described = released_layout.read(layout)
    network = load_network(released_layout.fill(described["tensors"]))
    assert sum(p.numel() for p in network.parameters()) == described["params"]


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("sisr_x4", 12_028_273),
        ("realsr_x4", 10_497_813),
        ("derain", 28_709_875),
        ("derain_w2", 27_680_964),
    ],
)
def test_presets_have_the_published_size(preset, parameters):
    with torch.device("meta"):
        network = presets.build(preset)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("directions", [1, 2, 4])
def test_the_meta_device_tells_the_shapes_of_outputs_and_gradients(directions):
    with torch.device("meta"):
        network = VmambaIR(scale=2, dim=8, num_blocks=[1, 1], directions=directions)
        x = torch.rand(1, 3, 16, 24, requires_grad=True)
    y = network(x)
    y.sum().backward()
    assert y.shape == (1, 3, 32, 48)
    assert x.grad.is_meta
    assert all(p.grad.shape == p.shape for p in network.parameters())


def test_a_preset_takes_overrides_and_an_unknown_one_is_named():
    assert presets.build("derain", **TINY).config["channel_merge"] == "add"
    with pytest.raises(ValueError, match="no preset 'sisr': choose one of sisr_x4, realsr_x4"):
        presets.build("sisr")


# Sizes and channels.


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_every_scale_has_the_right_output_size(scale):
    assert VmambaIR(**TINY, scale=scale)(image(1, 3, 8, 16)).shape == (1, 3, 8 * scale, 16 * scale)


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_any_number_of_channels_is_possible(channels):
    network = VmambaIR(**TINY, in_channels=channels, out_channels=channels, scale=2)
    assert network(image(1, channels, 8, 8)).shape == (1, channels, 16, 16)


def test_channels_in_may_differ_from_channels_out_without_the_residual():
    network = VmambaIR(**TINY, in_channels=2, out_channels=5, residual=False)
    assert network(image(1, 2, 8, 8)).shape == (1, 5, 8, 8)
    with pytest.raises(ValueError, match="the residual adds 2 channels to 5: set residual: false"):
        VmambaIR(**TINY, in_channels=2, out_channels=5)


@pytest.mark.parametrize("scale", [1, 3])
def test_without_its_weights_it_is_the_upsampled_input(scale):
    network = VmambaIR(**TINY, scale=scale)
    nn.init.zeros_(network.tail.last.weight)
    if scale > 1:
        nn.init.zeros_(network.tail.last.bias)
    x = image(1, 3, 8, 8)
    expected = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(network(x), expected)


def test_dual_pixel_takes_two_views_and_adds_the_shallow_features_not_the_input():
    network, x = VmambaIR(**TINY, in_channels=6, dual_pixel=True), image(1, 6, 8, 16)
    seen = []
    network.tail.last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    assert network(x).shape == (1, 3, 8, 16)
    joined = network.dual_pixel(network.shallow(x))
    network.dual_pixel = None
    torch.testing.assert_close(network(x), network.tail.last(seen[1]))
    torch.testing.assert_close(seen[0], seen[1] + joined)


@pytest.mark.parametrize(("h", "w"), [(8, 12), (7, 8), (1, 1), (0, 8)])
def test_a_size_that_is_no_multiple_is_named(h, w):
    with pytest.raises(ValueError, match=f"input is {h} x {w} pixels: .* multiples of 8;"):
        VmambaIR(**TINY)(torch.zeros(1, 3, h, w))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (0, 3, 8, 8)])
def test_an_input_of_another_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"input has shape .*; it must be \(b, 3, h, w\)"):
        VmambaIR(**TINY)(torch.zeros(shape))


@pytest.mark.parametrize(("depths", "multiple"), [([1, 1], 2), ([1, 0, 1], 4), ([0, 1, 0, 0], 8)])
def test_there_are_as_many_levels_as_numbers_of_blocks(depths, multiple):
    network = VmambaIR(**{**TINY, "num_blocks": depths}, scale=2)
    assert network.multiple == multiple
    x = image(1, 3, multiple, 3 * multiple)
    sizes = []
    network.latent.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape))
    assert network(x).shape == (1, 3, 2 * multiple, 6 * multiple)
    assert sizes == [(1, TINY["dim"] * multiple, 1, 3)]
    with pytest.raises(ValueError, match=f"multiples of {multiple};"):
        network(image(1, 3, multiple, multiple + 1))


def test_images_of_a_batch_do_not_affect_each_other():
    network, x = VmambaIR(**TINY), image(3, 3, 8, 16)
    alone = torch.cat([network(single) for single in x.split(1)])
    torch.testing.assert_close(network(x), alone)


def test_any_memory_layout_is_accepted_and_the_input_is_unchanged():
    network, x = VmambaIR(**TINY), image(1, 3, 8, 16)
    before, output = x.clone(), network(x)
    torch.testing.assert_close(network(x.contiguous(memory_format=torch.channels_last)), output)
    assert torch.equal(x, before)


def test_a_constant_image_gives_finite_gradients():
    network = VmambaIR(**TINY, norm="bias_free")
    network(torch.full((1, 3, 8, 8), 0.5)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_under_autocast_the_output_stays_close():
    network, x = VmambaIR(**TINY, channel_scan_width=2), image(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(x)
    assert (output - network(x)).norm() / network(x).norm() < 0.02


# PyTorch sees all of it.

SMALLEST = {**TINY, "num_blocks": [0, 0, 0, 1], "num_refinement_blocks": 0}


def test_the_whole_network_can_be_exported_for_any_size():
    network = VmambaIR(**SMALLEST, scale=2).eval()
    b, h, w = (torch.export.Dim(name, max=64) for name in "bhw")
    sizes = {"x": {0: b, 2: 8 * h, 3: 8 * w}}
    program = torch.export.export(network, (image(2, 3, 16, 24),), dynamic_shapes=sizes)
    x = image(1, 3, 24, 16)
    torch.testing.assert_close(program.module()(x), network(x))


# Options.


def biases(network: nn.Module) -> set[str]:
    return {name for name, _ in network.named_parameters() if name.endswith(".bias")}


def test_bias_governs_what_it_should():
    biased = biases(VmambaIR(**TINY, bias=True, in_channels=6, dual_pixel=True))
    plain = biases(VmambaIR(**TINY, in_channels=6, dual_pixel=True))
    outside = {"shallow.bias", "reductions.0.bias", "reductions.1.bias", "dual_pixel.bias"}
    effn = {n for n in biased if ".effn." in n}
    assert biased - plain == outside | {"tail.last.bias"} | effn
    assert {n.split(".effn.")[1] for n in effn} == {"in_proj.bias", "dwconv.bias", "out_proj.bias"}
    upsampling = biases(VmambaIR(**TINY, scale=2))
    assert {"tail.last.bias", "tail.upsampling.0.bias"} <= upsampling


def test_a_bias_free_norm_has_no_bias_and_keeps_the_mean():
    network = VmambaIR(**TINY, norm="bias_free")
    assert not [n for n in biases(network) if "norm1" in n or "norm2" in n]
    assert "latent.0.oss.planar_norm.bias" in biases(network)
    x = image(1, 8, 2, 3)
    expected = x / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(network.latent[0].norm1.__class__(8)(x), expected)


def test_the_norm_with_bias_is_over_the_channels_of_a_pixel():
    x = image(1, 8, 2, 3)
    mean, variance = x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
    torch.testing.assert_close(OSSBlock(dim=8).norm1(x), (x - mean) / (variance + 1e-5).sqrt())


@pytest.mark.parametrize(("width", "rank"), [(0, 3), (2, 6), (4, 6)])
def test_both_scans_start_s4d_real(width, rank):
    module = OSSModule(dim=40, channel_scan_width=width)
    for scan in (module.planar_scan, module.channel_scan):
        (rates,) = scan.prepare()
        torch.testing.assert_close(rates, -torch.arange(1.0, 17).expand_as(rates))
        steps = F.softplus(scan.delta_bias)
        assert (steps > 0.00099).all() and (steps < 0.101).all()
        assert (scan.D == 1).all()
    assert module.channel_scan.delta_weight.shape == (2, max(width, 1), rank)


def test_the_merges_differ_as_the_paper_says():
    """With s the channel scan of p: p * s + p, or p + s."""
    x = image(1, 8, 2, 3)
    module = OSSModule(dim=8, d_state=4)
    seen = []
    module.channel_scan.register_forward_hook(lambda _, inputs, s: seen.append((inputs[0], s)))
    module.out_proj.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module(x)
    module.multiply = OSSModule(dim=8, channel_merge="add").multiply
    module(x)
    (p, s), multiplied, _, added = seen
    assert s.shape == (1, 8, 1, 1)
    torch.testing.assert_close(multiplied, p * s + p)
    torch.testing.assert_close(added, p + s)


def test_the_channel_scan_reads_only_the_mean():
    scan, x = oss.ChannelScan(dim=8, d_state=4, width=2), image(2, 8, 4, 6)
    mirrored = x.flip(2, 3)
    torch.testing.assert_close(scan(mirrored), scan(x))
    torch.testing.assert_close(scan(x.mean((2, 3), keepdim=True)), scan(x))


def test_effn_gates_with_the_first_half():
    x = image(1, 4, 3, 5)
    for gate, act in {"silu": F.silu, "gelu": F.gelu}.items():
        effn = EFFN(dim=4, gate=gate)
        hidden = F.conv2d(x, effn.in_proj.weight[..., None, None])
        hidden = F.conv2d(hidden, effn.dwconv.weight, padding=1, groups=20)
        a, b = hidden.split(10, dim=1)  # int(2.66 * 4)
        expected = F.conv2d(act(a) * b, effn.out_proj.weight[..., None, None])
        torch.testing.assert_close(effn(x), expected)


@pytest.mark.parametrize("channel_scan_width", [0, 2])
def test_a_block_keeps_channels_last(channel_scan_width):
    x = image(2, 8, 4, 6).contiguous(memory_format=torch.channels_last)
    block = OSSBlock(dim=8, d_state=4, channel_scan_width=channel_scan_width)
    seen = []
    for module in block.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, __, output: seen.extend(maps(output)))
    assert block(x).is_contiguous(memory_format=torch.channels_last)
    assert all(m.is_contiguous(memory_format=torch.channels_last) for m in seen)


def maps(output) -> list[torch.Tensor]:
    """The feature maps of more than one pixel among a module's outputs."""
    outputs = output if isinstance(output, tuple) else (output,)
    return [tensor for tensor in outputs if tensor.dim() == 4 and tensor.shape[-1] > 1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scale": 5}, r"scale is 5: choose one of \(1, 2, 3, 4, 8\)"),
        ({"num_blocks": [1]}, r"num_blocks is \[1\] .* two to four numbers of blocks"),
        ({"num_blocks": [1, 1, 1, 1, 1]}, "two to four numbers of blocks"),
        ({"num_blocks": [1, 1, 1, -1]}, "four numbers of blocks"),
        ({"num_refinement_blocks": 1.5}, "num_refinement_blocks 1.5"),
        ({"dim": 7}, "dim is 7; it must be even"),
        ({"dim": 0}, "dim is 0; it must be a whole number >= 1"),
        ({"in_channels": "3"}, "in_channels is '3'; it must be a whole number"),
        ({"d_state": 0}, "d_state is 0; it must be a whole number"),
        ({"channel_scan_width": -1}, "channel_scan_width is -1: 0 or more"),
        ({"channel_merge": "concat"}, "channel_merge is 'concat': choose one of"),
        ({"gate": "relu"}, "gate is 'relu': choose one of silu, gelu"),
        ({"norm": "batch"}, "norm is 'batch': choose one of with_bias, bias_free"),
        ({"dual_pixel": True, "scale": 2}, "dual_pixel needs scale 1, and scale is 2"),
        ({"ffn_expansion_factor": 0.01}, "ffn_expansion_factor 0.01 leaves no channel of 8"),
    ],
)
def test_an_impossible_option_is_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        VmambaIR(**{**TINY, **options})


def test_a_misspelt_option_fails_by_itself():
    with pytest.raises(TypeError, match="num_block"):
        VmambaIR(num_block=[1, 1, 1, 1])


# Ablations.


@pytest.mark.parametrize("kept", [[0], [0, 2]], ids=["one direction", "two directions"])
def test_fewer_directions_are_the_rows_ones_of_four(kept):
    four = oss.PlanarScan(dim=6, d_state=3)
    few = oss.PlanarScan(dim=6, d_state=3, directions=len(kept))
    others = [k for k in range(4) if k not in kept]
    weight = four.projection.weight.detach().unflatten(0, (4, -1))
    few.projection.weight.data = weight[kept].flatten(0, 1).clone()
    for name in ("delta_weight", "delta_bias", "A_log", "D"):
        getattr(few, name).data = getattr(four, name).data[kept].clone()
    weight[others, -3:] = 0  # C: the other directions leave nothing
    four.D.data[others] = 0
    x = image(2, 6, 5, 7)
    torch.testing.assert_close(few(x), four(x))


def test_without_a_channel_scan_a_module_is_the_one_whose_channel_scan_is_zero():
    module = OSSModule(dim=6, d_state=3)
    assert module.channel_scan is not None
    nn.init.zeros_(module.channel_scan.norm.weight)
    without = OSSModule(dim=6, d_state=3, channel_merge="none")
    missing = without.load_state_dict(module.state_dict(), strict=False)
    assert not missing.missing_keys
    assert all(name.startswith("channel_scan.") for name in missing.unexpected_keys)
    x = image(1, 6, 4, 5)
    torch.testing.assert_close(without(x), module(x))


def test_ablations_are_read_from_a_file_and_released_files_cannot_express_them():
    network = VmambaIR(**TINY, directions=2, channel_merge="none", gate="gelu")
    state = {name: t for name, t in network.state_dict().items() if name != "_extra_state"}
    assert load_network(state).config == network.config
    with pytest.raises(ValueError, match="a released file has four directions"):
        to_released(network)
    with pytest.raises(ValueError, match="directions is 3: choose one of"):
        VmambaIR(**TINY, directions=3)
