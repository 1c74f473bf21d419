"""vmambair restore and vmambair_arch.restore: what is read, what is written, what is refused."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from basicsr.utils.matlab_functions import imresize
from PIL import Image
from safetensors.torch import load_file
from skimage import data
from torch import nn

from support import forks, picture_files as files
from support.patience import PATIENCE, until
from vmambair_arch import (
    Chain,
    Restorer,
    VmambaIR,
    cli,
    load_network,
    restore,
    save_network,
    weights,
)
from vmambair_arch.app.networks import list_choices
from vmambair_arch.commands.restore import batch_restore, plan
from vmambair_arch.commands.restore.progress import RestoreProgress
from vmambair_arch.errors import InputError, StoppedError
from vmambair_arch.networks.presets import PRESETS
from vmambair_arch.ops import stamps
from vmambair_arch.restoring import resizing
from vmambair_arch.restoring.files import writing
from vmambair_arch.system import memory, signals

WEIGHTS = sorted(Path(weights.__file__).parent.glob("*.safetensors"))


@pytest.fixture
def folder(empty_folder):
    """An empty folder to run in, with the networks x1.safetensors and x4.safetensors."""
    for scale in (1, 4):
        save_network(files.identity(scale), f"x{scale}.safetensors")
    return Path()


def picture(path: str, kind: str = "RGB", **size) -> np.ndarray:
    pixels = files.noise(kind, **size)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def run(*arguments: str) -> int:
    return cli.vmambair(["restore", *arguments, "-m", "x1.safetensors"])


def large(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(4, 0).repeat(4, 1)


# from the command line


def test_a_file_is_restored_to_the_named_file(folder, capsys):
    pixels = picture("a.png")
    assert cli.vmambair(["restore", "a.png", "-o", "b.png", "-m", "x4.safetensors"]) == 0
    assert np.array_equal(np.asarray(Image.open("b.png")), large(pixels))
    told = capsys.readouterr().out
    assert "b.png: 33 x 20 to 132 x 80 pixels" in told and "s per megapixel" in told
    assert "1 of 1 pictures restored" in told


def test_folders_patterns_and_files_go_to_a_folder(folder):
    for name in ("in/a.png", "in/deep/er/b.tif", "in/.hidden.png", "x1.bmp", "x2.bmp", "y.jpg"):
        picture(name)
    (folder / "in" / "notes.txt").write_text("not a picture")
    assert run("in", "x?.bmp", "y.jpg", "-o", "out", "--suffix", "_new") == 0
    written = {str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file()}
    assert written == {"a_new.png", "deep/er/b_new.tif", "x1_new.bmp", "x2_new.bmp", "y_new.jpg"}


def test_brackets_in_the_name_of_a_patterns_folder_are_its_own(folder):
    for name in ("[2024] trip/a.png", "2/c.png", "3/d.png"):
        picture(name)
    assert plan.expanded(["[2024] trip/*.png"]) == ["[2024] trip/a.png"]
    here = Path.cwd()
    assert plan.expanded([f"{here}/[2024] trip/?.png"]) == [f"{here}/[2024] trip/a.png"]
    assert plan.expanded(["[2-3]/*.png"]) == ["2/c.png", "3/d.png"]


def test_a_picture_given_twice_is_restored_once(folder, capsys):
    picture("in/a.png")
    assert run("in/a.png", "in/*.png", "in", "./in/../in/a.png", "-o", "out") == 0
    assert run("in/a.png", "in/*.png", "-o", "b.png") == 0
    assert capsys.readouterr().out.count("1 of 1 pictures restored") == 2


def test_an_output_folder_inside_the_input_is_not_an_input(folder):
    picture("in/a.png")
    assert run("in", "-o", "in/out") == 0
    assert run("in", "-o", "in/out", "--overwrite") == 0
    assert [path.name for path in Path("in/out").iterdir()] == ["a.png"]


def test_standard_input_and_output_are_supported(folder):
    Path("in").write_bytes(files.encoded(files.noise("RGB"), "BMP"))
    command = ["restore", "-", "-o", "-", "-m", "x4.safetensors"]
    assert forks.run(forks.VMAMBAIR, *command, streams=("in", "out", "err")) == 0
    image = Image.open("out")
    assert image.format == "BMP"
    assert np.array_equal(np.asarray(image), large(files.noise("RGB")))
    assert "1 of 1 pictures restored" in Path("err").read_text()


def test_another_format_can_be_chosen(folder):
    pixels = picture("in/a.bmp")
    assert run("in", "-o", "out", "--format", "tiff") == 0
    assert np.array_equal(np.asarray(Image.open("out/a.tif")), pixels)


def test_a_file_is_read_by_content_and_written_by_suffix(folder):
    (folder / "a.png").write_bytes(files.encoded(files.noise("RGB"), "JPEG"))
    assert run("a.png", "-o", "out") == 0
    assert Image.open("out/a.png").format == "PNG"
    assert np.array_equal(np.asarray(Image.open("out/a.png")), np.asarray(Image.open("a.png")))


def test_a_jpeg_that_is_named_like_a_heic_becomes_the_png_that_its_name_says(folder):
    (folder / "a.HEIC").write_bytes(files.encoded(files.noise("RGB"), "JPEG"))
    assert run("a.HEIC", "-o", "out") == 0
    assert [path.name for path in Path("out").iterdir()] == ["a.png"]
    assert Image.open("out/a.png").format == "PNG"


def test_bad_files_are_reported_at_the_end_and_the_others_are_restored(folder, capsys):
    for name in ("a.png", "c.png"):
        picture(f"in/{name}")
    Path("in/b.png").write_bytes(Path("in/a.png").read_bytes()[:-20])
    Path("in/notes.txt").write_text("no picture")
    assert run("in/*", "-o", "out") == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "c.png"]
    told = capsys.readouterr()
    assert "in/b.png: damaged" in told.err and "2 of 4 pictures restored" in told.out
    assert "in/notes.txt: is text, not a picture" in told.err


def test_a_picture_whose_name_has_no_suffix_keeps_its_format(folder):
    picture("a.png")
    Path("a.png").rename("photo")
    assert run("photo", "-o", "out") == 0
    assert Image.open("out/photo").format == "PNG"


def test_running_out_of_memory_for_one_picture_is_reported_and_the_others_are_restored(
    folder, capsys, monkeypatch
):
    picture("in/a.png")
    picture("in/b.png", height=30)
    check = writing.check

    def fail(picture, form, **options):
        if len(picture.pixels) == 30:
            raise MemoryError
        check(picture, form, **options)

    monkeypatch.setattr(writing, "check", fail)
    assert run("in", "-o", "out") == 1
    assert [path.name for path in Path("out").iterdir()] == ["a.png"]
    assert "in/b.png: not enough memory" in capsys.readouterr().err


def test_a_dangling_link_is_reported(folder, capsys):
    picture("in/a.png")
    Path("in/b.png").symlink_to("nowhere.png")
    assert run("in", "-o", "out") == 1
    assert "in/b.png: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["ein Bild/日本 ü.png", "-o.png", "[a]*.png", os.fsdecode(b"\xff\n.png"), 251 * "a" + ".png"],
    ids=["spaces and scripts", "dash", "pattern", "no text", "long"],
)
def test_names_of_any_kind_are_accepted(folder, name, capsys):
    picture(f"in/{name}")
    assert run(f"in/{name}", "-o", "out") == 0
    assert run("in", "-o", "mein out") == 0
    assert Path("mein out", name).is_file() and Path("out", Path(name).name).is_file()
    assert "1 of 1 pictures restored" in capsys.readouterr().out


def test_a_name_that_begins_with_a_dash_follows_two_dashes(folder):
    picture("-a.png")
    assert cli.vmambair(["restore", "-o", "out", "-m", "x1.safetensors", "--", "-a.png"]) == 0
    assert Path("out/-a.png").is_file()


def test_a_name_that_is_too_long_is_refused_before_anything_is_computed(folder, capsys):
    assert run(300 * "a" + ".png", "-o", "out") == 2
    assert "name too long" in capsys.readouterr().err


def test_links_to_folders_are_not_followed_and_a_folder_that_is_a_link_is_read(folder):
    picture("in/a.png")
    Path("in/loop").symlink_to(".")
    Path("link").symlink_to("in")
    assert run("link", "-o", "out") == 0
    assert [path.name for path in Path("out").rglob("*")] == ["a.png"]


def test_a_full_disk_is_reported_and_leaves_no_partial_file(folder, capsys, monkeypatch):
    picture("a.png")

    def fail(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert run("a.png", "-o", "out") == 1
    assert not any(Path("out").iterdir())
    assert "a.png: cannot be written" in capsys.readouterr().err


def test_existing_files_are_kept(folder, capsys):
    pixels = picture("a.png")
    picture("b.png", "L")
    before = Path("b.png").read_bytes()
    assert run("a.png", "-o", "b.png") == 2
    assert run("a.png", "b.png", "-o", ".") == 2  # here an input is the existing file
    assert Path("b.png").read_bytes() == before
    assert "b.png exists already" in capsys.readouterr().err
    assert run("a.png", "-o", "b.png", "--skip-existing") == 0
    assert Path("b.png").read_bytes() == before
    assert run("a.png", "-o", "b.png", "--overwrite") == 0
    assert np.array_equal(np.asarray(Image.open("b.png")), pixels)


def test_skip_existing_continues_an_interrupted_run(folder, capsys):
    for name in ("a.png", "b.png"):
        picture(name)
    assert run("a.png", "-o", ".", "--suffix", "_new") == 0
    assert run(".", "-o", ".", "--suffix", "_new", "--skip-existing") == 0
    assert sorted(path.name for path in Path().glob("*.png")) == [
        *("a.png", "a_new.png", "b.png", "b_new.png")
    ]
    assert "1 of 1 pictures restored" in capsys.readouterr().out


def test_overwriting_restores_no_result_of_an_earlier_run(folder):
    for _ in range(3):
        picture("in/a.png")
        assert run("in", "-o", "in", "--suffix", "_new", "--overwrite") == 0
    assert sorted(path.name for path in Path("in").iterdir()) == ["a.png", "a_new.png"]


def test_outscale_resizes_the_result(folder):
    pixels = picture("a.png", "RGBA", height=40, width=30)
    arguments = ["restore", "a.png", "-o", "b.png", "-m", "x4.safetensors", "--outscale", "1.5"]
    assert cli.vmambair(arguments) == 0
    assert np.asarray(Image.open("b.png")).shape == (60, 45, 4)
    assert np.array_equal(Restorer("x4.safetensors", outscale=4)(pixels), large(pixels))


@pytest.mark.parametrize("size", [(7, 90), (50, 33), (131, 200), (1, 1)])
@pytest.mark.parametrize("kind", ["L", "RGBA"])
def test_resizing_by_strips_equals_resizing_at_once(kind, size, monkeypatch):
    pixels = files.noise(kind, height=64, width=70)
    whole = resizing.resized(pixels, *size)
    if kind == "L":
        floats = Image.fromarray(pixels.astype(np.float32))
        expected = np.asarray(floats.resize(size[::-1], Image.Resampling.LANCZOS))
        assert np.abs(whole - expected.clip(0, 255)).max() <= 0.501
    monkeypatch.setattr(resizing, "STRIP", 500)
    strips = resizing.resized(pixels, *size)
    assert np.abs(strips.astype(int) - whole).max() <= 1  # where halves are rounded


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.png", "-o", "out"], "none.png: there is no such file"),
        (["*.gif", "-o", "out"], "*.gif: there is no such file"),
        (["empty", "-o", "out"], "empty: no pictures in it"),
        (["a.png", "a.bmp", "-o", "out", "--format", "png"], "both become out"),
        (
            ["a.png", "-o", "out.jpg", "--format", "png"],
            "suffix of JPEG, but --format is png",
        ),
        (["a.png", "a.bmp", "-o", "out.png"], "one file for several pictures"),
        (["in", "-o", "out.png"], "one file for the pictures of in"),
        (["-", "-o", "out"], "give a file, or -"),
        (["films", "-o", "out"], "; left out of the folders: 1 .mp4; give videos by their names"),
        (["", "-o", "out"], "IN is empty"),
        (["a.png", "-o", ""], "--output is empty"),
        (["a.png", "-o", "out.gif"], ".gif cannot be written"),
        (["a.png", "-o", "out", "--suffix", "/x"], "--suffix is /x: it is appended to names"),
        (["a.png", "-o", "out", "--suffix", "x/"], "--suffix is x/: it is appended to names"),
        (["a.png", "-o", "a.bmp/out"], "a.bmp/out: cannot be written to"),
        (["a.png", "-o", "/proc/out"], "/proc/out: cannot be written to"),
        (["a.png", "-o", "out", "--tile", "32"], "tile is 32"),
        (["a.png", "-o", "out", "--overlap", "-1"], "overlap is -1"),
        (["a.png", "-o", "out", "--outscale", "0"], "outscale is 0"),
        (["a.png", "-o", "out", "--outscale", "inf"], "outscale is inf"),
        (["a.png", "-o", "out", "--memory", "0"], "memory is 0"),
        (["a.png", "-o", "out", "--device", "abacus"], "device abacus cannot be used"),
        (["a.png", "-o", "out", "--quality", "0"], "--quality is 0"),
        (["a.png", "-o", "out", "--jobs", "0"], "--jobs is 0"),
        (["a.png", "-o", "out", "--threads", "100000"], "--threads is 100000; it must be 1 to"),
        (["a.png", "-o", "out", "--max-megapixels", "nan"], "--max-megapixels is nan"),
        (["a.png", "-o", "out", "--max-megapixels", "-1"], "--max-megapixels is -1"),
    ],
)
def test_invalid_input_is_refused_before_anything_is_written(folder, arguments, sentence, capsys):
    for name in ("empty", "films"):
        (folder / name).mkdir()
    (folder / "films" / "a.mp4").write_bytes(b"a film")
    for name in ("a.png", "a.bmp", "in/c.png"):
        picture(name)
    assert run(*arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_picture_with_the_suffix_of_another_kind_gets_that_of_its_own(folder):
    picture("a.png")
    Path("a.png").rename("a.gif")
    assert run("a.gif", "-o", "out") == 0
    assert [path.name for path in Path("out").iterdir()] == ["a.png"]


def test_a_picture_larger_than_the_limit_is_refused(folder, capsys):
    picture("a.png")
    assert run("a.png", "-o", "out", "--max-megapixels", "0.0001") == 1
    assert "more than the limit" in capsys.readouterr().err


# vmambair restore that never ends: the fourth picture waits for a signal, and says so.
ENDLESS = """
import sys, time
from vmambair_arch import cli
from vmambair_arch.commands.restore import batch_restore

