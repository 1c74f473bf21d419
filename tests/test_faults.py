"""What goes wrong in a long run costs nothing, or is said: disks, images, workers, signals, NaN."""

import contextlib
import functools
import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from basicsr.utils.registry import LOSS_REGISTRY
from conftest import load_tensors, tiny_network
from test_resume import FIRST_VERSION, GAN, MODELS, assert_same

from vmambair_arch import cli, options, states
from vmambair_arch.models.saving import Saving
from vmambair_arch.progress import Progress

L1 = LOSS_REGISTRY.get("L1Loss")
TINY = tiny_network(dim=2, d_state=1, num_blocks=[1, 0, 0, 0])
ROOT = Path("experiments/tiny")


@pytest.fixture
def after(monkeypatch):
    """Do something in the process of a training when an iteration has ended."""
    todo, done = {}, Progress.done

    def do_too(self, model, epoch, iteration):
        done(self, model, epoch, iteration)
        if iteration in todo:
            todo[iteration]()

    monkeypatch.setattr(Progress, "done", do_too)
    return todo.__setitem__


@pytest.fixture
def small(experiment):
    """Write an option file of a tiny network; overrides as in --force_yml."""

    def write(*overrides: str, model: str = "VmambaIRModel", **sections) -> str:
        sections = {"network_g": TINY, **MODELS[model], **sections, "model_type": model}
        if "GAN" in model:
            sections["network_d"] = GAN["network_d"]
        path = experiment(**sections)
        opt = yaml.safe_load(Path(path).read_text())
        if "GAN" in model:
            opt["train"].update(GAN["gan"])
        for override in overrides:
            keys, value = override.split("=")
            *parents, last = keys.split(":")
            functools.reduce(dict.__getitem__, parents, opt)[last] = yaml.safe_load(value)
        Path(path).write_text(yaml.safe_dump(opt))
        return path

    return write


def train(path: str, *arguments: str) -> int:
    return cli.basicsr(["train", "-opt", path, *arguments])


def log(root: Path = ROOT) -> str:
    """All that the logs of an experiment say."""
    return "".join(path.read_text() for path in sorted(root.glob("*.log")))


def saved(root: Path = ROOT) -> set[str]:
    return {path.name for path in root.glob("training_states/*")}


def resumes(path: str, *arguments: str) -> bool:
    return train(path, "--auto_resume", *arguments) == 0


# disks


@contextlib.contextmanager
def mounted(*arguments: str):
    """Mount something at the last argument, or skip the test where that is not allowed."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", arguments[-1]], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes."""
    (tmp_path / "disk").mkdir()
    with mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path / "disk")):
        yield tmp_path / "disk"


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_keeps_the_last_checkpoint_and_is_retried(small_disk, small, after):
    path = small("logger:use_tb_logger=true", "train:total_iter=6", "val:val_freq=1")
    after(3, lambda: fill(small_disk))
    after(5, lambda: (small_disk / "filler").unlink())
    assert train(path, "--force_yml", f"path:experiments_root={small_disk}") == 0
    root = small_disk / "tiny"
    assert saved(root) == {"2.state", "6.state"}
    assert [json.loads(line)["iter"] for line in (root / "metrics.jsonl").open()] == [*range(1, 7)]
    assert not list(root.glob("*/.*.tmp"))


def test_a_disk_that_stays_full_is_said_and_fails_the_end_only(small_disk, small, after, capsys):
    path = small(f"path:experiments_root={small_disk}", "train:total_iter=6")
    after(3, lambda: fill(small_disk))
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


@contextlib.contextmanager
def read_only(*folders: Path):
    """Make folders read-only, for root too."""
    with contextlib.ExitStack() as stack:
        for folder in map(str, folders):
            if os.geteuid():
                os.chmod(folder, 0o555)
                stack.callback(os.chmod, folder, 0o755)
            else:
                stack.enter_context(mounted("--bind", folder, folder))
                subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield


