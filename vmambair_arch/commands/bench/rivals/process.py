"""Measure one network, in a process that loads only what runs it.

    python process.py JSON

It is started by its path, and imports only the standard library and numpy until a runner is
chosen: torch, which the package imports, would be most of the memory of runners without it.
"""

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SLOW = 60.0  # seconds; a longer pass is run only once
WARM_UP = 64  # pixels a side of the part from which the time of the whole is estimated
STATUS = Path("/proc/self/status")
Image = Any  # (1, 3, h, w) float32 in [0, 1]
Run = Callable[[Image], Image]


def main(task: dict[str, Any]) -> dict[str, Any]:
    """Carry out a task.

    Args:
        task: "runner", of ``RUNNERS``; "model", the file that it reads or, in PyTorch, the name of
            a network; "threads"; "picture", a .npy file; "limit", the seconds that a pass may
            take; "seconds", for which it is repeated; "judged", a list of .npy files to run
            afterwards, and "outputs", the files for their results.
    Returns: what ``timed`` returns, "load_seconds", "scale", "peak_mib" (over the process's life,
        all that it loads included; None where the system does not say) and "file_mb"; or
        "refused", the reason.
    """
    start = time.perf_counter()
    run, bytes_ = RUNNERS[task["runner"]](task["model"], task["threads"])
    loaded = time.perf_counter() - start
    picture = np.load(task["picture"])
    part = np.ascontiguousarray(picture[..., :WARM_UP, :WARM_UP])
    scale = run(part).shape[-1] // part.shape[-1]
    expected = clocked(run, part)[0] * picture.size / part.size
    if expected > task["limit"]:
        return {"refused": f"it would take about {expected:.0f} s, {task['limit']:.0f} s are left"}
    result = timed(run, picture, task["seconds"])
    peak = peak_bytes()
    for name, output in zip(task["judged"], task["outputs"], strict=True):
        np.save(output, run(np.load(name)))
    return {
        **result,
        "load_seconds": loaded,
        "scale": scale,
        "peak_mib": None if peak is None else peak / 2**20,
        "file_mb": bytes_ / 1e6,
    }


def timed(run: Run, picture: Image, long: float) -> dict[str, Any]:
    """Repeat for a number of seconds: "seconds", the median, "seconds_min", "repeats".

    The first pass clears pages and compiles shapes; it counts only if it takes so long that there
    is no second. "cpu_seconds" is the processor time of the fastest: with one thread, the
    difference to its seconds went to other programs.
    """
    first = clocked(run, picture)
    passes = [first] if first[0] >= SLOW else []
    while not passes or first[0] < SLOW and sum(seconds for seconds, _ in passes) < long:
        passes.append(clocked(run, picture))
    least, processor = min(passes)
    return {
        "seconds": statistics.median(seconds for seconds, _ in passes),
        "seconds_min": least,
        "cpu_seconds": processor,
        "repeats": len(passes),
    }


def clocked(run: Run, picture: Image) -> tuple[float, float]:
    """The seconds of a pass, and its processor time in all threads."""
    start, processor = time.perf_counter(), time.process_time()
    run(picture)
    return time.perf_counter() - start, time.process_time() - processor


def peak_bytes() -> int | None:
    """The peak memory of the process, on Linux."""
    if not STATUS.exists():
        return None
    rows = STATUS.read_text().splitlines()
    return 1024 * next(int(row.split()[1]) for row in rows if row.startswith("VmHWM:"))


def pytorch(model: str, threads: int) -> tuple[Run, int]:
    """A network of ``entrants.network``, and the bytes of its file, else of its tensors."""
    import torch

    from vmambair_arch import inference
    from vmambair_arch.commands.bench.rivals import entrants

    torch.set_num_threads(threads)
    network = entrants.network(model)
    held = sum(tensor.nbytes for tensor in network.state_dict().values())

    @torch.no_grad()
    def run(image: Image) -> Image:
        return inference.run(network, torch.from_numpy(image)).numpy()

    return run, Path(model).stat().st_size if Path(model).is_file() else held


def onnxruntime(model: str, threads: int) -> tuple[Run, int]:
    """An .onnx file with the input ``image``."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0], Path(model).stat().st_size


def openvino(model: str, threads: int) -> tuple[Run, int]:
    """An .onnx file, in float32 like the others, even where the processor has bfloat16."""
    openvino: Any = importlib.import_module("openvino")
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", hints)
    return lambda image: compiled(image)[0], Path(model).stat().st_size


def ncnn(model: str, threads: int) -> tuple[Run, int]:
    """A .param file and its .bin, from ``data`` to ``output``, on the CPU."""
    ncnn: Any = importlib.import_module("ncnn")

    files = [Path(model), Path(model).with_suffix(".bin")]
    network = ncnn.Net()
    network.opt.use_vulkan_compute = False
    network.opt.num_threads = threads
    for load, file in zip((network.load_param, network.load_model), files, strict=True):
        if load(str(file)):
            raise RuntimeError(f"{file}: ncnn cannot read it")

    def run(image: Image) -> Image:
        extractor = network.create_extractor()
        extractor.input("data", ncnn.Mat(image[0]))
        _, output = extractor.extract("output")
        return np.array(output)[None]

    return run, sum(file.stat().st_size for file in files)


def pillow(model: str, threads: int) -> tuple[Run, int]:
    """No network: Pillow's bicubic enlargement x4, in 8 bits."""
    from PIL import Image

    def run(image):
        pixels = np.round(255 * image[0].transpose(1, 2, 0)).astype(np.uint8)
        h, w = pixels.shape[:2]
        larger = Image.fromarray(pixels).resize((4 * w, 4 * h), Image.Resampling.BICUBIC)
        return np.asarray(larger, np.float32).transpose(2, 0, 1)[None] / 255

    return run, 0


RUNNERS: dict[str, Callable[[str, int], tuple[Run, int]]] = {
    "PyTorch": pytorch,
    "onnxruntime": onnxruntime,
    "OpenVINO": openvino,
    "ncnn": ncnn,
    "Pillow": pillow,
}

if __name__ == "__main__":
    del sys.path[0]  # this folder, whose modules are the package's
    json.dump(main(json.loads(sys.argv[1])), sys.stdout)