restore, begun = batch_restore._restore, []

def wait(*arguments):
    begun.append(arguments)
    while len(begun) > 3:
        open("waiting", "w").close()
        time.sleep(0.01)
    return restore(*arguments)

batch_restore._restore = wait
sys.exit(cli.vmambair(["restore", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_leave_only_finished_files(folder, number, code):
    for name in range(6):
        picture(f"in/{name}.png")
    process = forks.start(ENDLESS, "in", "-o", "out", "-m", "x4.safetensors")
    until(lambda: Path("waiting").exists() and len(list(Path("out").glob("*.png"))) == 3)
    os.kill(process.pid, number)
    process.join(PATIENCE)
    errors = Path("err.txt").read_text()
    assert "stopped" in errors and "Traceback" not in errors
    assert process.exitcode == code
    assert "3 of 6 pictures restored" in Path("out.txt").read_text()
    left = sorted(Path("out").iterdir())
    assert [path.name for path in left] == ["0.png", "1.png", "2.png"]
    for path in left:
        Image.open(path).load()


def test_sigterm_is_not_taken_for_a_failure_of_what_it_interrupts():
    with pytest.raises(StoppedError), signals.sigterm_as_exception():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception:
            pytest.fail("such as: a trial of bfloat16 failed")


def test_a_process_that_ignores_sigterm_by_the_end_of_a_command_goes_on_ignoring_it():
    before = signal.getsignal(signal.SIGTERM)
    try:
        with signals.sigterm_as_exception():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as in joining, before it is reported
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_pictures_are_read_ahead_and_written_in_the_background(folder, monkeypatch):
    read, write = batch_restore._read, batch_restore._write
    two_reads, next_picture = threading.Barrier(2, timeout=PATIENCE), threading.Event()

    def read_with_another(job, **options):
        two_reads.wait()
        return read(job, **options)

    def write_beside_the_next(*arguments):
        assert next_picture.wait(PATIENCE)
        return write(*arguments)

    monkeypatch.setattr(batch_restore, "_read", read_with_another)
    monkeypatch.setattr(batch_restore, "_write", write_beside_the_next)
    for number in range(4):
        picture(f"in/{number}.png")
    jobs, done = plan.plan(["in"], "out"), []
    batch_restore.restore(
        *(jobs, Restorer("x1.safetensors")),
        prefetch=2,
        quality=95,
        max_megapixels=1,
        begin=lambda job, megapixels: None,
        progress=lambda job, share: next_picture.set() if job is jobs[1] else None,
        report=done.append,
    )
    assert [each.job.source for each in done] == [job.source for job in jobs]


# the model


def test_a_preset_is_looked_for_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match="realsr_x4: its weights are not in"):
        Restorer("realsr_x4")
    (tmp_path / "vmambair").mkdir()
    save_network(files.identity(4), tmp_path / "vmambair" / "realsr_x4.pth")
    assert Restorer("realsr_x4").scale == 4


def test_a_user_without_a_home_folder_restores(monkeypatch, tmp_path):
    """As with docker run --user N, without HOME and without an entry in /etc/passwd."""

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert not stamps.folder().is_absolute()
    assert Restorer(device="cpu").scale == 4
    with pytest.raises(InputError, match=r"save them as ~/.cache/vmambair/realsr_x4.safetensors"):
        Restorer("realsr_x4")


def test_a_misspelt_preset_is_an_error_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'realsr_x4'"):
        Restorer("realsr_x2")


@pytest.mark.parametrize("file", WEIGHTS, ids=lambda path: path.stem)
def test_a_bundled_network_is_small_float16_and_has_a_purpose(file):
    assert file.stem in weights.PURPOSES
    assert file.stat().st_size < 2 * 2**20
    kinds = {tensor.dtype for tensor in load_file(file).values()}
    assert kinds <= {torch.float16, torch.float32, torch.uint8}  # rates, and the configuration
    assert Restorer(file.stem).network.config == load_network(file).config


def test_every_purpose_has_its_network():
    assert sorted(weights.PURPOSES) == [path.stem for path in WEIGHTS]


@pytest.fixture
def bundled_derain(tmp_path, monkeypatch):
    """A bundled network with the name of a preset."""
    (tmp_path / "bundled").mkdir()
    (tmp_path / "bundled/__init__.py").touch()
    save_network(files.identity(1), tmp_path / "bundled/derain.safetensors")
    purposes = {weights.DEFAULT: "enlarges", "derain": "takes rain away"}
    monkeypatch.setattr(weights, "PURPOSES", purposes)
    monkeypatch.setattr(weights.resources, "files", lambda package: tmp_path / "bundled")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_bundled_network_may_have_the_name_of_a_preset(bundled_derain, caplog, capsys):
    Path("derain").mkdir()  # for example, a folder of pictures
    assert Restorer("derain").network.config == files.identity(1).config
    assert not caplog.records
    with pytest.raises(InputError, match=r"bundled network \(.*derain\) nor a preset \([^)]*w2\)"):
        Restorer("drain")
    assert PRESETS["derain"]["num_blocks"] == (3, 5, 7, 9)
    assert cli.vmambair(["convert", "derain", "out.pth"]) == 2
    assert (
        "options are inferred from its blocks" in capsys.readouterr().err
    )  # it was found, but has no weights
    labels = [choice.label for choice in list_choices([])]
    assert labels == [weights.DEFAULT, "derain"]


def test_the_weights_of_a_preset_hidden_by_a_bundled_network_are_named(bundled_derain, caplog):
    Path("cache/vmambair").mkdir(parents=True)
    other = Path("cache/vmambair/derain.pth").absolute()
    save_network(files.identity(4), other)
    assert Restorer("derain").scale == 1 and Restorer(other).scale == 4
    assert f"derain is the bundled network; for the preset's give -m {other}" in caplog.text
    assert [choice.model for choice in list_choices(["derain"])] == [
        *("derain", weights.DEFAULT, str(other))
    ]


def test_models_lists_the_bundled_networks_and_their_purposes(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.vmambair(["restore", "--models"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    for line, (name, purpose) in zip(lines, weights.PURPOSES.items(), strict=True):
        assert line.startswith(name) and purpose in line
    assert [line for line in lines if line.endswith("(the default)")] == [
        line for line in lines if line.startswith(weights.DEFAULT)
    ]


class _Reads:
    """Counts how often files of tensors are read."""

    def __init__(self, monkeypatch):
        self.count = 0
        monkeypatch.setattr(torch, "load", self._counting(torch.load))
        monkeypatch.setattr(safetensors.torch, "load", self._counting(safetensors.torch.load))

    def _counting(self, load):
        def count(*args, **kwargs):
            self.count += 1
            return load(*args, **kwargs)

        return count


@pytest.mark.parametrize("model", ["x4.pth", "x4.safetensors", "trained.pth", "x4.yml"])
def test_a_checkpoint_is_read_once(folder, model, monkeypatch):
    network = files.identity(4)
    save_network(network, "x4.pth")
    content = {key: t for key, t in network.state_dict().items() if key != "_extra_state"}
    section = {"type": "VmambaIR", **network.config}
    options = {"options": {"network_g": section}}
    torch.save({"params": content, "about": options}, "trained.pth")
    opt = {"network_g": section, "path": {"pretrain_network_g": "x4.pth"}}
    Path("x4.yml").write_text(yaml.safe_dump(opt))
    picture("a.png")
    reads = _Reads(monkeypatch)
    assert cli.vmambair(["restore", "a.png", "-o", "b.png", "-m", model]) == 0
    assert reads.count == 1


@pytest.mark.parametrize(
    "command", [["card", "x4.pth", "--name", "a"], ["convert", "x4.pth", "released.safetensors"]]
)
def test_other_commands_read_a_checkpoint_once(folder, command, monkeypatch):
    save_network(VmambaIR(dim=4, num_blocks=(1, 1, 1, 1), scale=4, gate="gelu"), "x4.pth")
    reads = _Reads(monkeypatch)
    assert cli.vmambair(command) == 0
    assert reads.count == 1


def test_a_file_takes_precedence_over_a_bundled_network_of_the_same_name(folder):
    (folder / weights.DEFAULT).write_bytes(b"no network")
    with pytest.raises(InputError, match=weights.DEFAULT):
        Restorer(weights.DEFAULT)


def test_without_a_model_the_bundled_network_enlarges_better_than_bicubic():
    gt = data.astronaut()[:192, 130:322] / 255.0
    lq = imresize(gt, 1 / 4).clip(0, 1)
    bicubic, output = imresize(lq, 4).clip(0, 1), restore(lq)
    assert ((output - gt) ** 2).mean() < 0.7 * ((bicubic - gt) ** 2).mean()


# from Python


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
def test_an_array_keeps_its_kind_and_values(shape, dtype):
    rng = np.random.default_rng(0)
    if np.issubdtype(dtype, np.integer):
        image = rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype)
    else:
        image = rng.random(shape).astype(dtype)
    output = restore(image, files.identity(4), tile=48)
    assert output.dtype == dtype
    assert np.allclose(output, large(image), rtol=0, atol=1e-7)


@pytest.mark.parametrize("mode", ["I", "F", "CMYK", "YCbCr", "LAB", "HSV"])
def test_pil_images_of_other_modes_are_refused_with_what_to_do(mode):
    with pytest.raises(InputError, match=f"mode {mode} is not supported; convert it to"):
        restore(Image.new(mode, (8, 8)), files.identity())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "I;16"])
def test_a_pil_image_keeps_its_kind_and_profile(mode):
    if mode == "I;16":
        image = Image.fromarray(files.noise("L", np.uint16))
    elif mode == "PA":
        image = Image.merge("LA", Image.fromarray(files.noise("LA")).split())
        image.putpalette(bytes(range(256)) * 3)
    else:
        image = Image.fromarray(files.noise("RGBA" if "A" in mode.upper() else "RGB")).convert(mode)
    image.info["icc_profile"] = files.ICC
    output = restore(image, files.identity(4))
    assert output.mode == {"1": "L", "P": "RGB", "PA": "RGBA", "RGBa": "RGBA"}.get(mode, mode)
    expected = image.convert(output.mode) if output.mode != mode else image
    assert np.array_equal(np.asarray(output), large(np.asarray(expected)))
    assert output.info["icc_profile"] == files.ICC


def test_arrays_that_are_not_pictures_are_refused():
    restorer = Restorer(files.identity())
    with pytest.raises(InputError, match="the picture is a str"):
        restorer("photo.jpg")
    for value in (255.0, np.nan, -np.inf):
        with pytest.raises(InputError, match="finite floats in"):
            restorer(np.full((5, 5), value))
    slightly = restorer(np.full((5, 5), 1.01))  # as after resizing
    assert (slightly == 1).all()
    for shape, kind in (((5, 5), int), ((5, 5), bool), ((5, 5, 6), np.uint8), ((0, 5), np.uint8)):
        with pytest.raises(InputError, match="the picture is"):
            restorer(np.zeros(shape, kind))
    for x in (torch.zeros(3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)):
        with pytest.raises(InputError, match="x is torch"):
            restorer.restore_tensor(x)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, ">u2", ">f4"])
