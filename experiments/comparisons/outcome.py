"""Results of trained networks: reports on the test sets, speed, curves and close-ups."""

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from photographs import Sets
from trainings import Trained

from vmambair_arch import inference, reporting
from vmambair_arch.commands.bench import measure, report as benchmarks
from vmambair_arch.commands.bench.cases import Case
from vmambair_arch.commands.bench.rivals import judging
from vmambair_arch.commands.bench.rivals.entrants import PROGRAMS
from vmambair_arch.commands.bench.rivals.report import COLUMNS
from vmambair_arch.commands.bench.session import Session
from vmambair_arch.commands.compare import comparison, details, planning
from vmambair_arch.commands.compare.methods import Running
from vmambair_arch.commands.networks import load
from vmambair_arch.errors import InputError
from vmambair_arch.files import write_whole
from vmambair_arch.networks import cost
from vmambair_arch.reporting import Report
from vmambair_arch.reporting.plots import crops, curves, letters, rivals, tradeoff
from vmambair_arch.reporting.plots.crops import Box
from vmambair_arch.system import machine

Runs = Mapping[str, list[Trained]]  # by name, a training for each seed
DAMAGED = "input"  # the name of the low-quality images among the methods at scale 1
RIVALS = Path(__file__).resolve().parents[1] / "benchmarks/rivals.json"
HERE = "PyTorch, trained here"  # what runs the networks among the rivals
SIDE = 256  # pixels of the output that is timed
DETAIL = (64, 48)  # width and height of a close-up's box


@dataclass(frozen=True)
class Findings:
    """What a comparison found.

    Args:
        contest: the comparison's .yml file.
        seconds: of training per network.
        left_out: networks that nothing registers.
        plugins: Python files that register networks.
        networks: those trained for equal time.
        ablations: those trained for equal iterations.
        reports: by test set.
        speed: the benchmark.
    """

    contest: dict[str, Any]
    seconds: float
    left_out: Sequence[str]
    plugins: list[str]
    networks: Runs
    ablations: Runs
    reports: Mapping[str, Report]
    speed: Report


def compare(networks: Runs, sets: Sets, output: Path, plugins: list[str]) -> dict[str, Report]:
    """Measure the first seed of every network on every test set, unless that was done before.

    Returns: the reports, by name of the test set.
    """
    files = {name: runs[0].file for name, runs in networks.items()}
    newest = max(file.stat().st_mtime for file in files.values())
    reports = {}
    for name, (truth, low) in sets.tests.items():
        path = output / name / comparison.REPORT
        if path.exists() and path.stat().st_mtime > newest:
            reports[name] = reporting.read(path)
            if reports[name].details["run"]["models"] == [*files]:
                continue
        enlarged = low.name != "lq"
        running = Running(
            models=[f"{name}={os.path.relpath(file)}" for name, file in files.items()],
            plugins=[os.path.relpath(plugin) for plugin in plugins],
            bicubic=enlarged,
            lq=Path(os.path.relpath(low)),
            device="cpu",
        )
        plan = planning.plan(
            Path(os.path.relpath(truth)),
            [] if enlarged else [f"{DAMAGED}={os.path.relpath(low)}"],
            running,
            metrics=["psnr", "ssim"],
            title=name,
        )
        reports[name] = comparison.write(plan, output / name)
    return reports


