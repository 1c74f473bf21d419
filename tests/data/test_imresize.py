"""imresize equals BasicSR's, which equals MATLAB's."""

import numpy as np
import pytest
from basicsr.utils.matlab_functions import imresize as of_basicsr

from vmambair_arch.data.imresize import imresize


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4, 1 / 8, 2, 3, 4])
def test_it_equals_basicsrs(scale, channels):
    side = max(round(1 / scale), 1)
    shape = (7 * side, 2 * side, *channels)
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    ours = imresize(image, scale)
    assert ours.shape == (round(shape[0] * scale), round(shape[1] * scale), *channels)
    theirs = np.asarray(of_basicsr(image, scale)).reshape(ours.shape)
    assert np.abs(ours - theirs).max() < 2e-6


def test_an_image_smaller_than_the_kernel_is_mirrored_repeatedly():
    assert np.allclose(imresize(np.full((2, 2), 0.5, np.float32), 1 / 2), 0.5)
    assert np.allclose(imresize(np.full((1, 1), 0.5, np.float32), 4), 0.5)
