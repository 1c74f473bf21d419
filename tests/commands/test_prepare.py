"""Folders become pairs, sub-images, meta information and LMDBs, and a stopped run continues."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from basicsr.data.data_util import paired_paths_from_meta_info_file
from basicsr.utils.matlab_functions import imresize
from PIL import Image
from skimage import data

from support.patience import until
from vmambair_arch import cli
from vmambair_arch.commands import file_workers
from vmambair_arch.commands.prepare import subimages
from vmambair_arch.commands.prepare.record import FILE
from vmambair_arch.commands.prepare.subimages import Recipe, offsets, read
from vmambair_arch.data.images import resize


@pytest.fixture
def photographs(tmp_path, monkeypatch) -> Path:
    """The folder ``in``: four photographs of different sizes, colour and grey, PNG and JPEG."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    save("in/cat.png", data.chelsea()[:110, :151])
    save("in/cup.of.coffee.png", data.coffee()[100:210, 200:300])
    save("in/camera.png", data.camera()[:101, 150:270])
    save("in/rocket.jpg", data.rocket()[:100, 200:330])
    return Path("in")


def save(path: str, image: np.ndarray) -> None:
    Image.fromarray(image).save(path)


def prepare(*arguments: str) -> int:
    return cli.vmambair(["prepare", *arguments])


def files(root: str) -> dict[str, bytes]:
    """Every file below a folder, by path, except the record and LMDB's lock."""
    found = sorted(path for path in Path(root).rglob("*") if path.is_file())
    left_out = (FILE, "lock.mdb")
    return {str(p.relative_to(root)): p.read_bytes() for p in found if p.name not in left_out}


def reduced(image: np.ndarray, scale: int) -> np.ndarray:
    """BasicSR's reduction of an image in [0, 255], as stored in a file."""
    return (np.asarray(imresize(image / 255.0, 1 / scale)).clip(0, 1) * 255).round()


# Length, size, step, threshold -> where sub-images begin, by hand after extract_subimages.
OFFSETS = [
    (480, 480, 240, 0, [0]),
    (481, 480, 240, 0, [0, 1]),
    (481, 480, 240, 1, [0]),
    (960, 480, 240, 0, [0, 240, 480]),
    (1000, 480, 240, 0, [0, 240, 480, 520]),
    (1000, 480, 240, 40, [0, 240, 480]),
    (1000, 480, 600, 0, [0, 520]),
]


