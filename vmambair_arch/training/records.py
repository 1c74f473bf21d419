"""Records: a JSON line per validation in metrics.jsonl, and the curves drawn from them."""

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_whole

NAME = "metrics.jsonl"


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of a training's metrics.jsonl, none if its folder has no such file.

    Raises: InputError: a line is damaged.
    """
    path, lines = folder / NAME, []
    if not path.is_file():
        return []
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        if not text.endswith(b"}"):  # our first version appended, and could be killed meanwhile
            continue
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or not isinstance(line.get("iter"), int):
            raise InputError(f"{path}:{number}: damaged; correct the line or remove it")
        lines.append(line)
    return lines


class Records:
    """The lines of metrics.jsonl in a folder, those of earlier processes included.

    Lines that cannot be written (to a full disk, for example) are written with the next ones.

    Args:
        folder: of the experiment.
        until: the iteration that training resumes from; later lines are dropped.
    """

    def __init__(self, folder: Path, *, until: int | None = None):
        self.path = folder / NAME
        self.lines: list[dict[str, Any]] = []
        if until is not None:
            lines = read_lines(folder)
            self.lines = [line for line in lines if line["iter"] <= until]
            if len(self.lines) < len(lines):
                self._write()

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line: iter, dataset, times, and each metric by its name; NaN becomes null."""
        missing = {k: None for k, v in line.items() if isinstance(v, float) and math.isnan(v)}
        self.lines.append({**line, **missing})
        self._write()

    def draw(self) -> None:
        """Draw curves.png in the same folder: a panel per metric, a curve per data set."""
        # Matplotlib would make every start a second longer.
        from ..reporting.plots import curves, letters

        figure = curves.draw({"": self.lines})
        if figure is None:
            return
        self._try(lambda file: letters.save(figure, file, format="png", dpi=120), "curves.png")

    def _write(self) -> None:
        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        self._try(text.encode(), self.path.name)

    def _try(self, write: Any, name: str) -> None:
        """Write a file of the folder, or log that the next validation tries again."""
        try:
            write_whole(self.path.with_name(name), write)
        except OSError as error:
            log = logging.getLogger("basicsr")
            log.error(f"{name} cannot be written ({error}); the next validation tries again")
