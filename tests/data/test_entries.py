"""Faulty data sets: a sentence says what was found and what to do."""

import contextlib
import gc
import shutil
import sys
from pathlib import Path

import lmdb
import pytest
from PIL import Image

from support.trainings import train
from vmambair_arch.data import image_lmdb
from vmambair_arch.data.batches import loading
from vmambair_arch.data.data_set_checks import check_data_set, problems
from vmambair_arch.data.entries import Entry, entries
from vmambair_arch.errors import InputError
from vmambair_arch.option_files import options


@pytest.fixture
def data_set(pairs, tmp_path, monkeypatch):
    """Folders gt and lq of six pairs in the working directory; returns the options of the set."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pairs / "gt", "gt")
    shutil.copytree(pairs / "lq", "lq")
    kind = {"type": "PairedImageDataset", "io_backend": {"type": "disk"}}
    return {**kind, "dataroot_gt": "gt", "dataroot_lq": "lq", "scale": 4, "phase": "val"}


def sentences(opt: dict, **changes) -> list[str]:
    return [problem.sentence for problem in problems("val", opt | changes)]


def test_a_root_that_is_a_file_is_named(data_set):
    assert sentences(data_set, dataroot_gt="gt/0.png") == [
        "val.dataroot_gt: gt/0.png is a file; give the folder that holds the images"
    ]


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("JPEG", {})]
)
def test_sizes_of_pairs_are_those_after_turning_upright(form, options, tmp_path):
    """A turned ground truth has a turned size, which training also uses."""
    turned, kind = Image.Exif(), form.lower()
    turned[274] = 8
    for folder, size in (("gt", (32, 48)), ("seen", (12, 8)), ("stored", (8, 12))):
        Path(tmp_path, folder).mkdir()
        exif = {"exif": turned} if folder == "gt" else {}
        Image.new("RGB", size).save(tmp_path / folder / f"0.{kind}", form, **exif, **options)
    opt = {"type": "PairedImageDataset", "io_backend": {"type": "disk"}, "phase": "train"}
    opt |= {"dataroot_gt": str(tmp_path / "gt"), "scale": 4}
    assert sentences(opt, dataroot_lq=str(tmp_path / "seen")) == []
    (sentence,) = sentences(opt, dataroot_lq=str(tmp_path / "stored"))
    assert "lq is 12 x 8 and gt 32 x 48 pixels, which is not 4 times it" in sentence


@pytest.mark.parametrize("name", ["gt.lmdb", "renamed"])
def test_an_lmdb_given_as_a_folder_is_named(name, data_set):
    images = [image_lmdb.LmdbImage(f"{number}.png", 64, 72, 3) for number in range(6)]
    image_lmdb.write(Path("gt.lmdb"), Path("gt"), images)
    Path("gt.lmdb").rename(name)
    assert sentences(data_set, dataroot_gt=name) == [
        f"val.dataroot_gt: {name} is an LMDB; set io_backend.type to lmdb"
    ]


def test_names_with_spaces_in_a_list_are_named(data_set):
    for folder in ("gt", "lq"):
        Path(folder, "0.png").rename(Path(folder, "photo 0.png"))
    Path("meta.txt").write_text("1.png (64,72,3)\nphoto 0.png (64,72,3)\n")
    (sentence,) = sentences(data_set, meta_info_file="meta.txt")
    assert "meta.txt:2: 'photo 0.png' would be read as 'photo': a name ends" in sentence
    Path("meta.txt").write_text("1.png (64,72,3)\n2.png 64 72\n3.png\n")
    assert len(entries("val", data_set | {"meta_info_file": "meta.txt"})) == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"1.png\ncaf\xe9.png\n", "meta.txt:2: not UTF-8; save the file as UTF-8"),
        (b"1.png\n\n2.png\n", "meta.txt:2: an empty line, which would be read as an image; rem"),
        (b"1.png\n \n", "meta.txt:2: an empty line"),
        (b"\xef\xbb\xbf1.png\n", "meta.txt:1: a byte order mark, which would be read as a part"),
    ],
)
def test_lines_of_a_list_that_are_no_names_are_named(content, sentence, data_set):
    """The data sets are BasicSR's, which reads the list in its own way."""
    Path("meta.txt").write_bytes(content)
    single = data_set | {"type": "SingleImageDataset"}
    del single["dataroot_gt"]
    for opt in (data_set, single):
        (found,) = sentences(opt, meta_info_file="meta.txt")
        assert f"val: meta_info_file: {sentence}" in found


def test_pairs_with_different_suffixes_are_named_once_each(data_set):
    for path in sorted(Path("lq").iterdir())[:2]:
        path.rename(path.with_suffix(".jpg"))
    assert sentences(data_set) == [
        f"val: gt/{number}.png has no partner lq/{number}.png, and {number}.jpg has another"
        " suffix; pairs need the same suffix: convert one side"
        for number in range(2)
    ]


def test_no_message_advises_removing_what_has_no_partner(data_set):
    Path("gt/5.png").unlink()
    assert sentences(data_set) == [
        "val: lq/5.png has no partner in gt; add that, or move this elsewhere"
    ]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "gt"), OSError("odd")])
