"""Append blocks that change nothing yet to a trained VmambaIR, for a further training.

    python experiments/grow.py FILE OUT OPTION=VALUE...

as in `num_refinement_blocks=5` or `num_blocks='[0, 0, 4]'`. The last convolutions of a new block
are zero, so that its residuals are, and the network's output stays the same.
"""

import sys

import torch
import yaml

from vmambair_arch import OSSBlock, VmambaIR, load_network, save_network


def main(file: str, out: str, *options: str) -> None:
    """Write the larger network."""
    torch.manual_seed(0)
    small = load_network(file).float().eval()
    changes = {name: yaml.safe_load(value) for name, value in (o.split("=") for o in options)}
    large = VmambaIR(**{**small.config, **changes}).eval()
    loaded = large.load_state_dict(small.state_dict(), strict=False)
    assert not loaded.unexpected_keys
    new = 0
    with torch.no_grad():
        for name, block in large.named_modules():
            if isinstance(block, OSSBlock) and f"{name}.oss.out_proj.weight" in loaded.missing_keys:
                new += 1
                for last in (block.oss.out_proj, block.effn.out_proj):
                    for parameter in last.parameters():
                        parameter.zero_()
        x = torch.rand(1, large.config["in_channels"], 32, 40)
        assert torch.equal(large(x), small(x))
    save_network(large, out)
    print(f"{new} new blocks")


if __name__ == "__main__":
    main(*sys.argv[1:])
