"""LMDBs return what was put in and train as folders do; faulty ones are named."""

import shutil
from pathlib import Path

import cv2
import lmdb
import pytest
import torch
from basicsr.data import build_dataset
from basicsr.utils import FileClient
from basicsr.utils.lmdb_util import make_lmdb_from_imgs

from support.experiments import load_tensors
from vmambair_arch import cli
from vmambair_arch.data import image_lmdb
from vmambair_arch.data.image_lmdb import LmdbImage
from vmambair_arch.errors import InputError

# Sorted with suffixes, as in folders, a-b.png comes before a.png; and BasicSR cuts at dots.
NAMES = ["a.png", "a-b.png", "my.photo.png", "my.photo.2.png", "Bild (1) ü.png", "z.png"]


@pytest.fixture
def folders(pairs, tmp_path) -> Path:
    """The pairs under difficult names, as folders and as LMDBs."""
    for side in ("gt", "lq"):
        (tmp_path / "data" / side).mkdir(parents=True)
        images = []
        for number, name in enumerate(NAMES):
            path = Path(
                shutil.copy(pairs / side / f"{number}.png", tmp_path / "data" / side / name)
            )
            images.append(LmdbImage(name, *cv2.imread(str(path)).shape))
        root = tmp_path / "data"
        image_lmdb.write(root / f"{side}.lmdb", root / side, images)
    return tmp_path / "data"


def client(root: Path) -> FileClient:
    return FileClient("lmdb", db_paths=[str(root)], client_keys=["gt"])


def section(root: Path, backend: str) -> dict:
    """A data set's section that reads the pairs from folders or from LMDBs."""
    ending = ".lmdb" if backend == "lmdb" else ""
    return {
        "name": backend,
        "type": "PairedImageDataset",
        "dataroot_gt": str(root / f"gt{ending}"),
        "dataroot_lq": str(root / f"lq{ending}"),
        "io_backend": {"type": backend},
    }


def test_reading_returns_what_was_written_byte_for_byte(folders):
    reader = client(folders / "gt.lmdb")
    for name in NAMES:
        data = (folders / "gt" / name).read_bytes()
        assert reader.get(str(folders / "gt.lmdb" / name), "gt") == data
        assert reader.get(name.removesuffix(".png"), "gt") == data


def test_training_from_lmdb_equals_training_from_folders(folders, experiment):
    weights = []
    for backend in ("disk", "lmdb"):
        train = {"gt_size": 32, "use_hflip": True, "use_rot": True, "batch_size_per_gpu": 2}
        data_sets = {
            "train": {**section(folders, backend), **train, "num_worker_per_gpu": 0},
            "val": section(folders, backend),  # both open the same LMDBs
        }
        assert cli.basicsr(["train", "-opt", experiment(backend, datasets=data_sets)]) == 0
        weights.append(load_tensors(f"experiments/{backend}/models/net_g_4.pth"))
        lines = Path(f"experiments/{backend}/metrics.jsonl").read_text().splitlines()
        weights[-1]["psnr"] = [line.split('"psnr"')[1] for line in lines]
    assert weights[0]["psnr"] == weights[1]["psnr"]
    for name, tensor in weights[0]["params"].items():
        if isinstance(tensor, torch.Tensor):
            assert torch.equal(tensor, weights[1]["params"][name])


def test_both_give_the_same_pairs_in_the_same_order(folders):
    disk, stored = (
        build_dataset({**section(folders, backend), "phase": "val", "scale": 4})
        for backend in ("disk", "lmdb")
    )
    names = [Path(path["gt_path"]).name for path in disk.paths]
    assert sorted(names) == sorted(NAMES)
    assert names == [Path(path["gt_path"]).name for path in stored.paths]
    for one, other in zip(disk, stored, strict=True):
        assert torch.equal(one["lq"], other["lq"])
        assert torch.equal(one["gt"], other["gt"])


# What RealESRGANDataset needs in its constructor.
KERNELS = ("blur_kernel_size", "kernel_list", "kernel_prob", "blur_sigma", "betag_range")
KERNELS = (*KERNELS, "betap_range", "sinc_prob")
DEGRADATIONS = [key + second for key in KERNELS for second in ("", "2")] + ["final_sinc_prob"]