def test_arrays_of_unusual_dtypes_and_layouts_are_restored(dtype):
    image = files.noise("RGBA")
    image = (image / 255).astype(dtype) if np.dtype(dtype).kind == "f" else image.astype(dtype)
    image = np.asfortranarray(image)[::-1, ::2]
    image.flags.writeable = False
    output = restore(image, files.identity(2))
    assert output.dtype == image.dtype
    assert np.allclose(output, image.repeat(2, 0).repeat(2, 1), rtol=0, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_of_tensors_are_restored(channels):
    x = torch.rand(2, channels, 70, 45)
    y = Restorer(files.identity(2), tile=48).restore_tensor(x)
    expected = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)


def test_colour_channels_pass_through_a_grey_network_one_by_one():
    network = files.identity(2, in_channels=1, out_channels=1)
    image = files.noise("RGB")
    assert np.array_equal(restore(image, network), image.repeat(2, 0).repeat(2, 1))
    with pytest.raises(InputError, match="takes 6"):
        restore(image, files.identity(in_channels=6, out_channels=6))


def test_a_result_that_memory_cannot_hold_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 10_000)
    for network, outscale in ((files.identity(4), None), (files.identity(1), 4)):
        with pytest.raises(InputError, match="the result takes"):
            restore(files.noise("RGB"), network, tile=48, outscale=outscale)
    monkeypatch.setattr(memory, "free", lambda device: 50_000)
    restore(files.noise("RGB"), files.identity(4), tile=48)  # 31,680 bytes
    with pytest.raises(InputError, match="the result takes"):
        restore(files.noise("RGB"), files.identity(4), tile=48, strength=0.5)


