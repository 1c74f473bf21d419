"""The before/after picture: any size, grey or colour, of every validation image."""

import numpy as np
import pytest
import torch
from PIL import Image

from vmambair_arch.training import pictures


class Nearest:
    """A BasicSR model that enlarges four times."""

    def feed_data(self, batch):
        self.batch = batch

    def test(self):
        self.result = torch.nn.functional.interpolate(self.batch["lq"], scale_factor=4)

    def get_current_visuals(self):
        return {**self.batch, "result": self.result}


def test_images_without_ground_truth_are_left_out(tmp_path):
    paired = {"lq": torch.rand(1, 3, 5, 6), "gt": torch.rand(1, 3, 20, 24)}
    alone = {"lq": torch.rand(1, 3, 5, 6)}
    pictures.before_after(Nearest(), [[alone], [alone, paired]], tmp_path / "picture.png")
    assert np.asarray(Image.open(tmp_path / "picture.png")).shape[0] == 20 + pictures.MARGIN + 4
    pictures.before_after(Nearest(), [[alone]], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_a_row_of_bicubic_output_and_original(channels, tmp_path):
    sizes = [(12, 9), (10, 11)]
    batches = [
        {"lq": torch.rand(1, channels, h, w), "gt": torch.rand(1, channels, 4 * h, 4 * w)}
        for h, w in sizes
    ]
    pictures.before_after(Nearest(), [batches[:1], batches[1:]], tmp_path / "picture.png")
    picture = np.asarray(Image.open(tmp_path / "picture.png"))
    rows = sum(4 * h + pictures.MARGIN + 4 for h, _ in sizes)
    assert picture.shape == (rows, 3 * (4 * 11 + 4), 3)
    gt = (batches[0]["gt"][0].permute(1, 2, 0) * 255).round().numpy()
    shown = picture[pictures.MARGIN :][: 4 * 12, 2 * (4 * 9 + 4) :][:, : 4 * 9]
    assert np.array_equal(shown, np.broadcast_to(gt, (48, 36, 3)))
