"""Where the figures of a report come from: the command that made them, and the machine."""

import os
import platform
import shlex
import sys
from typing import Any

import torch

from . import doctor


def command() -> str:
    """The command line, as a shell takes it."""
    return shlex.join(["vmambair", *sys.argv[1:]])


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": doctor.processor(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "versions": {package: doctor.installed(package) for package in doctor.PACKAGES},
    }