def test_the_time_remaining_does_not_count_failed_pictures(folder, capsys):
    for name in ("a.png", "b.png", "c.png"):
        picture(name)
    jobs = plan.plan(["a.png", "b.png", "c.png"], "out")
    told = RestoreProgress(jobs)
    told.report(batch_restore.Done(jobs[0], failure="damaged"))
    told.advance(jobs[1], 1.0)
    told.report(batch_restore.Done(jobs[1], (20, 33), (20, 33), 0.1))
    told.advance(jobs[2], 1.0)
    assert told.passed == pytest.approx(3 * 20 * 33 / 1e6)
    told.report(batch_restore.Done(jobs[2], failure="cannot be written"))
    assert told.passed == pytest.approx(3 * 20 * 33 / 1e6)
    assert told.summary() == 1


@pytest.mark.parametrize("options", [{"tile": 48}, {"tile": 48, "pool": "global"}, {}])
@pytest.mark.parametrize("kind", ["L", "RGBA"])
def test_progress_ends_at_one(options, kind):
    shares = []
    restorer = Restorer(files.identity(2, num_refinement_blocks=1), **options)
    restorer(files.noise(kind, height=100, width=90), progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1 and shares.count(1) == 1
    assert len(shares) > 10


def test_progress_within_a_whole_picture_follows_the_networks_layers():
    class Layers(nn.Module):
        scale = 1

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 9, 1), nn.Conv2d(9, 3, 3, padding=1)

        def forward(self, x):
            at.append(shares[-1] if shares else 0)
            return self.second(self.first(x)).sigmoid()

    shares, at = [], []
    Restorer(Layers())(files.noise("RGB", height=90, width=70), progress=shares.append)
    assert shares == pytest.approx([1 / 10, 0.999, 1])
    shares.clear(), at.clear()
    Restorer(Layers(), ensemble=True)(files.noise("RGB", height=70), progress=shares.append)
    assert at[-8:] == pytest.approx([n / 8 for n in range(8)])
    assert len(shares) == 17


