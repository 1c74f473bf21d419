"""Images of any size: padded for the network, and cropped again."""

import pytest
import torch
from torch import nn

from vmambair_arch import VmambaIR, inference

TINY = {"dim": 8, "num_blocks": [1, 0, 0, 1], "num_refinement_blocks": 0, "d_state": 4}


class Nearest(nn.Module):
    """A network that only enlarges, and records its inputs."""

    multiple = 8

    def __init__(self, factor: int):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        self.given = x
        return nn.functional.interpolate(x, scale_factor=self.factor)


@pytest.mark.parametrize(("h", "w"), [(1, 1), (1, 9), (7, 3), (8, 17), (2, 8)])
@pytest.mark.parametrize("scale", [1, 3])
def test_any_size_from_one_pixel_up_is_restored(h, w, scale):
    network = VmambaIR(**TINY, scale=scale)
    with torch.no_grad():
        output = inference.run(network, torch.rand(1, 3, h, w))
    assert output.shape == (1, 3, scale * h, scale * w)
    assert output.isfinite().all()


def test_grey_images_and_batches_are_restored():
    network = VmambaIR(**TINY, in_channels=1, out_channels=1, scale=2)
    images = torch.rand(2, 1, 5, 8)
    together = inference.run(network, images)
    assert together.shape == (2, 1, 10, 16)
    torch.testing.assert_close(inference.run(network, images[1:]), together[1:])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_only_the_padding_is_cropped(scale):
    network, x = Nearest(scale), torch.rand(2, 3, 9, 15)
    output = inference.run(network, x)
    assert network.given.shape == (2, 3, 16, 16)
    assert torch.equal(output, nn.functional.interpolate(x, scale_factor=scale))


def test_a_network_that_takes_any_size_gets_the_image_itself():
    network, x = nn.Upsample(scale_factor=2), torch.rand(1, 3, 9, 15)
    assert torch.equal(inference.run(network, x), network(x))


def test_an_image_of_the_right_size_is_not_padded():
    x = torch.rand(1, 3, 8, 16)
    assert torch.equal(inference.pad(x, 8), x)


def test_padding_is_the_mirror_image():
    x = torch.rand(1, 3, 9, 14)
    expected = nn.functional.pad(x, (0, 2, 0, 7), mode="reflect")
    assert torch.equal(inference.pad(x, 8), expected)


def test_an_image_smaller_than_its_padding_is_mirrored_back_and_forth():
    x = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    assert inference.pad(x, 8)[0, 0, 0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
    assert inference.pad(x, 8).shape == (1, 1, 8, 8)
    assert (inference.pad(torch.full((1, 1, 1, 1), 5.0), 8) == 5).all()
