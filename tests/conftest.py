"""What precedes all tests: threads, Triton's interpreter and shared fixtures."""

import gc
import os
import signal

import pytest

# One thread beside other tests, else as many as torch uses: no test depends on the machine's load.
IS_ALONE = "PYTEST_XDIST_WORKER" not in os.environ
if IS_ALONE:
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
else:
    os.environ["OMP_NUM_THREADS"] = "1"  # the workers' parent has set the other

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in background jobs

pytest_plugins = ("support.order",)
SHARED = (
    "support.fixtures",
    "support.browser",
    "support.interpreter",
    "support.degradations",
    "support.perceptual_weights",
    "support.stand_in_for_pyiqa",
)


def pytest_configure(config: pytest.Config) -> None:
    """Import what tests share, which takes seconds, but not where pytest -n only hands tests out.

    Workers start after this, and have all cores to themselves.
    """
    if config.getoption("numprocesses", None):
        return
    gc.disable()  # until all is imported, since all of that stays
    import torch

    if not torch.cuda.is_available():  # with a GPU, Triton's kernels are compiled and tested there
        os.environ.setdefault("TRITON_INTERPRET", "1")  # read when a kernel is decorated
    for name in SHARED:
        config.pluginmanager.import_plugin(name)


def pytest_collection_finish() -> None:
    """Let garbage collections examine only what tests leave."""
    gc.freeze()
    gc.enable()
