"""vmambair restore counts what it leaves out, and does not mistake a file's name for a folder."""

from pathlib import Path

import pytest

from support import picture_files as files
from vmambair_arch import cli, save_network
from vmambair_arch.commands.restore import videos
from vmambair_arch.errors import InputError


@pytest.fixture
def folder(empty_folder):
    """A folder to run in, with a network, in/a.png and b.png."""
    save_network(files.identity(1), "x1.safetensors")
    Path("in/deeper").mkdir(parents=True)
    for path in ("in/a.png", "b.png"):
        Path(path).write_bytes(files.encoded(files.noise("RGB"), "PNG"))


def run(*arguments: str) -> int:
    return cli.vmambair(["restore", *arguments, "-m", "x1.safetensors"])


@pytest.mark.parametrize("name", ["b.psd", "b.CR2", "deeper/b.gif", "b.mp4", "deeper/b.mkv"])
def test_pictures_and_videos_left_out_are_counted_and_set_the_exit_code(folder, capsys, name):
    Path("in", name).touch()
    Path("in/notes.txt").touch()
    assert run("in", "-o", "out") == 1
    told = capsys.readouterr().err
    assert f"1 {Path(name).suffix.lower()}" in told and "1 .txt" in told
    assert "left out of the folders" in told and "convert other pictures" in told
    assert Path("out/a.png").is_file()


def test_other_files_left_out_are_only_counted(folder, capsys):
    for name in ("Thumbs.db", "x.txt", "y.txt", "README", ".hidden.psd", "out/old.psd"):
        Path("in", name).parent.mkdir(exist_ok=True)
        Path("in", name).touch()
    assert run("in", "-o", "in/out") == 0
    told = capsys.readouterr().err
    assert "left out of the folders: 2 .txt, 1 .db, 1 without a suffix\n" in told.replace(
        "1 without a suffix, 1 .db", "1 .db, 1 without a suffix"
    )


def test_many_kinds_are_not_all_named(folder, capsys):
    for number in range(20):
        Path(f"in/a.kind{number}").touch()
    assert run("in", "-o", "out") == 0
    assert capsys.readouterr().err.count(".kind") == 8


@pytest.mark.parametrize("name", ["out.gif", "out.PDF", "out.mp4", "out.psd", "out.zip", "out.txt"])
def test_a_name_with_the_suffix_of_another_format_is_not_a_folder(folder, capsys, name):
    assert run("b.png", "-o", name) == 2
    told = capsys.readouterr().err
    assert f"{name}: {Path(name).suffix.lower()} cannot be written" in told
    assert f"{name}/ for a folder" in told and not Path(name).exists()


@pytest.mark.parametrize("name", ["out.gif/", "v1.2", "out.final", "results_x4.0", "there.gif"])
def test_a_slash_an_existing_folder_and_other_dots_mean_a_folder(folder, name):
    Path("there.gif").mkdir()
    assert run("b.png", "-o", name) == 0
    assert Path(name, "b.png").is_file()


@pytest.mark.parametrize("name", ["out.gif", "out.png", "out.exe"])
def test_a_videos_output_with_another_suffix_is_not_a_folder_either(folder, name):
    Path("film.mp4").touch()
    with pytest.raises(InputError, match="cannot be written"):
        videos.plan(["film.mp4"], name, alone=True)
    assert videos.plan(["film.mp4"], f"{name}/", alone=True)[0].target == Path(name, "film.mp4")
