"""The next run removes what killed processes left behind, but nothing of a living one."""

import contextlib
import os
import tempfile
import threading
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from support import forks
from support.patience import PATIENCE
from vmambair_arch import files
from vmambair_arch.files import remove_leftovers, write_whole
from vmambair_arch.system.file_locks import abandoned, lock_file, scratch_folder

pytestmark = [
    pytest.mark.usefixtures("empty_folder"),
    pytest.mark.skipif(os.name != "posix", reason="Windows holds open files by itself"),
]
HOLDING = {
    "file": "write_whole(Path('out.png'), lambda file: wait())",
    "folder": "with scratch_folder('vmambair-test-'): wait()",
}


def holder(what: str, folder: Path) -> BaseProcess:
    """A process that holds a temporary file or folder until a signal ends it."""
    code = (
        "import signal, tempfile; tempfile.tempdir = '.'; from pathlib import Path\n"
        "from vmambair_arch.files import write_whole\n"
        "from vmambair_arch.system.file_locks import scratch_folder\n"
        "def wait(): print('held', flush=True), signal.pause()\n" + HOLDING[what]
    )
    out = str(folder / "out.txt")
    process = forks.start(code, streams=(os.devnull, out, out))
    assert forks.line(out) == "held\n"
    return process


def clear(what: str) -> None:
    if what == "file":
        remove_leftovers(Path())
    else:
        with scratch_folder("vmambair-test-"):
            pass


@pytest.mark.parametrize("what", ["file", "folder"])
def test_files_of_living_processes_are_kept_and_those_of_killed_ones_removed(
    tmp_path_factory, monkeypatch, what
):
    monkeypatch.setattr(tempfile, "tempdir", ".")
    process = holder(what, tmp_path_factory.mktemp("out"))
    left = list(Path().iterdir())
    assert len(left) == 1
    clear(what)
    assert list(Path().iterdir()) == left
    process.kill()
    process.join(PATIENCE)
    clear(what)
    assert not list(Path().iterdir())


def test_files_of_others_are_left_alone():
    names = [".swap.tmp", "a.1.2.tmp", ".a.png.tmp", ".a.png.x.tmp"]
    for name in names:
        Path(name).touch()
    Path(".a.png.12.34.tmp").touch()
    Path(".b.png.12.0123456789abcdef.tmp").touch()
    remove_leftovers(Path())
    assert sorted(path.name for path in Path().iterdir()) == sorted(names)


def test_a_temporary_file_is_new_and_its_name_cannot_be_guessed():
    names = set()

    def write(file):
        names.add(file.name)
        file.write(b"x")

    for _ in range(3):
        write_whole(Path("a"), write)
    assert len(names) == 3 and Path("a").read_bytes() == b"x"


@pytest.mark.parametrize("wait", [False, True])
def test_a_file_that_another_process_takes_for_a_leftover_is_written_under_another_name(
    monkeypatch, wait
):
    """That process may come between the file and its lock, and be between its own lock and the
    removal when this process locks."""
    removed = []

    def lock_late(file) -> None:
        if not removed:
            removed.append(Path(file.name))
            removing = contextlib.ExitStack()
            assert removing.enter_context(abandoned(removed[0]))
            removing.callback(removed[0].unlink)  # runs before the lock is released
            if wait:
                threading.Thread(target=removing.close).start()
            else:
                removing.close()
        lock_file(file)

    monkeypatch.setattr(files, "lock_file", lock_late)
    write_whole(Path("a"), b"x")
    assert Path("a").read_bytes() == b"x" and not removed[0].exists()


def test_a_folder_that_is_a_link_or_has_no_lock_is_left_alone(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", ".")
    Path("other").mkdir()
    Path("other/lock").touch()
    Path("vmambair-test-link").symlink_to("other")
    Path("vmambair-test-young").mkdir()
    clear("folder")
    assert Path("other/lock").exists() and Path("vmambair-test-young").exists()
    for path, expected in (("other/lock", True), ("nowhere", False)):
        with abandoned(Path(path)) as is_abandoned:
            assert is_abandoned == expected
