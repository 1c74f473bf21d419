"""The format of all reports: the command, the machine, and the figures as rows.

A report is a JSON object with these keys:

    format    "vmambair report"
    version   1
    kind      "comparison" (vmambair compare), "benchmark" (vmambair bench), "rivals" (vmambair
              bench --rivals) or "training"
    title     its subject: a data set, a processor, a run
    command   that made it
    machine   what the figures depend on: processor, memory, system, versions, ...
    columns   the measured quantities, by their names in the rows: label, with the unit; decimals
              in tables; which direction is better, "higher", "lower" or null
    details   further contents
    rows      an object for each measurement: its subject, and a value for each column:
              a number, "inf", or null (or no key) where there is none

A row of a comparison has an image and a method. The details have the border (pixels left out at
each side), the channel ("Y" or "RGB"), the places of the ground truth and of each method, and what
is needed to run the computing methods again.

A row of a benchmark has the name, the size (height and width of the input), the passes, batch,
threads and channels (of a scan; 0 for a network). The details have the device, the minutes that it
took, the figures (ratios of rows, with their targets) and the skipped cases, with the reason.

A row of rivals has the name of a network, its scale and what it was trained for, the runner (the
program), the size (height and width of the photograph) and the threads. The details have the
minutes, the photographs for quality, and the skipped cases, with the reason.

A row of a training has the iter, the dataset and the time of a validation, and the seconds of the
steps before it (processor time on a CPU). A training only writes its rows, a line each, into
metrics.jsonl; ``reading`` turns them into a report.
"""

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..files import write_whole

FORMAT = "vmambair report"
VERSION = 1
# The keys that each row must have besides its values, by kind of report.
NEEDED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "comparison": {"image": str, "method": str},
    "benchmark": {
        **{"name": str, "size": int, "passes": str},
        **{"batch": int, "threads": int, "channels": int},
    },
    "rivals": {"name": str, "runner": str, "size": int, "threads": int, "scale": int},
    "training": {"iter": (int, str), "dataset": str},  # a test's iter is its name
}

Value = int | float | str | bool | None


class Column(BaseModel):
    """A quantity of a report's rows.

    Args:
        label: its heading, with the unit.
        decimals: in tables.
        better: which direction is better; None if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    decimals: int = Field(ge=0, le=15)
    better: Literal["higher", "lower"] | None = None


class Report(BaseModel):
    """A report; see the module for its fields.

    In memory infinite values are floats.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal["vmambair report"] = FORMAT
    version: Literal[1] = VERSION
    kind: Literal["comparison", "benchmark", "rivals", "training"]
    title: str
    command: str
    machine: dict[str, Any]
    columns: dict[str, Column] = Field(min_length=1)
    details: dict[str, Any] = {}
    rows: list[dict[str, Value]]

    @model_validator(mode="after")
    def _check_rows(self) -> "Report":
        """Check that every row has the keys of its kind, and numbers in the columns."""
        for number, row in enumerate(self.rows, 1):
            for key, types in NEEDED[self.kind].items():
                if not isinstance(row.get(key), types):
                    raise ValueError(f"row {number} has {row.get(key)!r} as its {key}")
            for name in self.columns:
                if row.get(name) == "inf":
                    row[name] = math.inf
                if not isinstance(row.get(name), (int, float, type(None))):
                    raise ValueError(f"row {number} has {row[name]!r} as its {name}")
        return self


def write(report: Report, path: Path) -> None:
    """Write a report as JSON with a line for each row, completely or not at all.

    Raises: OSError: the file cannot be written. ValueError: a value is not a number (NaN).
    """
    content = report.model_dump()
    lines = [json.dumps(_plain(row), allow_nan=False) for row in content.pop("rows")]
    head = json.dumps(content, indent=1, allow_nan=False).removesuffix("\n}")
    text = head + ',\n "rows": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    write_whole(path, text.encode())


def _plain(row: dict[str, Value]) -> dict[str, Value]:
    """A row for JSON, which has no infinity."""
    return {key: "inf" if value == math.inf else value for key, value in row.items()}
