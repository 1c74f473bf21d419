"""Several processes restore the parts of one video into the same file as one process."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from support import films
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.video import restore_video
from vmambair_arch.system import processes

pytest.importorskip("av")
FRAMES, PART = 10, 2


@pytest.fixture
def film(tmp_path) -> Path:
    return films.write(tmp_path / "in.mkv", sizes=((16, 24),) * FRAMES)


class Counting:
    """Doubles frames, counts them, and may be interrupted at one of them."""

    def __init__(self, at: int | None = None):
        self.frames, self.at = 0, at

    def __call__(self, image: np.ndarray) -> np.ndarray:
        if self.frames == self.at:
            raise KeyboardInterrupt
        self.frames += 1
        return image.repeat(2, 0).repeat(2, 1)


def restored(film: Path, name: str, share=(0, 1), at: int | None = None) -> int:
    """How many frames a process restores."""
    counting = Counting(at)
    target = film.with_name(name)
    with contextlib.suppress(KeyboardInterrupt):
        restore_video(film, target, counting, made_with="double", part=PART, share=share)
    return counting.frames


@pytest.mark.parametrize(("size", "counts"), [(2, [6, 4]), (4, [4, 2, 2, 2])])
def test_each_process_restores_its_parts_and_the_file_equals_that_of_one_process(
    film, size, counts
):
    assert restored(film, "one.mp4") == FRAMES
    # One after the other, the first last, since it waits for the others.
    made = [restored(film, "many.mp4", (rank, size)) for rank in reversed(range(size))]
    assert made[::-1] == counts
    one, many = (film.with_name(name).read_bytes() for name in ("one.mp4", "many.mp4"))
    assert one == many
    assert sorted(path.name for path in film.parent.iterdir()) == ["in.mkv", "many.mp4", "one.mp4"]


def test_one_process_continues_the_work_of_two_and_the_reverse(film):
    restored(film, "one.mp4")
    assert restored(film, "many.mp4", (1, 2), at=3) == 3  # one part of its two is whole
    assert restored(film, "many.mp4", (0, 1), at=5) == 5  # of the others, which are four
    assert restored(film, "many.mp4", (1, 2)) == 2
    assert restored(film, "many.mp4", (0, 2)) == 2
    assert film.with_name("one.mp4").read_bytes() == film.with_name("many.mp4").read_bytes()


def test_a_failure_in_one_process_ends_all(film, monkeypatch):
    """Otherwise the others would wait forever."""
    monkeypatch.setattr(processes, "gather", lambda value: [value, ""])

    def full(image):
        raise OSError(28, "No space left on device")

    target = film.with_name("out.mp4")
    with pytest.raises(InputError, match=r"rank 0: .*out.mp4: cannot be written: No space left"):
        restore_video(film, target, full, made_with="full", share=(0, 2))
    assert not target.exists()