def test_a_folder_that_cannot_be_read_is_named(error, data_set, monkeypatch):
    def refuse(self):
        raise error

    monkeypatch.setattr(Path, "iterdir", refuse)
    (sentence,) = sentences(data_set)
    assert "cannot be read (" in sentence
    assert sentence.endswith("correct the path or its permissions")


def test_what_a_data_set_cannot_read_itself_ends_in_a_sentence(experiment, monkeypatch, capsys):
    """Nothing is known about a video data set before it is built."""

    def build(opt):
        raise NotADirectoryError(20, "Not a directory", "clips/000")

    monkeypatch.setattr(loading, "build_dataset", build)
    assert train(experiment()) == 2
    said = capsys.readouterr().err
    assert "data set train: PairedImageDataset cannot read what it needs" in said
    assert "clips/000" in said


def test_the_name_of_an_lmdb_may_end_in_a_slash(data_set, experiment):
    images = [image_lmdb.LmdbImage(f"{number}.png", 64, 72, 3) for number in range(6)]
    image_lmdb.write(Path("gt.lmdb"), Path("gt"), images)
    small = [image.reduced(4) for image in images]
    image_lmdb.write(Path("lq.lmdb"), Path("lq"), small)
    roots = ["datasets:train:dataroot_gt=gt.lmdb/", "datasets:train:dataroot_lq=lq.lmdb/"]
    forced = [*roots, "datasets:train:io_backend:type=lmdb"]
    opt = options.read(experiment(), is_train=True, overrides=forced)
    found = entries("train", opt["datasets"]["train"])
    assert len(found) == 6
    assert all(isinstance(entry, Entry) for entry in found)


def calls(opt: dict) -> int:
    """The number of function calls, builtins included, while a data set is listed and checked."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        with contextlib.suppress(InputError):
            check_data_set("val", opt)
    finally:
        sys.setprofile(None)
    return count


def in_lmdb(number: int) -> dict:
    content = Path("gt/0.png").read_bytes()
    root = Path(f"{number}.lmdb")
    with lmdb.open(str(root), map_size=2**26) as environment, environment.begin(write=True) as put:
        for index in range(number):
            put.put(str(index).encode(), content)
    lines = [f"{index}.png (64,72,3) 1\n" for index in range(number)]
    (root / "meta_info.txt").write_text("".join(lines))
    return {"dataroot_gt": str(root), "dataroot_lq": str(root), "io_backend": {"type": "lmdb"}}


def in_a_list(number: int) -> dict:
    lines = [f"missing/{index}.png (64,72,3)\n" for index in range(number)]
    Path("meta.txt").write_text("".join(lines))
    return {"meta_info_file": "meta.txt"}


@pytest.mark.parametrize(("listed", "most"), [(in_lmdb, 30), (in_a_list, 60)])
def test_a_million_lines_are_checked_in_seconds(listed, most, data_set):
    """Judged by the cost of one more line."""
    once, twice = (calls(data_set | {"scale": 1} | listed(number)) for number in (100, 300))
    assert (twice - once) / 200 < most


def test_no_cycles_are_sought_amid_a_million_lines(data_set, monkeypatch):
    """The search took most of the time; one begins every 700 new objects or so."""
    opt, searches = data_set | {"scale": 1} | in_lmdb(3000), []
    monkeypatch.setattr(gc, "callbacks", [])
    gc.callbacks.append(lambda phase, about: searches.append(phase))
    found = entries("val", opt)
    paths = image_lmdb.paired_paths([opt["dataroot_lq"], opt["dataroot_gt"]], ["lq", "gt"])
    assert len(found) == len(paths) == 3000
    assert len(searches) <= 4 and gc.isenabled()  # between the two, and after them


@pytest.mark.parametrize("kind", ["DegradationDataset", "RealESRGANDataset"])
def test_ground_truths_to_be_degraded_are_checked_whatever_their_size(data_set, kind):
    Path("list.txt").write_text("0.png (64,72,3)\nbelow/gone.png (64,72,3)\n")
    opt = {**data_set, "type": kind, "phase": "train", "gt_size": 4096, "meta_info": "list.txt"}
    assert [entry.gt for entry in entries("train", opt)] == ["gt/0.png", "gt/below/gone.png"]
    (problem,) = problems("train", opt)
    assert "gt/below/gone.png" in problem.sentence


def test_a_degradation_data_set_without_a_list_has_all_images_below_its_folder(data_set):
    Path("gt/below").mkdir()
    Path("gt/0.png").rename("gt/below/0.png")
    opt = {**data_set, "type": "DegradationDataset", "phase": "train"}
    names = [entry.name for entry in entries("train", opt)]
    assert len(names) == 6 and names[-1] == "below/0.png"
    assert not list(problems("train", opt))


def test_listed_pairs_are_checked_line_by_line(data_set):
    Path("list.txt").write_text("0.png, 0.png\n1.png, 2.png.bak\n3.png,3.png\n")
    opt = {**data_set, "type": "RealESRGANPairedDataset", "meta_info": "list.txt"}
    assert entries("train", opt)[0] == Entry("0.png", "lq/0.png", "gt/0.png")
    unreadable, unpaired = sorted(problem.sentence for problem in problems("train", opt))
    assert "lq/2.png.bak" in unreadable
    assert "list.txt:3: '3.png,3.png' is not two paths, GT, LQ" in unpaired
