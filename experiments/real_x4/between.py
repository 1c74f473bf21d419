"""Write the network whose weights lie between those of the two stages of real_x4.

    python experiments/real_x4/between.py 0.6 real_x4.safetensors

0 is the first stage, 1 the second; the file is in float16.
"""

import sys

import torch

from vmambair_arch import load_network, save_network

FIRST = "experiments/train_vmambair_real_tiny_x4/models/net_g_latest.pth"
SECOND = "experiments/train_vmambair_real_tiny_x4_gan/models/net_g_latest.pth"


def main(share: float, file: str) -> None:
    """Write the network."""
    network, other = load_network(FIRST), load_network(SECOND)
    with torch.no_grad():
        for weight, second in zip(network.parameters(), other.parameters(), strict=True):
            weight.lerp_(second, share)
    save_network(network.half(), file)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