def test_reporting_progress_does_not_change_the_result():
    network = VmambaIR(dim=4, num_blocks=[1, 1, 0, 0], num_refinement_blocks=1, d_state=2)
    image = files.noise("RGB", height=100, width=90)
    for options in ({}, {"tile": 64, "pool": "global"}):
        restorer = Restorer(network, **options)
        told = restorer(image, progress=lambda share: None)
        assert np.array_equal(told, restorer(image))
        assert np.array_equal(told, Restorer(network, **options)(image))
        assert not any(module._forward_hooks for module in network.modules())


def test_an_exception_raised_by_progress_ends_the_work():
    network = VmambaIR(dim=4, num_blocks=[1, 0, 0, 0], num_refinement_blocks=0, d_state=2)
    seen = []

    def stop(share):
        seen.append(share)
        if share > 0.3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        Restorer(network)(files.noise("RGB"), progress=stop)
    assert 0.3 < seen[-1] < 0.9
    assert not any(module._forward_hooks for module in network.modules())


def test_the_bar_counts_pictures_of_unknown_size_once_they_are_read(folder, capsys):
    picture("a.png")
    stream, known = plan.RestoreJob(None, Path("x.png"), None), plan.plan(["a.png"], "out")[0]
    told = RestoreProgress([stream, known])
    assert told.bar.total == pytest.approx(20 * 33 / 1e6)
    told.begin(stream, 2.0)
    assert told.bar.total == pytest.approx(2 + 20 * 33 / 1e6)
    told.advance(stream, 0.25)
    told.advance(stream, 1.0)
    assert told.passed == 2
    told.summary()


