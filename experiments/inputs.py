"""Measure the input images of an option file's test sets, enlarged bicubically, by its metrics.

    python experiments/inputs.py options/test_vmambair_clean.yml

prints the mean of each set, in the form of the lines that basicsr test writes. Sets that are not
damaged are left out.
"""

import json
import sys

import numpy as np

import vmambair_arch.plugin  # noqa: F401  # BasicSR imports only after it
from vmambair_arch.data.images import enlarge
from vmambair_arch.option_files import options as option_files

from basicsr.data import build_dataset  # isort: skip
from basicsr.metrics import calculate_metric  # isort: skip
from basicsr.utils import tensor2img  # isort: skip


def main(file: str) -> None:
    """Print a line for each test set."""
    opt = option_files.read(file, is_train=False)
    for given in opt["datasets"].values():
        rows = [measured(item, opt) for item in build_dataset(given)]
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        if np.isfinite([*means.values()]).all():
            print(json.dumps({"iter": "input", "dataset": given["name"], **means}), flush=True)


def measured(item: dict, opt: dict) -> dict[str, float]:
    """The metrics of one image."""
    low, truth = tensor2img([item["lq"]]), tensor2img([item["gt"]])
    image = low if opt["scale"] == 1 else enlarge(low, opt["scale"])
    metrics = opt["val"]["metrics"]
    return {
        name: float(calculate_metric({"img": image, "img2": truth}, given))
        for name, given in metrics.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