def test_a_folder_that_becomes_read_only_is_said_and_retried(small, after):
    with contextlib.ExitStack() as stack:
        folders = [ROOT / "models", ROOT / "training_states"]
        after(3, lambda: stack.enter_context(read_only(*folders)))
        after(5, stack.close)
        assert train(small("train:total_iter=6")) == 0
    assert "Iteration 4 cannot be saved" in log()
    assert saved() == {"2.state", "6.state"}


# damaged files


@pytest.fixture
def two_states(small):
    """An experiment with states at iterations 2 and 4; the option file trains to 6."""
    path = small("train:total_iter=4")
    train(path)
    Path(path).write_text(Path(path).read_text().replace("total_iter: 4", "total_iter: 6"))
    return path


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, place: int | None = None) -> None:
    """Flip a bit at a place, or amid the largest of the tensors."""
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


def test_no_flipped_bit_of_a_state_goes_unseen(two_states):
    """It is found, or changes nothing: some bytes of a zip file mean nothing."""
    path, place = ROOT / "training_states/4.state", random.Random(0)
    opt = options.read(two_states, is_train=True)
    opt["path"]["resume_state"] = str(path)
    whole, intact = path.read_bytes(), load_tensors(path)
    found = 0
    for _ in range(60):
        flip(path, place.randrange(len(whole)))
        try:
            state, _ = states.find(opt)
        except options.InputError:
            found += 1
        else:
            assert_same(state, intact)
        path.write_bytes(whole)
    assert found > 30


def test_without_any_whole_state_nothing_starts_anew(two_states, capsys):
    for path in (ROOT / "training_states").iterdir():
        truncate(path)
    assert train(two_states, "--auto_resume") == 2
    assert "none of its 2 states can be used" in capsys.readouterr().err
    assert len(list(Path("experiments").iterdir())) == 1


def test_the_rest_of_a_save_that_was_killed_is_cleared_away(two_states):
    rest = ROOT / "models/.net_g_6.pth.123.tmp"
    rest.write_bytes(b"half")
    assert resumes(two_states)
    assert not rest.exists()


def test_pruning_keeps_the_newest_and_the_best(small):
    assert train(small("train:total_iter=6", "logger:save_keep_last=1")) == 0
    assert saved() == {"6.state"}
    networks = {path.name for path in (ROOT / "models").iterdir()}
    assert networks == {"net_g_6.pth", "net_g_latest.pth", "net_g_best.pth"}


@pytest.mark.parametrize(("better", "best"), [("higher", 4), ("lower", 2)])
def test_the_best_network_is_that_of_the_first_metric(better, best, small):
    metrics = {"psnr": {"type": "calculate_psnr", "crop_border": 4, "better": better}}
    train(small(val={"val_freq": 2, "metrics": metrics}))
    psnr = [json.loads(line)["psnr"] for line in (ROOT / "metrics.jsonl").open()]
    assert psnr[1] > psnr[0]  # it learns
    about = load_tensors(ROOT / "models/net_g_best.pth")["about"]
    assert about["iteration"] == best


class Payload:
    """A pickle of it would create a file when it is loaded."""

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


# images


@pytest.fixture
def spoilt(pairs, small):
    """An option file whose second training image can be spoilt while training runs."""

    def write(*overrides: str) -> tuple[str, Path]:
        shutil.copytree(pairs, "own", dirs_exist_ok=True)
        sides = [f"datasets:train:dataroot_{side}=own/{side}" for side in ("gt", "lq")]
        return small(*sides, "train:total_iter=8", *overrides), Path("own/gt/1.png")

    return write


@pytest.mark.parametrize("damage", [truncate, Path.unlink])
@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_used_is_named_and_replaced(damage, workers, spoilt, after):
    path, image = spoilt(
        "datasets:train:dataset_enlarge_ratio=200", f"datasets:train:num_worker_per_gpu={workers}"
    )
    after(1, lambda: damage(image))
    assert train(path) == 0
    assert "Replaced by the next image: own/lq/1.png and own/gt/1.png: " in log()
    state = load_tensors(ROOT / "training_states/8.state")
    assert state["processes"][0]["failures"] > 0


