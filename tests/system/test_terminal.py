"""Only one function prints, and no file name can harm a terminal."""

import ast
import errno
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vmambair_arch
from support import forks
from vmambair_arch import cli
from vmambair_arch.errors import InputError, TrainingError, printable, shortened
from vmambair_arch.system import terminal

PACKAGE = Path(vmambair_arch.__file__).parent
NASTY = {
    "escape": "a\x1b[31mred",
    "line break": "a\nvmambair: forged",
    "carriage return": "a\rforged",
    "right to left": "a\u202egnp.exe",
    "isolate": "a\u2066b",
    "line separator": "a\u2028b",
    "bell": "a\x07\x08",
    "C1 control": "a\x9b31m",
    "no text": os.fsdecode(b"a\xff\xfe"),
    "lone surrogate": "a\ud800",
    "tag": "a\U000e0061",
}
KEPT = ["日本", "naïve café", "a\u00a0c\u3000d", "a\u200db", "a\u200cb", "\\n", "'\"&<%"]


@pytest.mark.parametrize("name", NASTY.values(), ids=NASTY)
def test_harmful_characters_are_escaped_once(name):
    text = printable(name)
    assert text.startswith("a") and text != name and len(text.splitlines()) == 1
    assert "\x1b" not in text and printable(text) == text
    text.encode("utf-8")


@pytest.mark.parametrize("name", KEPT)
def test_letters_of_any_script_are_unchanged(name):
    assert printable(name) == name


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EINVAL], ids=["unix", "windows"])
def test_lines_for_a_pipe_that_nobody_reads_go_to_the_null_device(number, tmp_path):
    class Closed(io.StringIO):
        def fileno(self):
            return file.fileno()

        def write(self, text):
            raise OSError(number, os.strerror(number))

    with (tmp_path / "pipe").open("wb") as file:
        terminal.say("first", file=Closed())
        assert os.path.samestat(os.fstat(file.fileno()), os.stat(os.devnull))


@pytest.mark.parametrize("error", [InputError, TrainingError])
def test_an_error_has_a_line_for_each_sentence_and_no_more(error):
    raised = error("a\nb: missing", "\x1b[2J: gone")
    assert str(raised) == "a\\nb: missing\n\\x1b[2J: gone"
    assert str(type(raised)(*raised.args)) == str(raised)  # as processes pass it on


def test_sentences_are_shortened_and_foreign_text_has_one_line():
    assert len(str(InputError("x" * 10**6))) <= 4000
    assert shortened("\n first\nsecond") == "first"
    assert len(shortened("y" * 10**6)) <= 160


@pytest.mark.parametrize("name", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_a_line_is_said_in_any_encoding(monkeypatch, encoding, name):
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.ready()
    terminal.say(f"{name}日本")
    said = stream.buffer.getvalue()
    assert said.count(b"\n") == 1 and b"\x1b" not in said
    said.decode(encoding)


def test_logs_keep_their_lines_and_escape_the_rest(caplog):
    terminal.ready()
    logging.getLogger("vmambair_arch").warning("first\n\t%s", "a\x1b[31m.png")
    assert caplog.messages == ["first\n\ta\\x1b[31m.png"]


def test_nothing_else_in_the_package_prints():
    for path in PACKAGE.rglob("*.py"):
        if path == Path(terminal.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "sys.stdout.write", "sys.stderr.write"), path


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    "arguments",
    [
        ["restore", "{}", "-o", "out"],
        ["restore", "a.png", "-o", "out", "-m", "{}.pth"],
        ["restore", "a.png", "-o", "out", "--no-such-{}"],
        ["check", "-opt", "{}.yml"],
        ["train", "-opt", "{}.yml"],
        ["test", "-opt", "{}.yml"],
        ["prepare", "{}", "out"],
        ["degrade", "{}", "out", "-opt", "{}.yml"],
        ["compare", "{}", "{}", "-o", "out"],
        ["convert", "{}.pth", "out.pth"],
        ["export", "{}.pth", "out.onnx"],
        ["plot", "{}", "out.png"],
        ["bench", "{}"],
        ["app", "--port", "0", "-m", "{}.pth"],
        ["doctor", "{}"],
        ["{}"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_every_command_escapes_its_arguments(capfd, arguments):
    name = "n\x1b[31m\nx\u202e"
    Path("a.png").touch()
    try:
        code = cli.vmambair([argument.format(name) for argument in arguments])
    except SystemExit as error:  # of argparse
        code = error.code
    said = capfd.readouterr()
    assert code == 2
    assert "\x1b" not in said.err + said.out and "\u202e" not in said.err + said.out
    assert "x\\u202e" in said.err or "\\x1b" in said.err


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_command_whose_output_nobody_reads_any_more_does_all_its_work(monkeypatch, stream):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, stream, pipe)
        terminal.say("first", "second", file=getattr(sys, stream))
        terminal.say("third", file=getattr(sys, stream))


CLOSED = (
    "import os; from vmambair_arch import cli; from vmambair_arch.errors import InputError\n"
    "from vmambair_arch.system import terminal\n"
    "def run(arguments):\n"
    "    with open('written', 'wb') as file:\n"
    "        assert file.fileno() > 2\n"
    "        terminal.say('out'); terminal.warn('err'); os.write(2, b'foreign')\n"
    "        import tqdm; list(tqdm.tqdm([1])); file.write(b'whole')\n"
    "    raise InputError('no')\n"
    "cli.convert._run = run; cli.convert.add.__globals__['_run'] = run\n"
    "raise SystemExit(cli.vmambair(['convert', 'a', 'b']))\n"
)


@pytest.mark.skipif(os.name != "posix", reason="the shell closes the streams")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_neither_files_nor_the_exit_code(tmp_path, monkeypatch, closed):
    monkeypatch.chdir(tmp_path)
    streams = [None if name in closed.split() else os.devnull for name in ("<&-", ">&-", "2>&-")]
    if any(streams):
        assert forks.run(CLOSED, streams=tuple(streams)) == 2
    else:
        Path("code.py").write_text(CLOSED)
        command = f"exec '{sys.executable}' code.py {closed}"
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
        assert subprocess.run(["sh", "-c", command], env=environment).returncode == 2
    assert Path("written").read_bytes() == b"whole"
