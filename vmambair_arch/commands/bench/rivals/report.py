"""What a run of the rivals tells: rows on the terminal, a JSON report, a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .... import reporting
from ....files import write_whole
from ....reporting import Column, Report
from ....reporting.plots import rivals
from ....system import machine
from ... import origin
from .entrants import PROGRAMS

COLUMNS = {
    "seconds_per_megapixel": Column(label="s per megapixel", decimals=2, better="lower"),
    "peak_mib": Column(label="MiB", decimals=0, better="lower"),
    "psnr": Column(label="PSNR (dB)", decimals=2, better="higher"),
    "file_mb": Column(label="file, MB", decimals=1, better="lower"),
    "seconds": Column(label="s", decimals=3, better="lower"),
    "seconds_min": Column(label="least s", decimals=3, better="lower"),
    "cpu_seconds": Column(label="processor s", decimals=3, better="lower"),
    "load_seconds": Column(label="to load, s", decimals=1, better="lower"),
}
HEADER = (
    f"{'':22} {'':12} {'size':>5} {'threads':>7} {'least s':>9} {'s per megapixel':>13}"
    f" {'peak MiB':>9} {'file MB':>8} {'PSNR':>6}"
)


def row(told: Mapping[str, Any]) -> str:
    """A row of the table on the terminal."""
    peak = "?" if told["peak_mib"] is None else f"{told['peak_mib']:.0f}"
    psnr = "" if told["psnr"] is None else f"{told['psnr']:.2f}"
    return (
        f"{told['name']:22} {told['runner']:12} {told['size']:5} {told['threads']:7}"
        f" {told['seconds_min']:9.3f} {told['seconds_per_megapixel']:13.2f} {peak:>9}"
        f" {told['file_mb']:8.1f} {psnr:>6}"
    )


def write(rows: list[dict[str, Any]], details: dict[str, Any], folder: Path) -> None:
    """Write rivals.json, and rivals.png where something was measured."""
    facts = machine.facts()
    facts["versions"] |= {program: machine.installed(program) for program in PROGRAMS}
    report = Report(
        kind="rivals",
        title=facts["processor"],
        command=origin.command(),
        machine=facts,
        columns=COLUMNS,
        details=details,
        rows=rows,
    )
    reporting.write(report, folder / "rivals.json")
    figure = rivals.draw(report)
    if figure is not None:
        write_whole(folder / "rivals.png", lambda file: figure.savefig(file, dpi=110))
