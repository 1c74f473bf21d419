"""The output of the bench: rows of a table, a JSON report, a picture."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from ... import reporting
from ...files import write_whole
from ...reporting import Column, Report
from ...reporting.plots import letters, scaling
from ...system import machine
from .. import command_line
from .cases import Case
from .figures import Results

COLUMNS = {
    "seconds": Column(label="s", decimals=4, better="lower"),
    "seconds_min": Column(label="least s", decimals=4, better="lower"),
    "peak_mib": Column(label="MiB", decimals=1, better="lower"),
    "ns_per_state": Column(label="ns per state", decimals=3, better="lower"),
    "extra_to_inputs": Column(label="extra memory to inputs", decimals=2, better="lower"),
    "parameters": Column(label="parameters", decimals=0, better="lower"),
    "multiply_adds": Column(label="multiply-adds", decimals=0, better="lower"),
    "products": Column(label="without the scans", decimals=0, better="lower"),
    "published": Column(label="VMamba's count", decimals=0, better="lower"),
    "activations": Column(label="activations", decimals=0, better="lower"),
}

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
    """One result per case: medians over its rounds, and the overall minimum time."""
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


def write(rows: list[dict[str, Any]], details: dict[str, Any], path: Path) -> None:
    """Write a report, and beside it its plot where networks were measured.

    Args:
        rows: from ``merged``.
        details: further contents of the report.
        path: of the report.
    """
    found = measured("benchmark", COLUMNS, rows, details)
    write_files(found, scaling.draw(rows), path)


def measured(
    kind: Literal["benchmark", "rivals"],
    columns: Mapping[str, Column],
    rows: list[dict[str, Any]],
    details: dict[str, Any],
    packages: Sequence[str] = (),
) -> Report:
    """A report of this command on this machine; packages are further ones whose versions matter."""
    facts = machine.facts()
    facts["versions"] |= {package: machine.installed(package) for package in packages}
    return Report(
        kind=kind,
        title=facts["processor"],
        command=command_line.current_command(),
        machine=facts,
        columns=dict(columns),
        details=details,
        rows=rows,
    )


def write_files(report: Report, figure: Any, path: Path) -> None:
    """Write a report, and beside it its figure (of Matplotlib) if there is one."""
    reporting.write(report, path)
    if figure is not None:
        write_whole(path.with_suffix(".png"), lambda file: letters.save(figure, file, dpi=110))
