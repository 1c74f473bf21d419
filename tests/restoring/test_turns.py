"""Threads that share a network restore one picture after the other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from vmambair_arch import Restorer, VmambaIR


@pytest.mark.parametrize("options", [{}, {"tile": 34, "pool": "global"}], ids=["whole", "pooled"])
def test_threads_that_share_a_restorer_get_the_results_of_one(options):
    torch.manual_seed(0)
    network = VmambaIR(dim=8, num_blocks=[1, 1], num_refinement_blocks=1, scale=1)
    restorer = Restorer(network, precision="fp32", **options)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (40, 36, 3), np.uint8) // (i + 1) for i in range(4)]
    alone = [restorer(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        together = [*threads.map(restorer, pictures * 3)]
    for result, expected in zip(together, alone * 3, strict=True):
        np.testing.assert_array_equal(result, expected)