class Bicubic(nn.Module):
    """A network that enlarges like a real one: neighbouring pixels mix."""

    def forward(self, x):
        return nn.functional.interpolate(x, scale_factor=4, mode="bicubic")


@pytest.mark.parametrize("outscale", [4, 3])
def test_colours_hidden_under_alpha_leave_no_fringe(outscale):
    image = np.zeros((24, 24, 4), np.uint8)  # black where it is transparent
    image[8:16, 8:16] = (255, 40, 0, 255)
    image[7, 8:16] = (255, 40, 0, 90)
    output = Restorer(Bicubic(), outscale=outscale)(image).astype(int)
    visible = output[output[..., 3] > 8]
    assert len(visible) > 300
    assert np.abs(visible[:, :3] - (255, 40, 0)).max() <= 2
    assert (output[:8, :8] == 0).all()


def test_alpha_is_unchanged_at_scale_1_and_restored_above():
    class Dark(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.scale = scale

        def forward(self, x):
            return nn.functional.interpolate(x, scale_factor=self.scale) / 2

    image = files.noise("LA")
    assert np.array_equal(restore(image, Dark(1))[..., 1], image[..., 1])
    assert np.abs(restore(image, Dark(2))[::2, ::2, 1] - image[..., 1] / 2.0).max() <= 0.5


# several networks, and strength


def test_several_networks_run_one_after_the_other(folder):
    pixels = picture("a.png")
    save_network(files.identity(2), "x2.safetensors")
    models = ["-m", "x2.safetensors", "-m", "x4.safetensors"]
    assert cli.vmambair(["restore", "a.png", "-o", "out.png", *models]) == 0
    expected = np.kron(pixels, np.ones((8, 8, 1), np.uint8))
    assert np.array_equal(np.asarray(Image.open("out.png")), expected)
    size = ["--outscale", "3"]
    assert cli.vmambair(["restore", "a.png", "-o", "third.png", *size, *models]) == 0
    assert Image.open("third.png").size == (3 * pixels.shape[1], 3 * pixels.shape[0])


def test_nothing_is_rounded_between_two_networks():
    class Times(nn.Module):
        def __init__(self, factor: float):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return self.factor * x

    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(Chain([Times(0.1), Times(10)])(image), image)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, Image.Image])
