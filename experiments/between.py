"""Write the network whose weights lie between those of two trainings, in float16.

    python experiments/between.py FIRST SECOND SHARE FILE

SHARE says how far from FIRST (0) to SECOND (1), which was trained from it.

Source: network interpolation, ESRGAN, arXiv 1809.00219, Section 3.4.
"""

import sys

import torch

from vmambair_arch import load_network, save_network


def main(first: str, second: str, share: str, file: str) -> None:
    """Write the network."""
    network, other = load_network(first), load_network(second)
    with torch.no_grad():
        for weight, last in zip(network.parameters(), other.parameters(), strict=True):
            weight.lerp_(last, float(share))
    save_network(network.half(), file)


if __name__ == "__main__":
    main(*sys.argv[1:])
