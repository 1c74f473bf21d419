"""Package metadata; tool settings are in pyproject.toml."""

import itertools
import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "vmambair_arch/__init__.py").read_text())[1]
EXTRAS = {  # for the tests as well
    "app": ["starlette>=0.40", "uvicorn>=0.30"],
    # scikit-image ships the photograph on which an exported file is compared.
    "export": ["torch>=2.9", "onnx", "onnxscript", "onnxruntime", "scikit-image"],
    "spandrel": ["spandrel>=0.4"],
    "video": ["av>=14"],  # its wheels hold an FFmpeg with x264, which is under the GPL
}

setup(
    name="vmambair-arch",
    version=VERSION,
    description="VmambaIR, a visual state-space network for image restoration, for BasicSR",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["vmambair_arch", "vmambair_arch.*"]),
    install_requires=[
        "torch>=2.4",
        "torchvision",
        "numba",
        "numpy",
        "einops",
        "filelock>=3.32",  # leaves a held lock's file as it is, and lets no fork keep it
        "lmdb",
        "matplotlib",
        "pillow>=11.1",  # writes BigTIFF
        "platformdirs",
        "pydantic>=2.7",
        "pyyaml",
        "safetensors",
        "tifffile",  # reads what neither pillow nor opencv does: grey + alpha of 16 bits
        "tqdm",
        "basicsr==1.4.2; python_version < '3.13'",  # brings opencv-python
        "opencv-python-headless; python_version >= '3.13'",
    ],
    extras_require={
        "iqa": ["pyiqa"],  # heavy, and not for commercial use
        **EXTRAS,
        "test": [
            *("jsonschema", "pytest", "pytest-cov", "pytest-xdist", "ruff", "pyright[nodejs]"),
            "playwright",  # drives Chromium
            *itertools.chain(*EXTRAS.values()),
        ],
    },
    package_data={
        "vmambair_arch.app": ["assets/*"],
        "vmambair_arch.option_files.schemas": ["options.json"],
        "vmambair_arch.reporting.page": ["assets/*"],
        "vmambair_arch.viewing": ["assets/*"],
        "vmambair_arch.weights": ["*.safetensors"],
    },
    entry_points={
        "console_scripts": [
            "basicsr = vmambair_arch.cli:basicsr",
            "vmambair = vmambair_arch.cli:vmambair",
        ],
        "basicsr.plugins": ["vmambair = vmambair_arch.plugin"],
    },
)
