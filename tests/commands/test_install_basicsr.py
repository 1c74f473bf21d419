"""What works without BasicSR, what asks to install it, and the command that installs it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from support import picture_files as files
from support.networks import TINY
from vmambair_arch import VmambaIR, cli, save_network
from vmambair_arch.commands import install_basicsr

WITHOUT = """
import importlib.util, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "basicsr":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "basicsr" else find(name, *rest)
from vmambair_arch import cli
def run(*arguments, program=cli.vmambair):
    code = program(arguments)
    print(f"# {code}", file=sys.stderr, flush=True)
    return code
"""


# What needs no BasicSR, and what needs it; the names are those of the fixture's files.
COMMANDS = """
from vmambair_arch.app import serving
from vmambair_arch.commands import doctor
from vmambair_arch.commands.bench import session
from vmambair_arch.commands.export import verified_export
run('restore', 'lq', '-o', 'out', '-m', 'NETWORK')
run('compare', 'gt', 'out', '--lq', 'lq', '--bicubic', '-o', 'report')
run('plot', 'report/report.json', 'table.md')
run('convert', 'gelu.pth', 'released.pth')
run('prepare', 'gt', 'prepared', '--scale', '4')
print('# which need it', file=sys.stderr, flush=True)
run('train', '-opt', 'a.yml', program=cli.basicsr)
run('test', '-opt', 'a.yml', program=cli.basicsr)
run('check', '-opt', 'a.yml')
run('degrade', 'gt', 'out', '-opt', 'a.yml')
"""


@pytest.fixture(scope="module")
def without_basicsr(tmp_path_factory) -> tuple[Path, list[str], list[str]]:
    """A folder in which commands ran in a process that has no BasicSR, and the lines that Python
    wrote to the error output: of those that need none, and of those that do.
    """
    folder = tmp_path_factory.mktemp("without")
    for name, scale in (("gt", 1), ("lq", 4)):
        (folder / name).mkdir()
        pixels = files.noise("RGB", height=32, width=48)[::scale, ::scale]
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / name / "a.png")
    save_network(VmambaIR(scale=4, gate="gelu", **TINY), folder / "gelu.pth")
    (folder / "a.yml").write_text("name: a\n")
    code = WITHOUT + COMMANDS.replace("NETWORK", str(files.saved_identity(folder, 4)))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    between = lines.index("# which need it")
    return folder, lines[:between], lines[between + 1 :]


def test_what_needs_no_basicsr_works_without_it(without_basicsr):
    folder, lines, _ = without_basicsr
    assert [line for line in lines if line.startswith("# ")] == ["# 0"] * 5, lines
    assert (folder / "report/report.html").exists() and (folder / "table.md").exists()


def test_what_needs_basicsr_says_how_to_install_it(without_basicsr):
    sentence = "BasicSR is not installed; run: vmambair install-basicsr"
    programs = ("basicsr", "basicsr", "vmambair", "vmambair")
    expected = [line for program in programs for line in (f"{program}: {sentence}", "# 2")]
    assert without_basicsr[2] == expected


# the source


SETUP = f"""
def get_version():
    with open(version_file, 'r') as f:
        exec(compile(f.read(), version_file, 'exec'))
    {install_basicsr.BROKEN_LINE}

setup(
        {install_basicsr.SETUP_REQUIRES}
        install_requires=get_requirements())
"""


def source(folder: Path, setup: str = SETUP) -> Path:
    """The parts of BasicSR's released source that are patched."""
    folder.mkdir(parents=True)
    (folder / "setup.py").write_text(setup)
    (folder / "requirements.txt").write_text("addict\nfuture\nopencv-python\ntb-nightly\ntqdm\n")
    return folder


def test_the_broken_line_is_replaced_and_what_nothing_imports_is_not_required(
    tmp_path, monkeypatch
):
    installed = [SimpleNamespace(metadata={"Name": name}) for name in ("numpy", "OpenCV-Python")]
    monkeypatch.setattr(install_basicsr.metadata, "distributions", lambda: installed)
    install_basicsr.mend(source(tmp_path / "one"))
    script = (tmp_path / "one/setup.py").read_text()
    assert "return open('VERSION').read().strip()" in script
    assert "locals()" not in script and "setup_requires" not in script
    needed = (tmp_path / "one/requirements.txt").read_text().split()
    assert needed == ["addict", "opencv-python", "tensorboard", "tqdm"]
    installed.pop()
    install_basicsr.mend(source(tmp_path / "two"))
    assert "opencv-python-headless" in (tmp_path / "two/requirements.txt").read_text()


@pytest.fixture
def pip(monkeypatch):
    """A stand-in for pip, which may unpack a source; records its arguments."""
    asked = []

    def answer(*arguments: str, temporary: Path | None = None):
        asked.append(arguments)
        if arguments[0] == "download" and answer.setup is not None:
            source(temporary / "pip-download-1" / "basicsr_2", answer.setup)
        return SimpleNamespace(returncode=answer.code, stdout="", stderr="no such release")

    answer.setup, answer.code, answer.asked = SETUP, 0, asked
    found = install_basicsr.importlib.util.find_spec
    monkeypatch.setattr(
        install_basicsr.importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "basicsr" else found(name, *rest),
    )
    monkeypatch.setattr(install_basicsr, "_pip", answer)
    return answer


def test_pip_fetches_and_installs(pip, capsys):
    assert cli.vmambair(["install-basicsr"]) == 0
    (download, *_), (install, folder) = pip.asked
    assert (download, install) == ("download", "install") and not Path(folder).exists()
    assert capsys.readouterr().out.endswith("BasicSR is installed\n")


def test_a_source_without_metadata_is_patched_all_the_same(pip):
    install = install_basicsr._pip
    codes = iter([1, 0])

    def fails_first(*arguments, **options):
        install.code = next(codes)
        return install(*arguments, **options)

    install_basicsr._pip = fails_first
    try:
        assert cli.vmambair(["install-basicsr"]) == 0
    finally:
        install_basicsr._pip = install


@pytest.mark.parametrize(
    ("setup", "code", "sentence"),
    [
        (None, 1, "cannot be fetched; pip says:\nvmambair: no such release"),
        (SETUP, 1, "cannot be installed; pip says:\nvmambair: no such release"),
        ("setup()", 0, "setup.py of basicsr==1.4.2 is not as expected"),
    ],
)
def test_failures_are_reported_with_the_output_of_pip(pip, capsys, setup, code, sentence):
    pip.setup, pip.code = setup, code
    assert cli.vmambair(["install-basicsr"]) == 2
    assert sentence in capsys.readouterr().err


def test_where_basicsr_is_installed_nothing_is_done(capsys, monkeypatch):
    monkeypatch.setattr(install_basicsr, "_pip", None)
    assert cli.vmambair(["install-basicsr"]) == 0
    assert capsys.readouterr().out == "BasicSR is installed already\n"
