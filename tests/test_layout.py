"""The package's layout: imports point down only, and importing it needs torch only."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import vmambair_arch

PACKAGE = Path(vmambair_arch.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
# From the bottom up. A file imports from its own layer and from those below; one that is not
# listed lies where the highest of its imports does.
LAYERS = [
    {"ops"},
    {"networks"},
    {"presets", "checkpoints", "inference"},
    {"data", "basicsr", "cv2", "torchvision"},
    {"models"},
    {"degrading"},
    {"plugin"},
    {"option_files"},
    {"training"},
    {"commands"},
    {"cli"},
]


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, with relative names made absolute."""
    package = ["vmambair_arch", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = [*base, *([node.module] if node.module else [])]
            found |= {".".join([*module, alias.name]) for alias in node.names}
    return found


def part(path: Path) -> str:
    """The file or folder of the package that a file is or lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(name: str) -> set[str]:
    """The parts of the package, and the packages, that a part imports."""
    modules = set().union(*(imports(path) for path in FILES if part(path) == name))
    names = {module.removeprefix("vmambair_arch.").split(".")[0] for module in modules}
    return names - {name}


@functools.cache
def layer(name: str) -> int:
    listed = (number for number, names in enumerate(LAYERS) if name in names)
    return next(listed, max(map(layer, imported(name)), default=0))


@pytest.mark.parametrize("name", sorted(set(map(part, FILES))))
def test_imports_point_down_only(name):
    """ops, networks, checkpoints ..., data, models, degrading, plugin, ..., commands, cli."""
    above = {other for other in imported(name) if layer(other) > layer(name)}
    assert not above, f"{name} imports {above}, which are above it"


def test_the_operations_import_nothing_of_ours():
    for path in (PACKAGE / "ops").rglob("*.py"):
        ours = {module for module in imports(path) if module.startswith("vmambair_arch.")}
        assert all(module.startswith("vmambair_arch.ops") for module in ours)


def test_importing_the_package_needs_torch_only():
    absent = ("basicsr", "cv2", "einops", "lmdb", "numba", "PIL", "safetensors", "scipy", "skimage")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({(*absent, 'torchvision', 'yaml')}));"
        "from vmambair_arch import presets;"
        "presets.build('realsr_x4', dim=2)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_face():
    expected = {
        *("VmambaIR", "OSSBlock", "OSSModule", "EFFN", "presets"),
        *("load_network", "save_network", "selective_scan", "planar_scan"),
        *("Restorer", "restore"),
    }
    assert expected <= set(vmambair_arch.__all__)
    assert all(hasattr(vmambair_arch, exported) for exported in vmambair_arch.__all__)


def test_python_m_is_the_command():
    command = [sys.executable, "-m", "vmambair_arch", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: vmambair ")
    assert all(word in done.stdout for word in ("train", "test", "convert", "doctor", "restore"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_says_its_idea_first(path):
    assert (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()