def test_too_many_of_them_end_the_run_with_the_list(spoilt, after, capsys):
    path, image = spoilt()
    after(1, lambda: truncate(image))
    assert train(path) == 1
    message = capsys.readouterr().err
    assert "1 of 6 samples of an epoch could not be used, more than 1%" in message
    assert "own/gt/1.png" in message.splitlines()[-1]
    shutil.copy(image.with_name("0.png"), image)
    assert resumes(path)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_that_vanishes_ends_the_run(workers, spoilt, after, capsys):
    path, image = spoilt(
        "datasets:train:dataset_enlarge_ratio=1000", f"datasets:train:num_worker_per_gpu={workers}"
    )
    after(1, lambda: shutil.rmtree("own"))
    assert train(path) == 1
    assert "FileNotFoundError" in capsys.readouterr().err.splitlines()[-1]


# workers and signals


def test_a_worker_that_dies_is_an_error_and_not_a_hang(small, after, capsys):
    path = small("datasets:train:num_worker_per_gpu=1", "train:total_iter=50")
    after(2, lambda: [os.kill(child.pid, signal.SIGKILL) for child in children()])
    assert train(path, "--force_yml", "logger:save_checkpoint_freq=1000") == 1
    assert "DataLoader worker (pid(s)" in capsys.readouterr().err.splitlines()[-1]
    assert len(saved()) == 1
    assert resumes(path, "--force_yml", "train:total_iter=8")


def children() -> list:
    return multiprocessing.active_children()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_after_its_iteration_with_a_state(number, code, small, after):
    after(1, lambda: os.kill(os.getpid(), number))
    assert train(small()) == code
    assert saved() == {"1.state"}
    assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)


