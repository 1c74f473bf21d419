"""Iterations a second of the recipes in three precisions, where they wait, and their memory."""

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measuring import on_gpu, seconds

import vmambair_arch.plugin  # noqa: F401  # BasicSR imports only after it
from vmambair_arch.models.build import dependable
from vmambair_arch.option_files import yaml_lines

from basicsr.utils.registry import MODEL_REGISTRY  # isort: skip

OPTIONS = Path(__file__).parents[3] / "options"
RECIPES = ("realsr_x4", "x4", "derain", "denoise", "tiny_x4")
PRECISIONS = ("fp32", "tf32", "bf16")
KERNELS = ("kernel1", "kernel2", "sinc_kernel")
MOST_WAITS = {"SRModel": 3, "DegradationModel": 5}


def results(device: str) -> Iterator[dict]:
    """By recipe and precision: iterations a second; in fp32 the waits and the peak of memory."""
    for recipe in RECIPES if on_gpu(device) else ("tiny_x4", "realsr_x4"):
        for precision in PRECISIONS if on_gpu(device) else ("bf16",):
            opt = options(recipe, precision, device)
            model = dependable(MODEL_REGISTRY.get(opt["model_type"]))(opt)
            model.wrap_optimizers()
            batch = made(opt, device)
            number = iter(range(1, 10**6))

            def step(model=model, batch=batch, number=number) -> None:
                model.train_on([batch], next(number))

            took = seconds(step, device, repeats=5)
            name = f"{recipe}, batch {len(batch['gt'])}, {precision}"
            yield {"name": name, "value": 1 / took, "unit": "it/s"}
            if precision == PRECISIONS[0]:
                yield from waits(name, step, opt["model_type"], device)
            if on_gpu(device):
                peak = torch.cuda.max_memory_allocated(device) / 2**30
                yield {"name": f"{name}: peak of memory", "value": peak, "unit": "GiB"}
                torch.cuda.reset_peak_memory_stats(device)


def is_small(device: str) -> bool:
    """Whether networks, crops and batches are small, to test this script."""
    return not on_gpu(device)


def options(recipe: str, precision: str, device: str) -> dict[str, Any]:
    """A recipe's options, as a model takes them; on a CPU its network and crops are small."""
    opt = yaml_lines.load(OPTIONS / f"train_vmambair_{recipe}.yml").options
    data = opt["datasets"]["train"]
    opt |= {"is_train": True, "dist": False, "rank": 0, "precision": precision, "path": {}}
    opt["num_gpu"] = int(not is_small(device))
    if is_small(device):
        opt["network_g"] |= {"dim": 4, "num_blocks": [1, 0, 0, 0], "num_refinement_blocks": 0}
        data["batch_size_per_gpu"], opt["queue_size"] = 2, 4
        for section in (opt, data):
            if "gt_size" in section:
                section["gt_size"] = 64
    return opt


def made(opt: dict[str, Any], device: str) -> dict[str, Any]:
    """A batch of noise as the recipe's data set would give it, on the device."""
    data, scale = opt["datasets"]["train"], opt.get("scale", 1)
    b = data.get("batch_size_per_gpu") or data["mini_batch_sizes"][0]
    if opt["model_type"].startswith("Degradation"):
        side = 96 if is_small(device) else data.get("crop_pad_size", 400)
        pulse = torch.zeros(b, 21, 21, device=device)
        pulse[:, 10, 10] = 1
        return {"gt": torch.rand(b, 3, side, side, device=device), **dict.fromkeys(KERNELS, pulse)}
    side = data.get("gt_size") or data["gt_sizes"][0]
    lq = torch.rand(b, 3, side // scale, side // scale, device=device)
    return {"lq": lq, "gt": torch.rand(b, 3, side, side, device=device)}


def waits(name: str, step, model_type: str, device: str) -> Iterator[dict]:
    """How often an iteration waits for the GPU, and in which lines."""
    if not on_gpu(device):
        yield {"name": f"{name}: waits", "value": None, "note": "skipped: needs CUDA"}
        return
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        step()
    torch.cuda.set_sync_debug_mode("default")
    lines = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in told if "sync" in str(w.message))
    most = MOST_WAITS["DegradationModel" if "Degradation" in model_type else "SRModel"]
    yield {
        "name": f"{name}: waits for the GPU in an iteration",
        "value": sum(lines.values()),
        "predicted": f"at most {most}",
        "note": ", ".join(f"{line} {count}" for line, count in lines.most_common(6)),
    }
