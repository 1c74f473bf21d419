"""NoiseJPEGDataset: clean images and, made on the fly, noisy and compressed ones."""

from typing import Any

import cv2
import numpy as np

from ..option_values.data_sets import CROP
from ..option_values.kinds import NotNegative, Probability, Qualities, Quality, Range
from .noise import noise
from .synthetic import SyntheticPairDataset, SyntheticPairOptions

BLOCK = 8  # pixels a side of JPEG's blocks


class NoiseJPEGOptions(SyntheticPairOptions):
    """The keys of a NoiseJPEGDataset."""

    in_training = (*CROP, "sigma_range", "jpeg_range")

    sigma_range: Range | None = None
    noise_prob: Probability = 1
    jpeg_range: Qualities | None = None
    jpeg_prob: Probability = 1
    sigma_test: NotNegative | None = None
    jpeg_test: Quality | None = None


class NoiseJPEGDataset(SyntheticPairDataset):
    """Pairs made from clean images: Gaussian noise as from a sensor, 8 bits, then JPEG; or one of
    the two, or neither.

    In training JPEG's blocks start at a random position, as in a crop of a larger file.

    Args:
        opt: the data set's section of an option file: the keys of SyntheticPairDataset and:
            sigma_range: in training, lowest and highest standard deviation of the noise, in levels
                of 8 bits; each crop draws its own, uniformly.
            noise_prob: in training, the share of crops that get noise; 1.
            jpeg_range: in training, lowest and highest quality of JPEG, 1 to 100, drawn likewise.
            jpeg_prob: in training, the share of crops that are compressed; 1.
            sigma_test, jpeg_test: the same in validation; by default no noise, or no JPEG.
    Raises: InputError: as SyntheticPairDataset; in training, a range is missing.
    Source: removing noise and JPEG artifacts by one network: DnCNN-3, arXiv 1608.03981, Section IV.
    """

    options = NoiseJPEGOptions

    def __init__(self, opt: dict[str, Any]):
        super().__init__(opt)
        if self.training:
            self.sigma, self.quality = self.needed("sigma_range"), self.needed("jpeg_range")

    def degrade(self, gt: np.ndarray, generator: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Add noise, round to 8 bits and compress; see SyntheticPairDataset."""
        sigma, quality, corner = self._draw(generator)
        noisy = gt + noise(gt.shape, sigma, generator) if sigma else gt
        levels = (noisy.clip(0, 1) * 255).round().astype(np.uint8)
        if quality:
            levels = compress(levels, quality, corner)
        drawn = {"sigma": sigma, "jpeg_quality": quality, "first_block": corner}
        return levels.astype(np.float32) / 255, drawn

    def _draw(self, generator: Any) -> tuple[float, int, tuple[int, int]]:
        """Sigma, quality (0: no noise, no JPEG) and the offset of the image in the first block."""
        if not self.training:
            return self.opt.get("sigma_test") or 0.0, self.opt.get("jpeg_test") or 0, (0, 0)
        noisy = generator.uniform() < self.opt.get("noise_prob", 1)
        compressed = generator.uniform() < self.opt.get("jpeg_prob", 1)
        sigma, quality = generator.uniform(*self.sigma), round(generator.uniform(*self.quality))
        top, left = (int(generator.uniform(0, BLOCK)) for _ in range(2))
        return sigma if noisy else 0.0, quality if compressed else 0, (top, left)


def compress(image: np.ndarray, quality: int, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Compress to JPEG, with chroma at half the resolution, and decode.

    Args:
        image: (h, w, 3) uint8 RGB.
        quality: libjpeg's, 1 to 100.
        corner: rows and columns of the first blocks that are outside the image.
    Returns: (h, w, 3) uint8 RGB.
    """
    top, left = corner
    image = cv2.copyMakeBorder(image, top, 0, left, 0, cv2.BORDER_REFLECT)
    content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded: Any = cv2.imdecode(content, cv2.IMREAD_COLOR)
    return decoded[top:, left:, ::-1]