def test_a_chain_keeps_a_pictures_kind_and_reports_progress(kind):
    pixels = files.noise("RGB", kind if kind != Image.Image else np.uint8)
    image = Image.fromarray(pixels) if kind is Image.Image else pixels
    shares = []
    result = Chain([files.identity(2), files.identity()])(image, progress=shares.append)
    assert type(result) is type(image)
    assert shares == sorted(shares) and shares[-1] == 1
    assert np.array_equal(np.asarray(result), pixels.repeat(2, 0).repeat(2, 1))


def test_several_networks_and_pictures_of_other_kinds_are_asked_for_properly():
    with pytest.raises(InputError, match=r"give one network, .*several: Chain"):
        Restorer(["clean", "tiny_x4"])  # pyright: ignore[reportArgumentType]
    for nothing in ([], "clean"):
        with pytest.raises(InputError, match="give a list of one or more"):
            Chain(nothing)
    for outscale in (0, -1):
        with pytest.raises(InputError, match=f"outscale is {outscale}; it must be"):
            Chain([files.identity()], outscale=outscale)
    with pytest.raises(InputError, match="the picture is int32"):
        Chain([files.identity()])(np.zeros((4, 4), np.int32))


@pytest.mark.parametrize("scale", [1, 2])
def test_strength_goes_from_the_plain_enlargement_to_the_network(scale):
    pixels = np.asarray(Image.fromarray(data.astronaut()).resize((20, 16)))
    plain = 255 * imresize(pixels / 255, scale).clip(0, 1)  # equal except at the borders
    network = files.identity(scale)
    full = restore(pixels, network).astype(float)
    none = restore(pixels, network, strength=0).astype(float)
    part = restore(pixels, network, strength=0.25)
    inside = (slice(4, -4), slice(4, -4))
    assert np.abs(none - plain)[inside].max() <= 0.51
    assert np.abs(part - (0.75 * none + 0.25 * full)).max() <= 1
    chain = Chain([network, files.identity()], strength=0)
    assert np.array_equal(chain(pixels), none)


def test_a_strength_outside_0_to_1_is_refused(folder, capsys):
    picture("a.png")
    assert run("a.png", "-o", "out.png", "--strength", "1.5") == 2
    assert "strength is 1.5; it must be a number from 0 to 1" in capsys.readouterr().err
