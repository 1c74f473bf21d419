"""Append refinement blocks that change nothing yet to a trained VmambaIR, for a further training.

    python experiments/grow.py FILE BLOCKS OUT

The last convolutions of a new block are zero, so that its residuals are, and the network's output
stays the same.
"""

import sys

import torch

from vmambair_arch import VmambaIR, load_network, save_network


def main(file: str, blocks: str, out: str) -> None:
    """Write the larger network."""
    torch.manual_seed(0)
    small = load_network(file).float()
    config = dict(small.config)
    config["num_refinement_blocks"] += int(blocks)
    large = VmambaIR(**config)
    fresh = large.load_state_dict(small.state_dict(), strict=False)
    assert not fresh.unexpected_keys
    with torch.no_grad():
        for block in list(large.refinement)[-int(blocks) :]:
            for last in (block.oss.out_proj, block.effn.out_proj):
                for parameter in last.parameters():
                    parameter.zero_()
        x = torch.rand(1, config["in_channels"], 32, 40)
        assert torch.equal(large(x), small(x))
    save_network(large, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
