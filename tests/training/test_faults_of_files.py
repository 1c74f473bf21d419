"""Full disks, damaged or hostile files: saved work is kept, and the fault is reported."""

import contextlib
import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from support.experiments import load_tensors
from support.trainings import (
    FIRST_VERSION,
    ROOT,
    assert_same,
    log,
    resumes,
    saved,
    train,
    train_once,
    truncate,
)
from vmambair_arch import cli
from vmambair_arch.checkpoints import training_states
from vmambair_arch.option_files import options

# disks


@contextlib.contextmanager
def mounted(*arguments: str):
    """Mount something at the last argument, or skip the test if that is not allowed."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", arguments[-1]], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of sixteen megabytes."""
    (tmp_path / "disk").mkdir()
    with mounted("-t", "tmpfs", "-o", "size=16m", "tmpfs", str(tmp_path / "disk")):
        yield tmp_path / "disk"


def fill(disk: Path, spare: int = 0) -> None:
    """Fill a disk but for a number of bytes."""
    with (disk / "filler").open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(file.tell() - spare)


def test_a_full_disk_keeps_the_last_checkpoint_and_is_retried(small_disk, small, after):
    path = small("logger:use_tb_logger=true", "train:total_iter=6", "val:val_freq=1")
    after(3, lambda: fill(small_disk))
    after(5, lambda: (small_disk / "filler").unlink())
    assert train(path, "--force_yml", f"path:experiments_root={small_disk}") == 0
    root = small_disk / "tiny"
    assert saved(root) == {"2.state", "6.state"}
    assert [json.loads(line)["iter"] for line in (root / "metrics.jsonl").open()] == [*range(1, 7)]
    assert not list(root.glob("*/.*.tmp"))


@pytest.mark.parametrize(("dim", "spare"), [(2, 0), (8, 100_000)], ids=["full", "filling up"])
def test_a_disk_that_stays_full_is_logged_and_fails_only_the_end(
    dim, spare, small_disk, small, after, capsys
):
    """Also if its last bytes are enough for the beginning of a file with large tensors."""
    root = f"path:experiments_root={small_disk}"
    path = small(root, "train:total_iter=6", f"network_g:dim={dim}")
    after(3, lambda: fill(small_disk, spare))
    assert train(path) == 1
    output = capsys.readouterr().err
    assert "Iteration 4 cannot be saved: [Errno 28] No space left on device" in output
    assert "The last good checkpoint is iteration 2's; the next save tries again" in output
    assert "iteration 6 could not be saved" in output.splitlines()[-1]
    assert saved(small_disk / "tiny") == {"2.state"}
    assert not (small_disk / "tiny/models/net_g_4.pth").exists()
    after(3, lambda: None)
    (small_disk / "filler").unlink()
    assert resumes(path)


def test_a_training_goes_on_without_pictures_that_cannot_be_written(
    small_disk, small, after, capsys
):
    path = small(f"path:experiments_root={small_disk}", "train:total_iter=6", "val:val_freq=1")
    after(1, lambda: fill(small_disk))
    after(2, lambda: (small_disk / "filler").unlink())
    forced = ["val:save_img=true", "val:before_after=true"]
    assert train(path, "--force_yml", *forced) == 0
    pictures = (small_disk / "tiny/visualization").rglob("*.*")
    assert sorted(picture.name for picture in pictures) == [
        f"{image}_{iteration}.png" for image in range(6) for iteration in range(2, 7)
    ]
    said = "pictures that cannot be written: 6, the first is "
    assert f"{said}{small_disk}/tiny/visualization/0/0_1.png (No space" in capsys.readouterr().err


def test_a_test_that_cannot_write_its_pictures_measures_all_and_fails(small_disk, small, capsys):
    path = small(f"path:experiments_root={small_disk}")
    opt = yaml.safe_load(Path(path).read_text())
    opt["datasets"] = {"test": opt["datasets"]["val"]}
    opt["path"] = {"results_root": str(small_disk)}
    opt["val"]["save_img"] = True
    Path(path).write_text(yaml.safe_dump(opt))
    fill(small_disk, 16384)  # for the lock, the log and the metrics
    assert cli.basicsr(["test", "-opt", path]) == 1
    error = capsys.readouterr().err
    assert "psnr" in error
    assert "pictures that cannot be written: 6, the first is" in error.splitlines()[-1]
    assert not list(small_disk.rglob("*.png"))


@contextlib.contextmanager
def read_only(*folders: Path):
    """Make folders read-only, even for root."""
    with contextlib.ExitStack() as stack:
        for folder in map(str, folders):
            if os.geteuid():
                os.chmod(folder, 0o555)
                stack.callback(os.chmod, folder, 0o755)
            else:
                stack.enter_context(mounted("--bind", folder, folder))
                subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield


def test_a_folder_that_becomes_read_only_is_logged_and_retried(small, after):
    with contextlib.ExitStack() as stack:
        folders = [ROOT / "models", ROOT / "training_states"]
        after(3, lambda: stack.enter_context(read_only(*folders)))
        after(5, stack.close)
        assert train(small("train:total_iter=6")) == 0
    assert f"{folders[0].absolute()}/net_g_4.pth'. The last good checkpoint is" in log()
    assert saved() == {"2.state", "6.state"}