@pytest.mark.parametrize(("length", "size", "step", "threshold", "expected"), OFFSETS)
def test_sub_images_begin_where_basicsrs_do(length, size, step, threshold, expected):
    assert offsets(length, Recipe((), size, step, threshold)) == expected


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_pairs_are_basicsr_reductions_of_images_cropped_to_the_scale(photographs, scale):
    assert prepare("in", "out", "--scale", str(scale)) == 0
    names = {"cat.png", "cup.of.coffee.png", "camera.png", "rocket.png"}
    assert {path.name for path in Path("out/gt").iterdir()} == names
    assert {path.name for path in Path(f"out/lq_x{scale}").iterdir()} == names
    for path in photographs.iterdir():
        original = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        height, width = (side // scale * scale for side in original.shape[:2])
        gt = cv2.imread(f"out/gt/{path.stem}.png", cv2.IMREAD_UNCHANGED)
        lq = cv2.imread(f"out/lq_x{scale}/{path.stem}.png", cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(gt, original[:height, :width])
        np.testing.assert_array_equal(lq, reduced(gt, scale))


def test_sub_images_are_cut_alike_out_of_both_whole_images(photographs):
    assert prepare("in", "out", "--scale", "4", "--scale", "2", "--sub-images", "64") == 0
    whole = cv2.imread("in/cat.png")[:108, :148]
    corners = [(y, x) for y in (0, 32, 44) for x in (0, 32, 64, 84)]
    names = [f"cat_s{number:03d}.png" for number in range(1, 13)]
    for folder, scale in (("gt", 1), ("lq_x4", 4), ("lq_x2", 2)):
        image = whole if scale == 1 else reduced(whole, scale)
        assert sorted(path.name for path in Path("out", folder).glob("cat*")) == names
        for name, (y, x) in zip(names, corners, strict=True):
            window = image[y // scale : (y + 64) // scale, x // scale : (x + 64) // scale]
            np.testing.assert_array_equal(cv2.imread(f"out/{folder}/{name}"), window)


def test_images_are_used_at_smaller_sizes_too(photographs, capsys):
    rest = ["--scale", "2", "--sub-images", "48", "--step", "48", "--smaller", "0.55"]
    assert prepare("in", "out", *rest, "--smaller", "0.44") == 0
    error = capsys.readouterr().err
    assert "3 of 4 images (such as camera.png) are too small to be used at 0.44 of" in error
    assert "at 0.55" not in error
    with Image.open("in/cat.png") as image:
        small = np.asarray(image.resize((83, 61), Image.Resampling.LANCZOS)).astype(int)
    gt, lq = (np.asarray(Image.open(f"out/{d}/cat_0.55_s001.png")) for d in ("gt", "lq_x2"))
    assert abs(gt - small[:48, :48]).max() <= 1  # Pillow rounds 8-bit weights
    whole = reduced(small[:60, :82], 2)
    assert abs(lq - whole[:24, :24]).max() <= 1
    before = files("out")
    assert prepare("in", "out", *rest, "--smaller", "0.44") == 0
    assert files("out") == before


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_a_smaller_version_keeps_depth_and_channels(dtype, channels):
    image = np.full((21, 30, *channels), np.iinfo(dtype).max, dtype)
    small = resize(image, 0.5)
    assert small.shape == (10, 15, *channels) and small.dtype == dtype
    assert (small == np.iinfo(dtype).max).all()


def test_a_folder_begun_by_an_earlier_version_continues(photographs):
    prepare("in", "out", "--scale", "4")
    record = Path("out", FILE)
    head, *done = record.read_text().splitlines()
    older = json.loads(head)
    del older["settings"]["smaller"]
    record.write_text("\n".join([json.dumps(older), *done]) + "\n")
    assert prepare("in", "out", "--scale", "4") == 0


def test_an_unchanged_png_is_copied_byte_for_byte(photographs):
    assert prepare("in", "out") == 0
    for name in ("cat.png", "cup.of.coffee.png", "camera.png"):
        assert Path("out/gt", name).read_bytes() == Path("in", name).read_bytes()
    np.testing.assert_array_equal(cv2.imread("out/gt/rocket.png"), cv2.imread("in/rocket.jpg"))


def test_meta_information_has_the_form_that_basicsr_reads(photographs):
    prepare("in", "out", "--scale", "4")
    assert Path("out/meta_info.txt").read_text().splitlines() == [
        "camera.png (100,120,1)",
        "cat.png (108,148,3)",
        "cup.of.coffee.png (108,100,3)",
        "rocket.png (100,128,3)",
    ]
    folders = ["out/lq_x4", "out/gt"]
    pairs = paired_paths_from_meta_info_file(folders, ["lq", "gt"], "out/meta_info.txt", "{}")
    assert all(Path(path).is_file() for pair in pairs for path in pair.values())


@pytest.mark.parametrize("backend", [[], ["--lmdb"]])
def test_the_section_that_is_printed_trains(photographs, experiment, backend, capsys):
    assert prepare("in", "out", "--scale", "4", "--sub-images", "64", *backend) == 0
    section = yaml.safe_load(capsys.readouterr().out)["datasets"]["train"]
    assert section["gt_size"] == 64
    section.update(num_worker_per_gpu=0, batch_size_per_gpu=2)
    options = experiment(datasets={"train": section}, val=None)
    assert cli.basicsr(["train", "-opt", options]) == 0


def test_existing_pairs_are_cut_alike_too(photographs):
    """Named like DIV2K's, with the scale appended, and of equal size, as in deraining."""
    prepare("in", "made", "--scale", "4")
    for path in list(Path("made/lq_x4").iterdir()):
        path.rename(path.with_name(f"{path.stem}x4.png"))
    cut = ["--sub-images", "64"]
    assert prepare("in", "out", "--lq", "made/lq_x4", "--scale", "4", *cut) == 0
    assert prepare("in", "expected", "--scale", "4", *cut) == 0
    assert files("out") == files("expected")
    assert prepare("made/gt", "equal", "--lq", "made/gt", *cut) == 0
    assert files("equal/gt") == files("equal/lq")


def test_depth_and_alpha_are_kept_and_what_basicsr_drops_is_said(photographs, capsys):
    deep = data.coffee()[:64, :64].astype(np.uint16) * 257
    cv2.imwrite("in/deep.png", deep)
    save("in/clear.png", np.dstack([data.coffee()[:64, :64], data.camera()[:64, :64]]))
    assert prepare("in", "out", "--scale", "4", "--sub-images", "32") == 0
    lq = cv2.imread("out/lq_x4/deep_s001.png", cv2.IMREAD_UNCHANGED)
    exact = np.asarray(imresize(deep / 65535.0, 1 / 4)).clip(0, 1) * 65535
    np.testing.assert_array_equal(lq, exact.round()[:8, :8])
    assert cv2.imread("out/gt/clear_s001.png", cv2.IMREAD_UNCHANGED).shape == (32, 32, 4)
    told = capsys.readouterr().err
    assert "1 of 6 images have 16 bits (such as deep.png)" in told
    assert "1 of 6 images have alpha (such as clear.png)" in told


def test_a_photograph_taken_sideways_is_turned_upright(photographs):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees
    Image.fromarray(data.chelsea()[:64, :96]).save("in/sideways.jpg", exif=exif)
    prepare("in", "out")
    assert cv2.imread("out/gt/sideways.png").shape == (96, 64, 3)
    np.testing.assert_array_equal(
        cv2.imread("out/gt/sideways.png"), cv2.imread("in/sideways.jpg", cv2.IMREAD_COLOR)
    )


def test_lmdbs_can_be_added_later(photographs):
    prepare("in", "out", "--scale", "4")
    made = files("out")
    assert prepare("in", "out", "--scale", "4", "--lmdb") == 0
    prepare("in", "at_once", "--scale", "4", "--lmdb")
    assert files("out") == files("at_once")
    assert files("out").keys() - made.keys() == {
        f"{folder}.lmdb/{name}"
        for folder in ("gt", "lq_x4")
        for name in ("data.mdb", "meta_info.txt")
    }


def test_a_finished_run_only_makes_lost_files_again(photographs):
    prepare("in", "out", "--scale", "4")
    made = files("out")
    for path in Path("out").rglob("*.png"):
        os.utime(path, (0, 0))  # far from now, whatever the file system's resolution
    Path("out/lq_x4/cat.png").unlink()
    assert prepare("in", "out", "--scale", "4") == 0
    assert files("out") == made
    cat = {Path("out/gt/cat.png"), Path("out/lq_x4/cat.png")}
    assert {path for path in Path("out").rglob("*.png") if path.stat().st_mtime} == cat


# A run that is stopped.


FIRST = ("0", "1", "10")  # of twelve photographs, in the order of their names
SETTINGS = ["--scale", "4", "--sub-images", "96", "--step", "72", "--lmdb", "--processes", "2"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with twelve photographs in ``in``, and a complete run's output in ``whole``."""
    root = tmp_path_factory.mktemp("many")
    (root / "in").mkdir()
    for number in range(12):
        save(str(root / f"in/{number}.png"), data.astronaut()[number:, 10 * number :][:320, :320])
    assert prepare(str(root / "in"), str(root / "whole"), *SETTINGS) == 0
    return root


def runs(pid: str) -> bool:
    """Whether a process is running, and not a zombie."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def stop(out: str, number: int) -> int | None:
    """Run prepare in its own process group, and signal it when three are done; its exit code.

    Its workers wait with the others until it stops.
    """
    make, stopping = subimages.make, Path(out, ".stopping")

    def make_some(source: subimages.Source, *rest) -> subimages.Made:
        if source.gt.stem not in FIRST:
            until(stopping.exists)
        return make(source, *rest)

    class Pool(ProcessPoolExecutor):
        """Lets its workers finish once no other work is left."""

        def __init__(self, *settings):
            super().__init__(*settings)
            self.futures = []

        def submit(self, *call):
            self.futures.append(super().submit(*call))
            return self.futures[-1]

        def shutdown(self, *args, **options) -> None:
            threading.Thread(target=self.release).start()
            super().shutdown(*args, **options)

        def release(self) -> None:
            until(lambda: all(future.done() or future.running() for future in self.futures))
            stopping.touch()

    def run() -> None:
        os.setsid()
        subimages.make, file_workers.ProcessPoolExecutor = make_some, Pool
        sys.exit(prepare("in", out, *SETTINGS))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    record = Path(out, FILE)
    enough = 1 + len(FIRST)  # lines
    until(
        lambda: (
            not process.is_alive() or (record.exists() and record.read_text().count("\n") == enough)
        )
    )
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(workers) == 2
    if number == signal.SIGKILL:
        os.kill(process.pid, number)  # the workers get no signal
    else:
        os.killpg(process.pid, number)  # as a terminal does
    process.join()
    stopping.unlink(missing_ok=True)
    until(lambda: not any(map(runs, workers)))  # none outlives the command
    return process.exitcode


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
)
def test_a_stopped_run_continues_and_ends_like_an_uninterrupted_one(
    whole, number, code, monkeypatch
):
    monkeypatch.chdir(whole)
    out = Path(f"out{number}")
    assert stop(str(out), number) == code
    finished = {path: path.stat().st_mtime_ns for path in out.rglob("[!.]*.png")}
    for path in finished:
        assert path.read_bytes() == Path("whole", path.relative_to(out)).read_bytes()
    assert len(finished) < len(list(Path("whole").rglob("*.png")))
    assert not (out / "gt.lmdb").exists()
    if number == signal.SIGINT:
        assert not list(out.rglob(".*"))
    done = [json.loads(line) for line in (out / FILE).read_text().splitlines()[1:]]
    assert prepare("in", str(out), *SETTINGS) == 0
    assert files(str(out)) == files("whole")
    for line in done:
        for name, *_ in line["images"]:
            assert finished[out / "gt" / name] == (out / "gt" / name).stat().st_mtime_ns


def test_a_record_cut_in_the_middle_of_a_line_loses_that_line_only(photographs):
    prepare("in", "out", "--scale", "4")
    made = files("out")
    record = Path("out", FILE)
    record.write_bytes(record.read_bytes()[:-10])
    assert prepare("in", "out", "--scale", "4") == 0
    assert files("out") == made


def test_a_full_disk_is_reported_and_the_run_continues_later(photographs, capsys):
    """Simulated by a limit on file sizes: writing fails at the same place."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        assert prepare("in", "out", "--scale", "4") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot be written (File too large); free space" in capsys.readouterr().err
    assert prepare("in", "out", "--scale", "4") == 0
    assert prepare("in", "expected", "--scale", "4") == 0
    assert files("out") == files("expected")


def test_no_space_for_an_lmdb_is_reported_and_leaves_none_behind(photographs, capsys):
    prepare("in", "out")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32768, limits[1]))
    try:
        assert prepare("in", "out", "--lmdb") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "out/gt.lmdb: cannot be written" in capsys.readouterr().err
    assert not list(Path("out").glob("*lmdb*"))


# What cannot be used.


@pytest.fixture
def refused(capsys):
    """Run prepare, which must fail and write nothing; returns its message."""

    def run(*arguments: str) -> str:
        before = files(".")
        assert prepare(*arguments) == 2
        assert files(".") == before
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("vmambair: ")
        return message

    return run


def test_a_second_run_with_other_settings_is_refused(photographs, refused):
    prepare("in", "out", "--scale", "4", "--sub-images", "64")
    assert "begun with size 64, not 32" in refused(
        "in", "out", "--scale", "4", "--sub-images", "32", "--step", "32"
    )
    assert "begun with smaller [], not [0.5]" in refused(
        "in", "out", "--scale", "4", "--sub-images", "64", "--smaller", "0.5"
    )
    assert "begun with scales [4], not []" in refused("in", "out", "--sub-images", "64")


def test_a_second_run_with_other_images_is_refused(photographs, refused):
    prepare("in", "out")
    shutil.copytree("in", "newer", copy_function=shutil.copy2)
    save("newer/extra.png", data.camera()[:64, :64])
    assert "begun from other images (extra.png is new)" in refused("newer", "out")
    os.rename("in/cat.png", "cat.png")
    assert "begun from other images (cat.png is missing)" in refused("in", "out")
    save("in/cat.png", data.chelsea()[:64, :64])
    assert "begun from other images (cat.png is changed)" in refused("in", "out")


def moved(folder: str, place: str) -> None:
    """Copy a folder as to another machine: the same bytes with other times."""
    shutil.copytree(folder, place, copy_function=shutil.copy2)
    for path in Path(place).iterdir():
        os.utime(path, (0, 0))


def test_a_run_continues_from_copies_of_its_images_with_other_times(photographs, capsys):
    prepare("in", "pairs", "--scale", "2", "--sub-images", "32")
    prepare("pairs/gt", "out", "--lq", "pairs/lq_x2", "--scale", "2")
    moved("pairs/gt", "gt")
    moved("pairs/lq_x2", "lq")
    before = files("out")
    assert prepare("gt", "out", "--lq", "lq", "--scale", "2") == 0
    assert files("out") == before
    path = min(Path("lq").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert prepare("gt", "out", "--lq", "lq", "--scale", "2") == 2
    assert "begun from other images" in capsys.readouterr().err


def test_an_image_that_is_not_done_yet_may_change(photographs):
    prepare("in", "out")
    record = Path("out", FILE)
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if '"done": "cat.png"' not in line))
    save("in/cat.png", data.chelsea()[:64, :64])
    assert prepare("in", "out") == 0
    assert cv2.imread("out/gt/cat.png").shape == (64, 64, 3)


def test_a_record_without_digests_continues_with_the_same_times_only(photographs, capsys):
    prepare("in", "out")
    record = Path("out", FILE)
    head, *lines = map(json.loads, record.read_text().splitlines())
    done = [{key: value for key, value in line.items() if key != "sha256"} for line in lines]
    record.write_text("".join(json.dumps(line) + "\n" for line in [head, *done]))
    assert prepare("in", "out") == 0
    moved("in", "copies")
    assert prepare("copies", "out") == 2
    assert "(camera.png is changed)" in capsys.readouterr().err


def test_a_folder_that_holds_other_things_is_refused(photographs, refused):
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("precious")
    assert "mine: not empty, and not made by vmambair prepare" in refused("in", "mine")
    Path("mine", FILE).write_text("{}\n")
    assert f"{FILE}: damaged" in refused("in", "mine")


def test_input_folders_that_cannot_be_used_are_named(photographs, refused):
    Path("empty").mkdir()
    assert "nowhere: there is no such folder" in refused("nowhere", "out")
    assert "empty: no images in it" in refused("empty", "out")
    assert "in/out: is inside the input folder in" in refused("in", "in/out")
    assert "in: is inside the input folder in" in refused("in", "in")
    save("in/cat.bmp", data.chelsea())
    message = refused("in", "out")
    assert "in/cat.png and cat.bmp would get the same name" in message


@pytest.mark.parametrize(
    ("name", "shown", "reason"),
    [
        (b"two\nlines.png", "two\\nlines.png", "a line break"),
        ("two\u2028lines.png".encode(), "two\\u2028lines.png", "a line break"),
        (b"\xfcber.png", "\\xfcber.png", "bytes that are not UTF-8"),
    ],
)
def test_a_name_that_no_list_can_hold_is_refused_before_anything_is_made(
    photographs, refused, name, shown, reason
):
    shutil.copy("in/cat.png", b"in/" + name)
    assert f"in/{shown}: its name has {reason}" in refused("in", "out")


def test_an_image_with_the_name_of_a_smaller_version_is_named(photographs, refused):
    save("in/cat_0.5.png", data.camera()[:64, :64])
    message = refused("in", "out", "--smaller", "0.5")
    assert "in/cat_0.5.png: would get the same name as cat.png at 0.5 of its size" in message


def test_images_without_a_partner_are_named(photographs, refused):
    shutil.copytree("in", "lq")
    os.rename("lq/cat.png", "lq/dog.png")
    message = refused("in", "out", "--lq", "lq", "--scale", "4")
    assert "in/cat.png: has no partner cat or catx4 in lq" in message
    os.rename("in/cat.png", "cat.png")
    assert "lq/dog.png: has no partner in in" in refused("in", "out", "--lq", "lq")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--scale", "5"], "scale (5,): choose of (2, 3, 4, 8)"),
        (["--lq", "in", "--scale", "2", "--scale", "4"], "scale (2, 4): choose one of (1, 2,"),
        (["--sub-images", "64", "--step", "0"], "with a step of 0"),
        (["--step", "48"], "step and threshold need sub-images; give their size too"),
        (["--scale", "3", "--sub-images", "64"], "must be positive multiples of 3"),
        (["--sub-images", "64", "--step", "-1"], "the threshold 0 or more"),
        (["--smaller", "1"], "--smaller 1: give a fraction of an image's size, below 1"),
        (
            ["--smaller", "0.5", "--smaller", "0.5000001"],
            "--smaller: 2 fractions would be called 0.5; give one of them",
        ),
        (["--lq", "in", "--smaller", "0.5"], "--smaller 0.5: needs its own low-quality images"),
        (["--processes", "0"], "--processes is 0; it must be 1 or more"),
    ],
)
def test_invalid_settings_are_named(photographs, refused, arguments, sentence):
    assert sentence in refused("in", "out", *arguments)


