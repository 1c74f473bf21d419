"""The package's layout: imports point down only, and importing it needs torch only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vmambair_arch

PACKAGE = Path(vmambair_arch.__file__).parent
# The layers from the bottom up, as their files or folders are called. A file may import from its
# own layer and from those below it; what a layer does not name belongs to the topmost.
LAYERS = [
    {"errors"},
    {"ops"},
    {"modules"},
    {"network"},
    {"presets", "released", "checkpoints", "inference"},
    {"models", "data"},
]
WITHOUT_BASICSR = set().union(*LAYERS) - {"models", "data"}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def layer(top: str) -> int:
    return next((number for number, names in enumerate(LAYERS) if top in names), len(LAYERS))


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


def name(path: Path) -> str:
    """The file or folder of the package that a file is or lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down_only(path):
    own = [module.split(".")[1] for module in imports(path) if module.startswith("vmambair_arch.")]
    above = [top for top in own if layer(top) > layer(name(path))]
    assert not above, f"{name(path)} imports {above}, which are above it"


def test_the_operations_import_nothing_of_ours():
    for path in (PACKAGE / "ops").glob("*.py"):
        ours = {m for m in imports(path) if m.startswith("vmambair_arch.")}
        assert all(module.startswith("vmambair_arch.ops") for module in ours)


@pytest.mark.parametrize("package", ["basicsr", "torchvision", "cv2"])
def test_what_is_below_the_models_knows_nothing_of_basicsr(package):
    for path in FILES:
        if name(path) in WITHOUT_BASICSR:
            assert not [m for m in imports(path) if m.split(".")[0] == package], path


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
    }
    assert expected <= set(vmambair_arch.__all__)
    assert all(hasattr(vmambair_arch, exported) for exported in vmambair_arch.__all__)


def test_python_m_is_the_command():
    command = [sys.executable, "-m", "vmambair_arch", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: vmambair ")
    assert all(word in done.stdout for word in ("train", "test", "convert", "doctor"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_says_its_idea_first(path):
    assert (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()
