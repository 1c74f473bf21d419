"""A machine on which no backend of the scans was ever used."""

import pytest

from vmambair_arch.ops import dispatch, self_test, stamps


@pytest.fixture
def new_machine(tmp_path, monkeypatch):
    """No backend has been tested, and stamps go to a folder of the test, which this is."""

    def forget():
        self_test.failure.cache_clear()
        dispatch.WARNED.clear()

    folder = tmp_path / "stamps"
    monkeypatch.setattr(stamps, "folder", lambda: folder)
    forget()
    yield folder
    forget()
