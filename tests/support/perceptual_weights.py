"""Fixtures: files of small or random weights, of the kinds that perceptual losses load."""

from pathlib import Path

import pytest
import torch
from torchvision.models import alexnet, vgg


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    """A function that makes alex or vgg: layers with random weights, and their file."""
    folder, made = tmp_path_factory.mktemp("backbones"), {}

    def make(kind: str) -> tuple[torch.nn.Sequential, Path]:
        if kind not in made:
            torch.manual_seed(0)
            if kind == "vgg":
                layers = vgg.make_layers(vgg.cfgs["D"])
            else:
                with torch.device("meta"):
                    layers = alexnet().features
                layers.to_empty(device="cpu")
                for parameter in layers.parameters():
                    torch.nn.init.normal_(parameter, std=0.05)
            path = folder / f"{kind}.pth"
            torch.save({f"features.{key}": t for key, t in layers.state_dict().items()}, path)
            made[kind] = layers, path
        return made[kind]

    return make
