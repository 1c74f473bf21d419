"""What a run of the bench tells: rows of a table, a JSON report, a picture."""

import json
import os
import platform
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from .. import doctor
from .cases import BOTH, FORWARD, NETWORKS, Case
from .figures import Results

HEADER = (
    f"{'':24} {'pass':16} {'batch x size':>12} {'channels':>8} {'threads':>7}"
    f" {'median ms':>11} {'least ms':>11} {'peak MiB':>9}"
)


def row(case: Case, result: Mapping[str, Any]) -> str:
    """A case's row of the table on the terminal."""
    peak = "?" if result["peak_mib"] is None else f"{result['peak_mib']:.1f}"
    states = f"  {result['ns_per_state']:.3f} ns per state" if "ns_per_state" in result else ""
    return (
        f"{case.name:24} {case.passes:16} {f'{case.batch} x {case.size}':>12}"
        f" {case.channels or '':>8} {case.threads:7} {result['seconds'] * 1e3:11.2f}"
        f" {result['seconds_min'] * 1e3:11.2f} {peak:>9}{states}"
    )


def figure_row(figure: Mapping[str, Any]) -> str:
    """A figure's row, with its target and whether it is reached."""
    target = ""
    if figure["target"] is not None:
        verdict = "reached" if figure["reached"] else "NOT reached"
        target = f"   at most {figure['target']:g}: {verdict}"
    return f"{figure['name']:66} {figure['value']:8.3f}{target}"


def merged(results: Results) -> list[dict[str, Any]]:
    """A result for each case: medians over its rounds, the least of the least times."""
    return [_over_rounds(case, rounds) for case, rounds in results.items()]


def _over_rounds(case: Case, rounds: Any) -> dict[str, Any]:
    first = dict(rounds[0])
    for key in ("seconds", "peak_mib", "ns_per_state", "extra_to_inputs"):
        values = [r[key] for r in rounds if r.get(key) is not None]
        if values:
            first[key] = statistics.median(values)
    first["seconds_min"] = min(r["seconds_min"] for r in rounds)
    first["repeats"] = sum(r["repeats"] for r in rounds)
    return {**asdict(case), **first, "rounds": len(rounds)}


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


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Write bench.json, and bench.png where networks were measured."""
    (folder / "bench.json").write_text(json.dumps(report, indent=1) + "\n")
    if any(result["name"] in NETWORKS for result in report["cases"]):
        plot(report["cases"], folder / "bench.png")


def plot(cases: list[dict[str, Any]], path: Path) -> None:
    """Time and memory over pixels, both logarithmic, for each network.

    Args:
        cases: as ``merged`` gives them; those of one image are drawn.
        path: the PNG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for row_of_panels, passes in zip(panels, (FORWARD, BOTH), strict=True):
        for axes, (key, label) in zip(
            row_of_panels,
            (("seconds", "seconds"), ("peak_mib", "peak memory above idle, MiB")),
            strict=True,
        ):
            for number, name in enumerate(NETWORKS):
                points = _points(cases, name, passes, key)
                if points:
                    style = "o-" if name == "realsr_x4" else "o--"
                    axes.loglog(*zip(*points, strict=True), style, color=f"C{number}", label=name)
            axes.set(xlabel="input pixels", ylabel=label, title=f"{passes}, one thread")
            axes.grid(alpha=0.3, which="both")
    panels[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _points(cases: list[dict[str, Any]], name: str, passes: str, key: str) -> list[tuple]:
    kind = {"name": name, "passes": passes, "batch": 1, "threads": 1}
    chosen = (c for c in cases if kind.items() <= c.items() and c[key] is not None)
    return sorted((c["size"] ** 2, c[key]) for c in chosen)