def test_unusable_images_are_named_and_the_others_made(photographs, capsys):
    whole = Path("in/cat.png").read_bytes()
    Path("in/cat.png").write_bytes(whole[: len(whole) // 2])
    Path("in/text.png").write_text("not an image")
    Path("in/Thumbs.db").write_text("not an image either")
    save("in/small.png", data.chelsea()[:40, :80])
    arguments = ["in", "out", "--scale", "4", "--sub-images", "64", "--lmdb"]
    assert prepare(*arguments) == 1
    told = capsys.readouterr().err
    assert "in/cat.png: damaged" in told
    assert "in/text.png: is text, not a picture" in told
    assert "in/small.png: 40 x 80 pixels, and each side needs at least 64" in told
    assert "3 images could not be used" in told
    assert len(list(Path("out/gt").glob("*"))) > 8
    assert not list(Path("out").glob("*.lmdb"))

    Path("in/cat.png").write_bytes(whole)
    Path("in/text.png").unlink(), Path("in/small.png").unlink()
    assert prepare(*arguments) == 0
    assert "not taken from in: Thumbs.db" in capsys.readouterr().err
    assert prepare("in", "expected", *arguments[2:]) == 0
    assert files("out") == files("expected")


def test_a_partner_of_the_wrong_size_is_named(photographs, capsys):
    prepare("in", "made", "--scale", "4")
    save("made/lq_x4/cat.png", data.chelsea()[:20, :20])
    assert prepare("in", "out", "--lq", "made/lq_x4", "--scale", "4") == 1
    told = capsys.readouterr().err
    assert "made/lq_x4/cat.png: 20 x 20 pixels, and its ground truth 108 x 148" in told


def test_pixels_of_other_types_are_refused(photographs, capsys):
    cv2.imwrite("in/float.tif", np.zeros((64, 64), np.float32))
    assert prepare("in", "out") == 1
    assert "float.tif: holds floating-point numbers" in capsys.readouterr().err


def test_an_image_removed_meanwhile_is_named(photographs):
    with pytest.raises(ValueError, match=r"gone.png: cannot be read"):
        read(Path("in/gone.png"))
