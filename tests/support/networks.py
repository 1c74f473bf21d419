"""What the tests of checkpoints share: a small network, and a comparison of networks."""

import torch
from torch import nn

TINY = {"dim": 8, "num_blocks": [1, 1, 0, 1], "num_refinement_blocks": 1, "d_state": 4}


def assert_equal(ours: nn.Module, theirs: nn.Module) -> None:
    """The same options, the same weights and the same output, bit for bit."""
    assert ours.config == theirs.config
    states = ours.state_dict(), theirs.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    x = torch.rand(1, ours.config["in_channels"], 8, 8)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