@pytest.mark.parametrize("name", ["", "models", "training_states"])
def test_a_run_is_not_resumed_where_it_could_not_save(name, two_states, capsys):
    logs = [*ROOT.glob("*.log")]
    with read_only(ROOT / name):
        assert not resumes(two_states)
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert f"{(ROOT / name).absolute()}: nothing can be written to it (" in sentence
    assert [*ROOT.glob("*.log")] == logs


# damaged files


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "experiments"


@pytest.fixture
def two_states(small, cache):
    """An experiment with states at iterations 2 and 4; the option file trains to 6."""
    path = small("train:total_iter=4")
    train_once(path, cache)
    Path(path).write_text(Path(path).read_text().replace("total_iter: 4", "total_iter: 6"))
    return path


def flip(path: Path, place: int | None = None) -> None:
    """Flip a bit at a place, or in the middle of the largest tensor."""
    content = bytearray(path.read_bytes())
    if place is None:
        tensor = max(zipfile.ZipFile(path).infolist(), key=lambda info: info.file_size)
        name, extra = struct.unpack_from("<HH", content, tensor.header_offset + 26)
        place = tensor.header_offset + 30 + name + extra + tensor.file_size // 2
    content[place] ^= 4
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink, empty])
@pytest.mark.parametrize("file", ["training_states/4.state", "models/net_g_4.pth"])
def test_a_damaged_newest_state_is_passed_over(file, damage, two_states):
    damage(ROOT / file)
    assert resumes(two_states)
    assert "iteration 2." in log()
    if (damage, file) != (Path.unlink, "training_states/4.state"):
        assert f"{Path(file).name}: " in log()
        assert "passed over for the state before it" in log()


def test_no_flipped_bit_of_a_state_goes_undetected(two_states):
    """It is detected, or changes nothing: some bytes of a zip file have no meaning."""
    path, place = ROOT / "training_states/4.state", random.Random(0)
    opt = options.read(two_states, is_train=True)
    opt["path"]["resume_state"] = str(path)
    whole, intact = path.read_bytes(), load_tensors(path)
    found = 0
    for _ in range(60):
        flip(path, place.randrange(len(whole)))
        try:
            state, _ = training_states.find(opt)
        except options.InputError:
            found += 1
        else:
            assert_same(state, intact)
        path.write_bytes(whole)
    assert found > 30


def test_without_a_whole_state_training_does_not_start_over(two_states, capsys):
    for path in (ROOT / "training_states").iterdir():
        truncate(path)
    assert train(two_states, "--auto_resume") == 2
    assert "none of its 2 states can be used" in capsys.readouterr().err
    assert len(list(Path("experiments").iterdir())) == 1


def test_the_leftovers_of_a_killed_save_are_removed(two_states):
    half = [ROOT / "models/.net_g_6.pth.123.tmp", ROOT / ".metrics.jsonl.123.0a.tmp"]
    for path in half:
        path.write_bytes(b"half")
    assert resumes(two_states)
    assert not any(path.exists() for path in half)


def test_pruning_keeps_the_newest_and_the_best(small):
    assert train(small("train:total_iter=6", "logger:save_keep_last=1")) == 0
    assert saved() == {"6.state"}
    networks = {path.name for path in (ROOT / "models").iterdir()}
    assert networks == {"net_g_6.pth", "net_g_latest.pth", "net_g_best.pth"}


@pytest.mark.parametrize(("better", "best"), [("higher", 4), ("lower", 2)])
def test_the_best_network_is_chosen_by_the_first_metric(better, best, small):
    metrics = {"psnr": {"type": "calculate_psnr", "crop_border": 4, "better": better}}
    train(small(val={"val_freq": 2, "metrics": metrics}))
    psnr = [json.loads(line)["psnr"] for line in (ROOT / "metrics.jsonl").open()]
    assert psnr[1] > psnr[0]  # it learns
    about = load_tensors(ROOT / "models/net_g_best.pth")["about"]
    assert about["iteration"] == best


class Payload:
    """A pickle of it would create a file when loaded."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize("file", ["training_states/4.state", "models/net_g_4.pth"])
def test_pickled_code_in_a_state_or_its_network_is_not_executed(file, two_states):
    torch.save({"epoch": 0, "iter": 4, "optimizers": Payload(), "schedulers": []}, ROOT / file)
    assert resumes(two_states)
    assert "refused, because reading it would run pickled code" in log()
    assert not Path("executed").exists()


@pytest.mark.parametrize("protocol", [0, 4])
def test_pickled_code_in_the_meta_file_of_an_lmdb_is_not_executed(protocol, small, tmp_path):
    root = tmp_path / "own.lmdb"
    root.mkdir()
    (root / "meta_info.txt").write_bytes(pickle.dumps(Payload(), protocol))
    sections = yaml.safe_load(Path(small()).read_text())["datasets"]
    sections["train"].update(
        dataroot_gt=str(root), dataroot_lq=str(root), io_backend={"type": "lmdb"}
    )
    with contextlib.suppress(UnicodeDecodeError):
        assert train(small(datasets=sections)) == 2
    assert not Path("executed").exists()


def test_a_network_of_the_first_version_with_a_flipped_bit_is_refused(small, capsys):
    shutil.copytree(FIRST_VERSION, "experiments/tiny")
    flip(ROOT / "models/net_g_2.pth")
    path = small("path:resume_state=experiments/tiny/training_states/2.state")
    assert train(path) == 2
    assert "the checksum of" in capsys.readouterr().err