def test_every_data_set_of_basicsr_that_reads_lmdbs_finds_names_with_dots(folders):
    root = str(folders / "gt.lmdb")
    common = {"name": "x", "phase": "val", "scale": 1, "io_backend": {"type": "lmdb"}}
    single = build_dataset({"type": "SingleImageDataset", "dataroot_lq": root, **common})
    faces = {"mean": [0.5] * 3, "std": [0.5] * 3, "use_hflip": False, "dataroot_gt": root}
    face = build_dataset({"type": "FFHQDataset", **faces, **common})
    degraded = build_dataset(
        {"type": "RealESRGANDataset", **dict.fromkeys(DEGRADATIONS), "dataroot_gt": root, **common}
    )
    assert single.paths == face.paths == degraded.paths
    assert sorted(Path(path).name for path in single.paths) == sorted(NAMES)
    for index, name in enumerate(Path(path).name for path in single.paths):
        assert single[index]["lq"].shape == face[index]["gt"].shape
        if name == "my.photo.2.png":
            expected = cv2.imread(str(folders / "gt" / name))[..., ::-1] / 255.0
            assert abs(single[index]["lq"].permute(1, 2, 0).numpy() - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("kind", "side"), [("PairedImageDataset", "lq"), ("PairedImageDataset", "gt"), ("", "lq")]
)
def test_the_path_of_an_image_in_an_lmdb_is_that_of_its_file(folders, kind, side):
    """BasicSR uses the bare key; both lead to the image, also for names with dots."""
    paired = {**section(folders, "lmdb"), "phase": "val", "scale": 4}
    single = {**paired, "type": "SingleImageDataset"}
    single.pop("dataroot_gt")
    data_set = build_dataset(paired if kind else single)
    images = [data_set[index] for index in range(len(NAMES))]
    root = folders / f"{side}.lmdb"
    assert {image[f"{side}_path"] for image in images} == {str(root / name) for name in NAMES}
    for image in images:
        name = Path(image[f"{side}_path"]).name
        content = (folders / side / name).read_bytes()
        for place in (image[f"{side}_path"], name.removesuffix(".png")):
            assert client(root).get(place, "gt") == content


def test_lmdbs_that_basicsr_wrote_are_read(pairs, tmp_path):
    names = [f"{number}.png" for number in range(6)]
    keys = [str(number) for number in range(6)]
    make_lmdb_from_imgs(str(pairs / "gt"), str(tmp_path / "host.lmdb"), names, keys)
    images = image_lmdb.check(tmp_path / "host.lmdb")
    assert [image.line() for image in images.values()] == [
        f"{number}.png (64,72,3)" for number in range(6)
    ]


# What is wrong with an LMDB.

REMEDY = "make the LMDB again from its images"


def fails(check) -> str:
    with pytest.raises(InputError) as error:
        check()
    message = str(error.value)
    assert "gt.lmdb" in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("length", [0, 100, 4096, 8192, 20_000, -4096, -1])
def test_a_truncated_lmdb_is_named_before_it_can_end_the_process(folders, length):
    data = folders / "gt.lmdb" / "data.mdb"
    content = data.read_bytes()
    data.write_bytes(content[:length])
    assert REMEDY in fails(lambda: image_lmdb.check(folders / "gt.lmdb"))
    assert "data.mdb" in fails(lambda: client(folders / "gt.lmdb"))


@pytest.mark.parametrize("data_set", ["train", "val"])
def test_training_on_a_truncated_lmdb_is_refused_in_a_sentence(
    folders, experiment, capsys, data_set
):
    data = folders / "gt.lmdb" / "data.mdb"
    data.write_bytes(data.read_bytes()[:-4096])
    crops = {"gt_size": 32, "use_hflip": True, "use_rot": True}
    train = {**crops, "batch_size_per_gpu": 2, "num_worker_per_gpu": 0}
    stored, read = section(folders, "lmdb"), section(folders, "disk")
    single = {**stored, "type": "SingleImageDataset", "dataroot_lq": stored["dataroot_gt"]}
    del single["dataroot_gt"]
    options = experiment(
        datasets={
            "train": {**(stored if data_set == "train" else read), **train},
            "val": read if data_set == "train" else single,
        },
        **({} if data_set == "train" else {"val": {"val_freq": 2}}),
    )
    assert cli.basicsr(["train", "-opt", options]) == 2
    assert "gt.lmdb: data.mdb is truncated" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("experiments").exists()


