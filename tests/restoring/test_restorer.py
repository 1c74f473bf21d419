"""A Restorer in Python: it can be sent to other processes, and names what it cannot take."""

import pickle
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from vmambair_arch import Chain, Restorer, VmambaIR
from vmambair_arch.errors import InputError
from vmambair_arch.restoring import chain


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    torch.manual_seed(0)
    return Restorer(VmambaIR(dim=8, num_blocks=[1, 1], num_refinement_blocks=1, scale=1))


def test_a_pickled_restorer_gives_the_same_results(restorer):
    image = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    for given in (restorer, Chain([restorer.network, restorer.network])):
        received = pickle.loads(pickle.dumps(given))
        np.testing.assert_array_equal(received(image), given(image))


@pytest.mark.parametrize("x", [None, np.zeros((1, 3, 8, 8))], ids=["none", "array"])
def test_what_is_no_tensor_is_named(restorer, x):
    with pytest.raises(InputError, match=f"x is a {type(x).__name__}; it must be a tensor"):
        restorer.restore_tensor(x)


def test_a_colour_key_of_16_bits_is_refused_as_pil_has_no_mode_for_its_alpha(restorer):
    image = Image.fromarray(np.full((4, 4), 1000, np.uint16))
    image.info["transparency"] = 1000
    with pytest.raises(InputError, match="16 bits whose info has a transparent value"):
        restorer(image)
    del image.info["transparency"]
    assert restorer(image).mode == "I;16"


@pytest.mark.parametrize("options", [{}, {"compile": True}], ids=["eager", "compiled"])
def test_a_network_of_the_caller_is_left_as_it_is(options):
    network = VmambaIR(dim=8, num_blocks=[1, 1], num_refinement_blocks=1, scale=1).train()
    network.tail.eval()  # a part in another mode
    modes = [module.training for module in network.modules()]
    restorer = Restorer(network, device="cpu", **options)
    assert [module.training for module in network.modules()] == modes
    assert network._compiled_call_impl is None
    assert (restorer.network is network) == (not options)


def test_a_network_in_training_mode_is_in_eval_mode_for_a_picture():
    modes = []

    class Watching(torch.nn.Module):
        scale = 1

        def forward(self, x):
            modes.append(self.training)
            return x

    network = Watching().train()
    restorer = Restorer(network, device="cpu")
    restorer(np.zeros((4, 4, 3), np.uint8))
    restorer.restore_tensor(torch.zeros(1, 3, 4, 4))
    assert not any(modes) and network.training


def test_a_network_that_merges_weights_in_eval_mode_has_them_apart_again_afterwards():
    class Merging(torch.nn.Module):
        scale, merged = 1, False

        def train(self, mode=True):
            self.merged = not mode
            return super().train(mode)

        def forward(self, x):
            assert self.merged
            return x

    network = Merging().train()
    Restorer(network, device="cpu")(np.zeros((4, 4, 3), np.uint8))
    assert network.training and not network.merged


def test_a_network_that_cannot_be_copied_is_told():
    network = torch.nn.Identity()
    network.lock = threading.Lock()  # such as that of a client
    Restorer(network, device="cpu")
    with pytest.raises(InputError, match="network .Identity. cannot be copied: .*; give it in"):
        Restorer(network, device="cpu", compile=True)


def test_networks_that_a_command_has_loaded_are_moved_instead_of_copied():
    network = VmambaIR(dim=8, num_blocks=[1, 1], num_refinement_blocks=1, scale=1).half()
    assert chain.load([network], device="cpu").network is network
    assert {p.dtype for p in network.parameters()} == {torch.float32}
