"""A machine on which no backend of the scans has been used."""

import pytest


@pytest.fixture
def new_machine(tmp_path, monkeypatch):
    """No backend has been tested yet; returns the test's folder of stamps."""

    # Not above: this file is read before Triton is told to interpret.
    from vmambair_arch.ops import dispatch, self_test, stamps

    def forget():
        self_test.failure.cache_clear()
        dispatch.WARNED.clear()

    folder = tmp_path / "stamps"
    monkeypatch.setattr(stamps, "folder", lambda: folder)
    forget()
    yield folder
    forget()
