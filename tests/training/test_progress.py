"""What a run reports while it trains."""

from unittest.mock import Mock

import pytest

from vmambair_arch.training.progress import TrainingProgress


@pytest.mark.parametrize("iteration", [2, 3])
def test_the_remaining_time_ends_at_zero_and_is_never_negative(iteration):
    logger = {"print_freq": 1, "use_tb_logger": False}
    opt = {"name": "tiny", "rank": 0, "train": {"total_iter": 3}, "logger": logger}
    with TrainingProgress(opt, 0, None) as progress:
        progress.message.logger = Mock()
        rates = {"epoch": 0, "iter": iteration, "lrs": [1e-4], "time": 9.0, "data_time": 0.0}
        progress.message.start_time -= 100 * iteration
        progress.message(rates)
    line = progress.message.logger.info.call_args.args[0]
    assert ("eta: 0:00:00" if iteration == 3 else "eta: 0:01:4") in line