def test_an_lmdb_without_its_files_is_named(folders):
    root = folders / "gt.lmdb"
    (root / "data.mdb").rename(folders / "data.mdb")
    assert "there is no data.mdb in it" in fails(lambda: image_lmdb.check(root))
    (root / "meta_info.txt").unlink()
    assert "not an LMDB of BasicSR" in fails(lambda: image_lmdb.check(root))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a.png (64,72,3) 1\nz.png 64x72\n", "meta_info.txt:2: 'z.png 64x72' is not of the form"),
        ("a.png (64,72,3) 1\na.jpg (64,72,3) 1\n", "meta_info.txt:2: the key 'a' appears twice"),
        ("", "an LMDB without images"),
        ("a.png (64,72,3) 1\nnone.png (64,72,3) 1\n", "none.png is not in data.mdb"),
    ],
)
def test_meta_information_that_does_not_fit_is_named(folders, text, sentence):
    (folders / "gt.lmdb" / "meta_info.txt").write_text(text)
    message = fails(lambda: image_lmdb.check(folders / "gt.lmdb"))
    assert sentence in message
    assert REMEDY in message


def test_pairs_with_different_keys_are_named(folders):
    text = (folders / "gt.lmdb" / "meta_info.txt").read_text()
    (folders / "gt.lmdb" / "meta_info.txt").write_text(text.replace("z.png", "y.png"))
    roots = [str(folders / "lq.lmdb"), str(folders / "gt.lmdb")]
    message = fails(lambda: image_lmdb.paired_paths(roots, ["lq", "gt"]))
    assert message.startswith("'y' is in only one of")


def put(root: Path, key: str, value: bytes) -> None:
    with lmdb.open(str(root), map_size=2**24) as environment, environment.begin(write=True) as t:
        t.put(key.encode(), value)


def test_an_entry_that_is_not_an_image_is_named(folders):
    put(folders / "gt.lmdb", "my.photo", b"\0" * 5000)
    message = fails(lambda: image_lmdb.check(folders / "gt.lmdb"))
    assert "my.photo.png is not an image" in message


def test_a_broken_page_is_named(folders):
    put(folders / "gt.lmdb", "my.photo", b"\0" * 5000)  # in pages whose number follows the key
    data = folders / "gt.lmdb" / "data.mdb"
    head, *rest = data.read_bytes().split(b"my.photo")
    data.write_bytes(b"my.photo".join([head, *(b"\xff" * 7 + piece[7:] for piece in rest)]))
    message = fails(lambda: image_lmdb.check(folders / "gt.lmdb"))
    assert "data.mdb is damaged at my.photo.png" in message and REMEDY in message
    reader = client(folders / "gt.lmdb")
    assert message == fails(lambda: reader.get(str(folders / "gt.lmdb" / "my.photo.png"), "gt"))


def test_a_list_of_images_that_is_not_text_is_named(folders):
    (folders / "gt.lmdb" / "meta_info.txt").write_bytes(b"\xff\xfe\0")
    assert "meta_info.txt:1: " in fails(lambda: image_lmdb.check(folders / "gt.lmdb"))


@pytest.mark.parametrize("part", ["flipped", "cut"])
def test_damage_inside_an_image_is_named_when_it_is_read(folders, part):
    data = bytearray((folders / "gt" / "z.png").read_bytes())
    data[len(data) // 2] ^= 1
    put(folders / "gt.lmdb", "z", bytes(data) if part == "flipped" else bytes(data[:-8]))
    image_lmdb.check(folders / "gt.lmdb")
    reader = client(folders / "gt.lmdb")
    message = fails(lambda: reader.get(str(folders / "gt.lmdb" / "z.png"), "gt"))
    assert "the bytes of z.png are damaged" in message


def test_a_missing_key_is_named_when_it_is_read(folders):
    reader = client(folders / "gt.lmdb")
    assert "none.png is not in data.mdb" in fails(
        lambda: reader.get(str(folders / "gt.lmdb" / "none.png"), "gt")
    )
