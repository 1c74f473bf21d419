"""The page of a comparison: its tables in Markdown and LaTeX, its pictures, and the time spent."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from outcome import Findings, Runs
from trainings import Trained

from vmambair_arch.files import write_whole
from vmambair_arch.reporting import Column, Report, latex, markdown, tables
from vmambair_arch.reporting.columns import METRICS
from vmambair_arch.reporting.tables import Cell, Table

PSNR = METRICS["psnr"]
ITERATIONS = Column(label="iterations", decimals=0)
SEEDS = Column(label="seeds", decimals=0)
SPREAD = Column(label="standard deviation", decimals=3)
PARAMETERS = Column(label="parameters (M)", decimals=3)
MULTIPLY_ADDS = Column(label="multiply-adds (G)", decimals=2)
PRODUCTS = Column(label="without the scans", decimals=2)
ACTIVATIONS = Column(label="activations (M)", decimals=1)
SECONDS = Column(label="s per megapixel", decimals=2)
MIB = Column(label="MiB", decimals=0)
SIZES = [PARAMETERS, MULTIPLY_ADDS, PRODUCTS, ACTIVATIONS, SECONDS, MIB]


def write(found: Findings, output: Path) -> None:
    """Write README.md and tables.tex."""
    common = min(_last_common(runs[0], found.contest) for runs in found.networks.values())
    parts = {
        f"At equal time: {found.seconds:g} s of training each": tables.table(
            [*found.reports.values()]
        ),
        "At equal time, on the photographs of val": validated(found.networks),
        f"At equal iterations: {common}, on the photographs of val": validated(
            {name: [run.at(common) for run in runs] for name, runs in found.networks.items()}
        ),
        "Size and speed, of a result of 256 x 256": sizes(found.speed),
    }
    if found.ablations:
        until = next(iter(found.ablations.values()))[0].rows[-1]["iter"]
        parts[f"{found.contest['of']} after {until} iterations, on the photographs of val"] = (
            validated(found.ablations)
        )
    text = _head(found)
    text += "".join(f"\n## {title}\n\n{markdown.render(t)}" for title, t in parts.items())
    write_whole(output / "README.md", (text + _pictures(output, [*found.reports])).encode())
    tex = "\n".join(f"% {title}\n{latex.render(table)}" for title, table in parts.items())
    write_whole(output / "tables.tex", tex.encode())


def validated(runs: Runs) -> Table:
    """The last validation of each network: mean and spread over its seeds."""
    rows = []
    for name, seeds in runs.items():
        values = [run.rows[-1]["psnr"] for run in seeds]
        spread = stdev(values) if len(values) > 1 else None
        iterations = fmean(run.rows[-1]["iter"] for run in seeds)
        cells = [Cell(fmean(values)), Cell(spread), Cell(len(values)), Cell(iterations)]
        rows.append((name, cells))
    return Table("network", [("val", [PSNR, SPREAD, SEEDS, ITERATIONS])], rows).ranked()


def sizes(speed: Report) -> Table:
    """Parameters, multiply-adds, time and memory of a forward pass."""
    rows = []
    for row in speed.rows:
        pixels = (row["size"] * row["scale"]) ** 2
        cells = [
            Cell(row["parameters"] / 1e6),
            Cell(row["multiply_adds"] / 1e9),
            Cell(row["products"] / 1e9),
            Cell(row["activations"] / 1e6),
            Cell(row["seconds_min"] / pixels * 1e6),
            Cell(row["peak_mib"]),
        ]
        rows.append((str(row["name"]), cells))
    return Table("network", [("", SIZES)], rows).ranked()


def _last_common(run: Trained, contest: dict[str, Any]) -> int:
    """The last iteration at which every network is validated."""
    every = contest["options"]["val"]["val_freq"]
    return max(
        (r["iter"] for r in run.rows if r["iter"] % every == 0), default=run.rows[-1]["iter"]
    )


def _head(found: Findings) -> str:
    seeds = [*found.networks.values(), *found.ablations.values()]
    every = [run for runs in seeds for run in runs]
    spent = sum(seconds for seconds in {str(r.file): r.rows[-1]["seconds"] for r in every}.values())
    missing = "".join(
        f"\n{name} is missing: no package registered it.\n" for name in found.left_out
    )
    train = found.contest["options"]["train"]
    loss, optimizer, ema = train["pixel_opt"]["type"], train["optim_g"], train["ema_decay"]
    processor = found.speed.machine["processor"]
    close, most, hours = found.contest["close"], max(map(len, seeds)), f"{spent / 3600:.2f}"
    several = (
        f"Networks closer to another on val than {close:g} dB or the standard deviation are trained"
        f" with {most} seeds."
    )
    return f"""# {", ".join(found.networks)}, trained from scratch in the same way

Made by `python experiments/comparisons/compare.py`, which wrote this page; `experiments/README.md`
says what it shows and what it does not. {len(every)} trainings, {hours} hours of processor time in
their steps, on one core of: {processor}. `options/` has their option files and
`metrics/` every validation.

Loss {loss}, {optimizer["type"]} with a constant rate of {optimizer["lr"]:g}; what is measured is
the average of the weights, of decay {ema:g}. PSNR and SSIM are of Y.
{several if most > 1 else "Each network is trained once."}
{missing}"""


def _pictures(output: Path, sets: Sequence[str]) -> str:
    """Links to the pictures that exist."""
    titles = {
        "psnr_over_seconds.png": "PSNR over the seconds of training",
        "psnr_over_iter.png": "PSNR over the iterations",
        "ablations.png": "PSNR of the ablations",
        "quality_beside_rivals.png": "PSNR over time, beside those of vmambair bench --rivals",
    }
    for name in sets:
        titles[f"{name}/quality_over_speed.png"] = f"{name}: PSNR over seconds per megapixel"
        titles[f"{name}/best.png"] = f"{name}: where it leads most"
        titles[f"{name}/worst.png"] = f"{name}: where it leads least, or trails most"
    there = {path: title for path, title in titles.items() if (output / path).exists()}
    return "".join(f"\n## {title}\n\n![{title}]({path})\n" for path, title in there.items())