def test_a_second_sigint_stops_at_once(small):
    code = (
        "import os, signal, vmambair_arch.plugin\n"
        "from vmambair_arch import cli\n"
        "from vmambair_arch.progress import Progress\n"
        "Progress.done = lambda *_: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]\n"
        f"cli.basicsr(['train', '-opt', {small()!r}])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert ended.returncode == -signal.SIGINT
    assert saved() == set()


def test_a_signal_during_validation_ends_it_and_resuming_does_it_again(small, monkeypatch):
    from basicsr.models.sr_model import SRModel

    train(small())
    whole = results()
    visuals = SRModel.get_current_visuals

    def stop(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return visuals(self)

    monkeypatch.setattr(SRModel, "get_current_visuals", stop)
    path = small()
    assert train(path) == 143
    assert not (ROOT / "metrics.jsonl").exists()
    assert load_tensors(ROOT / "training_states/2.state")["validation_due"]
    monkeypatch.setattr(SRModel, "get_current_visuals", visuals)
    assert resumes(path)
    assert_same(whole, results())


def results() -> dict:
    """The last state, the networks and the metrics of an experiment."""
    files = {path.name: load_tensors(path) for path in ROOT.glob("models/*.pth")}
    lines = [json.loads(line) for line in (ROOT / "metrics.jsonl").open()]
    metrics = [(line["iter"], line["psnr"]) for line in lines]
    return {**files, "state": load_tensors(ROOT / "training_states/4.state"), "metrics": metrics}


@pytest.mark.parametrize("method", ["save_network", "save_training_state"])
def test_a_signal_during_a_save_lets_it_end(method, small, monkeypatch):
    save = getattr(Saving, method)

    def stop(self, *args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)
        save(self, *args, **kwargs)

    path = small("val:val_freq=100")
    monkeypatch.setattr(Saving, method, stop)
    assert train(path) == 143
    assert saved() == {"2.state"}
    monkeypatch.setattr(Saving, method, save)
    assert resumes(path)


def failing(at, what, monkeypatch) -> None:
    """Let the L1 loss do something else at some of its calls."""
    forward, calls = L1.forward, [0]

    def forward_or_fail(self, *args):
        calls[0] += 1
        loss = forward(self, *args)
        return what(loss) if calls[0] in at else loss

    monkeypatch.setattr(L1, "forward", forward_or_fail)


def crash(_) -> None:
    raise RuntimeError("out of memory")


def test_an_exception_leaves_the_state_of_the_iteration_before(small, monkeypatch):
    train(small(model="SwinIRModel"))  # it draws random numbers before it fails
    whole = results()
    failing([3], crash, monkeypatch)
    path = small(model="SwinIRModel")
    with pytest.raises(RuntimeError, match="out of memory"):
        train(path, "--force_yml", "logger:save_checkpoint_freq=1000")
    assert saved() == {"2.state"}
    failing([], crash, monkeypatch)
    assert resumes(path)
    assert_same(whole, results())


def test_an_exception_amid_a_step_leaves_no_state(small, monkeypatch):
    loss = LOSS_REGISTRY.get("GANLoss")
    forward = loss.forward

    def fail_at_the_discriminator(self, *args, is_disc=False, **kwargs):
        return crash(self) if is_disc else forward(self, *args, is_disc=is_disc, **kwargs)

    monkeypatch.setattr(loss, "forward", fail_at_the_discriminator)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(small(model="SRGANModel"))
    assert saved() == set()
    assert "No state is written: iteration 1 failed amid a step" in log()


# steps that are not finite


def not_finite(loss: torch.Tensor) -> torch.Tensor:
    return loss + float("inf")  # its gradients are finite


@pytest.mark.parametrize("model", ["VmambaIRModel", "SRModel", "SRGANModel"])
def test_a_loss_that_is_not_finite_changes_no_weight(model, small, monkeypatch):
    failing([2], not_finite, monkeypatch)
    path = small("train:total_iter=2", "logger:save_checkpoint_freq=1", model=model)
    assert train(path) == 0
    for path in (ROOT / "models").glob("net_?_1.pth"):
        one, two = load_tensors(path), load_tensors(path.with_name(path.name.replace("1", "2")))
        assert_same(one["params"], two["params"])
        assert_same(one.get("params_ema"), two.get("params_ema"))
    steps = [load_tensors(ROOT / f"training_states/{n}.state")["optimizers"] for n in (1, 2)]
    assert_same(steps[0][0]["state"], steps[1][0]["state"])
    assert "Iteration 2 skipped: the loss cri_pix is inf; 1 so far; its images: " in log()
    assert "gt/5.png" in log() or "gt/0.png" in log()


def test_a_gradient_that_is_not_finite_changes_no_weight(small, monkeypatch):
    """The loss is finite, and so are most gradients."""

    def poison(loss: torch.Tensor) -> torch.Tensor:
        loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss

    failing([2], poison, monkeypatch)
    train(small("train:total_iter=2", "logger:save_checkpoint_freq=1"))
    one, two = (load_tensors(ROOT / f"models/net_g_{n}.pth") for n in (1, 2))
    assert_same(one["params"], two["params"])
    assert_same(one["params_ema"], two["params_ema"])
    assert "skipped: the gradient norm of optimizer_g is nan" in log()


def test_ten_steps_in_a_row_end_the_run(small, monkeypatch, capsys):
    failing(range(3, 100), lambda loss: loss * float("nan"), monkeypatch)
    assert train(small("train:total_iter=50", "val:val_freq=100")) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "iteration 12: the loss cri_pix is nan, the tenth step in a row" in message
    assert "the last good checkpoint is iteration 2's" in message
    assert load_tensors(ROOT / "training_states/10.state")["skipped"] == (8, 8)


def test_a_network_of_the_first_version_with_a_flipped_bit_is_refused(small, capsys):
    shutil.copytree(FIRST_VERSION, "experiments/tiny")
    flip(ROOT / "models/net_g_2.pth")
    path = small("path:resume_state=experiments/tiny/training_states/2.state")
    assert train(path) == 2
    assert "the checksum of" in capsys.readouterr().err
