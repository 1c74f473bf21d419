"""A machine on which no backend of the scans has been used."""

import pytest

from vmambair_arch.ops import dispatch, self_test, stamps


@pytest.fixture
def new_machine(tmp_path, monkeypatch):
    """No backend has been tested yet; returns the test's folder of stamps."""

    def forget():
        self_test.failure.cache_clear()
        dispatch.WARNED.clear()

    folder = tmp_path / "stamps"
    monkeypatch.setattr(stamps, "folder", lambda: folder)
    forget()
    yield folder
    forget()
