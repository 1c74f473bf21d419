"""The package's layout: imports point only down, and importing it needs only torch."""

import ast
import graphlib
import importlib
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import vmambair_arch
from support.order import FEW_BUT_LONG

PACKAGE = Path(vmambair_arch.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
# Every file and folder of the package, from the bottom up, and what it imports from those before
# it, and from BasicSR.
LAYERS = """
errors        |
option_values | errors
inference     |
ops           |
mamba         | errors ops
viewing       |
system        | errors
files         | errors system
weights       | errors
networks      | errors ops system
presets       | networks
reporting     | errors files viewing
checkpoints   | errors files system networks
exporting     | errors ops system networks
spandrel      | errors inference networks checkpoints
restoring     | errors files inference system weights networks checkpoints
data          | errors option_values system restoring BasicSR
models        | errors files inference system networks checkpoints BasicSR
degrading     | errors option_values system data models BasicSR
app           | errors system viewing weights restoring
compat        | errors system data checkpoints models BasicSR
plugin        | mamba networks data models degrading compat BasicSR
option_files  | errors option_values data checkpoints models degrading plugin BasicSR
training      | errors option_values files system data reporting checkpoints models
              | option_files BasicSR
commands      | errors inference files ops system weights networks data reporting checkpoints
              | exporting restoring models degrading app compat plugin option_files training BasicSR
cli           | errors system commands
__main__      | cli
"""
EVERYWHERE = {"vmambair_arch.__version__"}


def read_layers() -> dict[str, set[str]]:
    """What each entry of LAYERS may import, in the order of the table."""
    layers, entry = {}, ""
    for line in LAYERS.strip().splitlines():
        name, _, below = line.partition("|")
        entry = name.strip() or entry
        layers.setdefault(entry, set()).update(below.split())
    return layers


MAY_IMPORT = read_layers()


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, with relative names made absolute.

    Strings passed to ``import_module`` are included.
    """
    package = ["vmambair_arch", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = [*base, *([node.module] if node.module else [])]
            found |= {".".join([*module, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            name = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
            found.add(name if name[:1] != "." else ".".join(package) + name)
    return found


def part(path: Path) -> str:
    """The entry of the package that a file is or belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(name: str) -> set[str]:
    """The entries of the package that an entry imports, and BasicSR if it does."""
    modules = set().union(*(imports(path) for path in FILES if part(path) == name)) - EVERYWHERE
    ours = {m.split(".")[1] for m in modules if m.startswith("vmambair_arch.")}
    host = {"BasicSR" for m in modules if m.split(".")[0] == "basicsr"}
    return (ours | host) - {name}


def test_every_entry_of_the_package_is_in_the_table():
    assert sorted(set(map(part, FILES))) == sorted(MAY_IMPORT)


def test_the_table_points_only_down():
    above = {"BasicSR"}
    for name, below in MAY_IMPORT.items():
        assert below <= above, f"{name}: {below - above} stand below it in the table"
        above.add(name)


def module(path: Path) -> str:
    """A file's name as it is imported."""
    return ".".join(["vmambair_arch", *path.relative_to(PACKAGE).with_suffix("").parts])


def test_no_files_import_each_other():
    below = {module(path).removesuffix(".__init__"): imports(path) for path in FILES}
    graph = {
        name: {n if n in below else n.rpartition(".")[0] for n in names} & below.keys()
        for name, names in below.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names them


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_imports_are_those_of_the_table(name):
    assert imported(name) == MAY_IMPORT[name]


def test_importing_the_package_needs_only_torch():
    absent = ("basicsr", "cv2", "einops", "lmdb", "numba", "PIL", "safetensors", "scipy", "skimage")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({(*absent, 'torchvision', 'yaml')}));"
        "from vmambair_arch import presets;"
        "presets.build('realsr_x4', dim=2)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names_of_the_package():
    expected = {
        *("VmambaIR", "OSSBlock", "OSSModule", "EFFN", "presets"),
        *("load_network", "save_network", "selective_scan", "planar_scan"),
        *("Restorer", "restore", "keep_freed_memory"),
    }
    assert expected <= set(vmambair_arch.__all__)
    assert all(hasattr(vmambair_arch, exported) for exported in vmambair_arch.__all__)


@pytest.mark.parametrize(
    "address",
    ["inference.run", "presets.build", "reporting.read", "restoring.video.restore_video"],
)
def test_the_public_names_below_the_package(address):
    module, _, name = f"vmambair_arch.{address}".rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


def test_python_m_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("vmambair_arch", run_name="__main__")
    assert not ended.value.code
    told = capsys.readouterr().out
    assert told.startswith("usage: vmambair ")
    assert all(word in told for word in ("train", "test", "convert", "doctor", "restore"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_begins_with_its_idea(path):
    assert (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()


def test_the_files_that_are_tested_first_are_there():
    assert {*FEW_BUT_LONG} <= {path.stem for path in Path(__file__).parent.rglob("test_*.py")}
