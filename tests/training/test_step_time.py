"""A training ends when its steps have taken max_seconds, and records their time."""

from pathlib import Path

import pytest
import yaml

from support.experiments import load_tensors, write_options
from support.trainings import metrics, saved, train
from vmambair_arch.training import step_time

ROOT = Path("experiments/tiny")


@pytest.fixture
def options(pairs, tmp_path, monkeypatch):
    """Writes an option file of a training of at most ten steps, each of one second."""
    monkeypatch.chdir(tmp_path)
    seconds = iter(range(1000))

    def write(**train) -> str:
        path = Path(write_options(pairs))
        opt = yaml.safe_load(path.read_text())
        opt["train"].update(total_iter=10, **train)
        opt["logger"]["save_checkpoint_freq"] = 1000
        path.write_text(yaml.safe_dump(opt))
        return str(path)

    class Clock:
        process_time = staticmethod(lambda: float(next(seconds)))

    monkeypatch.setattr(step_time, "time", Clock)
    return write


def test_a_training_ends_at_max_seconds_and_resumes_with_more(options):
    assert train(options(max_seconds=3)) == 0
    assert saved() == {"3.state"}
    rows = metrics(str(ROOT))
    assert [(row["iter"], row["seconds"]) for row in rows] == [(2, 2.0), (3, 3.0)]
    assert load_tensors(ROOT / "models/net_g_latest.pth")["about"]["seconds"] == 3.0
    assert train(options(max_seconds=3), "--auto_resume") == 0
    assert metrics(str(ROOT)) == rows
    assert train(options(max_seconds=5), "--auto_resume") == 0
    assert metrics(str(ROOT))[-1]["iter"] == 5


def test_total_iter_may_end_it_earlier(options):
    assert train(options(max_seconds=100)) == 0
    assert saved() == {"10.state"}