def time(networks: Runs, contest: dict[str, Any], output: Path, plugins: list[str]) -> Report:
    """Time a forward pass of every network in its own process, unless that was done before here."""
    path = output / "bench.json"
    names = {str(runs[0].file): name for name, runs in networks.items()}
    if path.exists():
        known = reporting.read(path)
        here = known.machine["processor"] == machine.processor()
        if here and [row["name"] for row in known.rows] == [*names.values()]:
            return known
    session, scale = Session("cpu", math.inf), contest["options"]["scale"]
    costs = {}
    for file in names:
        case = Case(file, SIDE // scale, plugins=os.pathsep.join(plugins))
        session.measure(case)
        if case in session.skipped:
            raise InputError(
                f"{names[file]} cannot be timed: {session.skipped[case]}; its training is kept, and"
                " the same command tries again"
            )
        network, x = load(file, plugins), torch.rand(1, 3, SIDE // scale, SIDE // scale)
        costs[file] = measure.costs(cost.count(lambda n=network, x=x: inference.run(n, x)))
    rows = [
        {**row, "name": names[row["name"]], "scale": scale, "plugins": "", **costs[row["name"]]}
        for row in benchmarks.merged(session.results)
    ]
    benchmarks.write(rows, {"device": "cpu"}, output / "bench.json")
    return reporting.read(path)


def draw(found: Findings, output: Path) -> None:
    """Draw PSNR over iterations and time, quality over speed, and close-ups from the test sets."""
    for over in curves.OVER:
        rows = {name: runs[0].rows for name, runs in found.networks.items()}
        _save(curves.draw(rows, over=over), output / f"psnr_over_{over}.png")
    if found.ablations:
        rows = {name: runs[0].rows for name, runs in found.ablations.items()}
        _save(curves.draw(rows), output / "ablations.png")
    beside = _beside_rivals(found, output)
    if beside is not None:
        figure = Figure(figsize=(8, 5), layout="constrained")
        runners = dict.fromkeys(row["runner"] for row in beside.rows)
        colours = {runner: f"C{number}" for number, runner in enumerate(runners)}
        rivals.draw_quality(figure.subplots(), beside.rows, colours)
        _save(figure, output / "quality_beside_rivals.png")
    for name, report in found.reports.items():
        _save(tradeoff.draw(report, found.speed), output / name / "quality_over_speed.png")
        for kind, image in _most_different(report, found.contest["of"]).items():
            path = output / name / f"{kind}.png"
            if not _is_newer(path, output / name / comparison.REPORT):
                panels = details.from_report(report, image)
                box = _box(panels)
                _save(crops.draw(details.measured(panels, box), box), path)


def _beside_rivals(found: Findings, output: Path) -> Report | None:
    """Judge the networks by the photographs of vmambair bench --rivals, unless done before.

    Both are written to rivals.json.

    Returns: the report; None at another scale.
    """
    if found.contest["options"]["scale"] != judging.SCALE:
        return None
    path, sources = output / "rivals.json", [runs[0].file for runs in found.networks.values()]
    if all(_is_newer(path, source) for source in (RIVALS, *sources)):
        return reporting.read(path)
    theirs = rivals.shown(reporting.read(RIVALS).rows)
    speed, rows = {row["name"]: row for row in found.speed.rows}, []
    for name, runs in found.networks.items():
        row = speed[name]
        rows.append(
            {
                **{"name": name, "runner": HERE, "size": row["size"], "threads": 1},
                **{"scale": judging.SCALE, "peak_mib": row["peak_mib"]},
                "seconds_per_megapixel": row["seconds_min"] / row["size"] ** 2 * 1e6,
                "psnr": _judged(runs[0].file, found.plugins),
            }
        )
    rows += [row for row in theirs if row["psnr"] is not None]
    report = benchmarks.measured("rivals", COLUMNS, rows, {}, PROGRAMS)
    reporting.write(report, path)
    return report


def _judged(file: Path, plugins: list[str]) -> float:
    """The mean PSNR on Y of three photographs enlarged by a network, in dB."""
    network, outputs = load(str(file), plugins), []
    with tempfile.TemporaryDirectory() as folder:
        for path in judging.write_inputs(Path(folder)):
            outputs.append(path.with_suffix(".out.npy"))
            with torch.no_grad():
                result = inference.run(network, torch.from_numpy(np.load(path)))
            np.save(outputs[-1], result.numpy())
        return judging.psnr(outputs)


def _is_newer(path: Path, other: Path) -> bool:
    return path.exists() and path.stat().st_mtime_ns > other.stat().st_mtime_ns


def _save(figure, path: Path) -> None:
    if figure is not None:
        write_whole(path, lambda file: letters.save(figure, file, format="png", dpi=130))


def _most_different(report: Report, of: str) -> dict[str, str]:
    """The images where a network's lead over the best other network is largest and smallest."""
    psnr: dict[str, dict[str, float]] = {}
    models = report.details["run"]["models"]
    for row in report.rows:
        if row["method"] in models:
            psnr.setdefault(str(row["image"]), {})[str(row["method"])] = float(row["psnr"])
    lead = {
        image: values[of] - max(v for name, v in values.items() if name != of)
        for image, values in psnr.items()
    }
    return {"best": max(lead, key=lambda i: lead[i]), "worst": min(lead, key=lambda i: lead[i])}


def _box(panels: Sequence[crops.Panel]) -> Box:
    """The box in which the errors of the methods differ most."""
    truth = panels[0].pixels.astype(np.float32)
    h, w = truth.shape[:2]
    width, height = min(DETAIL[0], w), min(DETAIL[1], h)
    models = (panel.pixels for panel in panels[2:])  # after the truth, and bicubic or the input
    errors = (((pixels - truth) ** 2).mean(2) for pixels in models)
    means = [cv2.boxFilter(error, -1, (width, height), anchor=(0, 0)) for error in errors]
    spread = np.ptp(np.stack(means), axis=0)[: h - height + 1, : w - width + 1]
    y, x = np.unravel_index(spread.argmax(), spread.shape)
    return Box(int(x), int(y), width, height)
