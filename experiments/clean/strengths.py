"""Compare two ways to weaken clean: a blend of its output with its input, and of its weights.

    python experiments/clean/strengths.py datasets/photos_sub160/gt datasets/photos_val

trains clean further for half strength, towards the middle between the damaged and the true picture,
and once more for full strength with the same crops, and prints for each kind of damage and each
strength the PSNR in dB on RGB of what comes out against the picture with that share of the damage
removed: of the blend of the output of full strength, of the network in between
(``--strength``'s 0.5 and 0.75), and of the damaged picture. On one thread.
"""

import copy
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn
from torch.utils.data import DataLoader

import vmambair_arch.plugin  # noqa: F401  # BasicSR imports only after it
from vmambair_arch import Restorer, inference

from basicsr.data import build_dataset  # isort: skip

SECTION = yaml.safe_load(Path(__file__).with_name("third_training.yml").read_text())["datasets"]
ITERATIONS, BATCH, CROP, RATE = 600, 4, 64, 3e-4
HALF = 0.5
STRENGTHS = {0.5: 1.0, 0.75: 0.5}  # and the share of the network of half strength


def trained(photographs: str, strength: float) -> nn.Module:
    """The bundled network, trained further for a strength."""
    torch.manual_seed(0)
    network = Restorer("clean", device="cpu").network.float().train().requires_grad_()
    given = {**SECTION["train"], "dataroot_gt": photographs, "gt_size": CROP, "phase": "train"}
    loader = DataLoader(build_dataset({**given, "scale": 1}), BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(network.parameters(), RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, ITERATIONS)
    done = 0
    while done < ITERATIONS:
        for item in loader:
            target = item["lq"].lerp(item["gt"], strength)
            optimizer.zero_grad()
            F.l1_loss(network(item["lq"]), target).backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done == ITERATIONS:
                break
    return network.eval()


def between(full: nn.Module, half: nn.Module, share: float) -> nn.Module:
    """The network whose weights lie between those of two; share 1 is the second."""
    network = copy.deepcopy(full)
    for weight, other in zip(network.parameters(), half.parameters(), strict=True):
        weight.data.lerp_(other.data, share)
    return network


def psnr(image: Tensor, target: Tensor) -> float:
    """In dB, after clipping."""
    return float(-10 * torch.log10(F.mse_loss(image.clamp(0, 1), target)))


@torch.no_grad()
def main(photographs: str, validation: str) -> None:
    """Print the lines."""
    torch.set_num_threads(1)
    with torch.enable_grad():
        full, half = trained(photographs, 1.0), trained(photographs, HALF)
    for name, given in SECTION.items():
        if name == "train" or "undamaged" in given["name"]:
            continue
        pictures = build_dataset({**given, "dataroot_gt": validation, "phase": "val", "scale": 1})
        for strength, share in STRENGTHS.items():
            network = between(full, half, share)
            found: dict[str, list[float]] = {"damaged": [], "blend": [], "weights": []}
            for item in pictures:
                lq, gt = item["lq"][None], item["gt"][None]
                target = lq.lerp(gt, strength)
                found["damaged"].append(psnr(lq, target))
                found["blend"].append(psnr(lq.lerp(inference.run(full, lq), strength), target))
                found["weights"].append(psnr(inference.run(network, lq), target))
            means = {way: round(sum(each) / len(each), 3) for way, each in found.items()}
            print(json.dumps({"pictures": given["name"], "strength": strength, **means}))


if __name__ == "__main__":
    main(*sys.argv[1:])
