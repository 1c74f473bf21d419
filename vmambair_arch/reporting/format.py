"""The format of every report: what made it, on which machine, and its figures as rows.

A report is a JSON object with these keys:

    format    "vmambair report"
    version   1
    kind      "comparison" (vmambair compare), "benchmark" (vmambair bench), "rivals" (vmambair
              bench --rivals) or "training"
    title     of what it is: a data set, a processor, a run
    command   that made it
    machine   what the figures depend on: processor, memory, system, versions, ...
    columns   of each quantity that was measured, by its name in the rows: its label, with the unit;
              its decimals in tables; which way is better, "higher", "lower" or null
    details   what else there is to tell
    rows      an object for each thing that was measured: what it was, and a value for each column:
              a number, "inf", or null (or no key) where there is none

A row of a comparison is of an image and a method. Its details have the border (pixels that are not
measured, each side), the channel ("Y" or "RGB"), where the ground truth and each method lie, and by
what those that compute can be run again.

A row of a benchmark has the name, the size (height and width of the input), the passes, batch,
threads and channels (of a scan; 0 for a network). Its details have the device, the minutes that it
took, the figures (ratios of rows, with their targets) and what was skipped, with the reason.

A row of rivals has the name of a network, its scale and for what it was trained, the runner (the
program), the size (height and width of the photograph) and the threads. Its details have the
minutes, the photographs by which quality was judged, and what was skipped, with the reason.

A row of a training has the iter, the dataset and the time of a validation, and the seconds that the
steps before it took (on a CPU processor time). A training writes its rows alone, a line each, into
metrics.jsonl; ``reading`` makes a report of them.
"""

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..files import write_whole

FORMAT = "vmambair report"
VERSION = 1
# What each row has to have beside its values, by the kind of the report.
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
        decimals: that tables show.
        better: which way is better; None where that is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    decimals: int = Field(ge=0, le=15)
    better: Literal["higher", "lower"] | None = None


class Report(BaseModel):
    """A report; the module says what its fields hold.

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
        """Every row has what its kind needs, and numbers in the columns."""
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
    """Write a report as JSON with a line for each row, whole or not at all.

    Raises: OSError: the file cannot be written. ValueError: a value is not a number (NaN).
    """
    content = report.model_dump()
    lines = [json.dumps(_plain(row), allow_nan=False) for row in content.pop("rows")]
    head = json.dumps(content, indent=1, allow_nan=False).removesuffix("\n}")
    text = head + ',\n "rows": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    write_whole(path, text.encode())


def _plain(row: dict[str, Value]) -> dict[str, Value]:
    """A row as JSON has it, which knows no infinity."""
    return {key: "inf" if value == math.inf else value for key, value in row.items()}
