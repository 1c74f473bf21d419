"""The output of a run of the rivals: rows on the terminal, a JSON report, a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....reporting import Column
from ....reporting.plots import rivals
from ..report import measured, write_files
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
    f"{'':22} {'':12} {'size':>5} {'threads':>7} {'least s':>9} {'s per megapixel':>15}"
    f" {'peak MiB':>9} {'file MB':>8} {'PSNR':>6}"
)


def row(result: Mapping[str, Any]) -> str:
    """A row of the table on the terminal."""
    peak = "?" if result["peak_mib"] is None else f"{result['peak_mib']:.0f}"
    psnr = "" if result["psnr"] is None else f"{result['psnr']:.2f}"
    return (
        f"{result['name']:22} {result['runner']:12} {result['size']:5} {result['threads']:7}"
        f" {result['seconds_min']:9.3f} {result['seconds_per_megapixel']:15.2f} {peak:>9}"
        f" {result['file_mb']:8.1f} {psnr:>6}"
    )


def write(rows: list[dict[str, Any]], details: dict[str, Any], path: Path) -> None:
    """Write a report, and beside it its plot where something was measured."""
    found = measured("rivals", COLUMNS, rows, details, PROGRAMS)
    write_files(found, rivals.draw(found), path)
