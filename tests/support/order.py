"""The order of the test files: long ones first, so that the processes of pytest -n end together."""

from collections import Counter
from pathlib import Path

import pytest

# Files of few tests that take many seconds: started last, one would run on alone.
FEW_BUT_LONG = (
    "test_processors", "test_comparisons", "test_numba", "test_tutorial", "test_gpu_script",
    "test_triton_code", "test_compile", "test_processes", "test_sharing", "test_launch",
    "test_app_page", "test_notebook", "test_mutations", "test_gan_models", "test_triton_memory",
    "test_plugin", "test_install_basicsr", "test_package", "test_threads", "test_gpu_waits",
    "test_schedule_free", "test_library_stderr",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files: those named above, then the others, those of most tests first."""
    tests = Counter(item.path for item in items)

    def place(file: Path) -> tuple[int, int]:
        if file.stem in FEW_BUT_LONG:
            return FEW_BUT_LONG.index(file.stem), 0
        return len(FEW_BUT_LONG), -tests[file]

    items.sort(key=lambda item: place(item.path))
