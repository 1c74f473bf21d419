"""Trainings, one after the other, each for a given time or number of iterations."""

import itertools
import json
import os
import re
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
import yaml
from basicsr.utils.registry import ARCH_REGISTRY
from photographs import Sets

from vmambair_arch.errors import InputError
from vmambair_arch.files import write_whole
from vmambair_arch.option_files import options as option_files
from vmambair_arch.training import pipeline

Row = dict[str, Any]
FOREVER = 1e9  # seconds
# The sections that decide what is trained, and what of them a continued run may change.
DECISIVE = ("model_type", "scale", "datasets", "network_g", "train")
LIMITS = ("max_seconds", "total_iter")


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Args:
        file: its final network.
        options: the section network_g.
        rows: of its validations: iter, seconds and psnr.
    """

    file: Path
    options: dict[str, Any]
    rows: list[Row]

    def at(self, iteration: int) -> "Trained":
        """This training as of an iteration: with the rows until then."""
        return replace(self, rows=[row for row in self.rows if row["iter"] <= iteration])


class Trainings:
    """Trains networks, unless that was done before.

    Args:
        contest: the comparison's .yml file.
        sets: of pictures.
        output: the folder for options/NAME.yml, metrics/NAME.jsonl and runs/NAME.
        plugins: Python files that register networks.
    """

    def __init__(self, contest: dict[str, Any], sets: Sets, output: Path, plugins: list[str]):
        self.contest, self.sets, self.output, self.plugins = contest, sets, output, plugins
        for folder in ("options", "metrics", "runs"):
            (output / folder).mkdir(parents=True, exist_ok=True)

    def train(
        self,
        name: str,
        *,
        options: dict[str, Any] | None = None,
        seed: int = 0,
        seconds: float | None = None,
        iterations: int | None = None,
    ) -> Trained:
        """Train a network to its end, from its last state or from scratch.

        Args:
            name: of a network or an ablation.
            options: in which an ablation differs.
            seed: of all random numbers, including the initial weights.
            seconds, iterations: the limit.
        """
        given = self.contest["networks"][name if options is None else self.contest["of"]]
        network = {**given["network_g"], **(options or {})}
        slug = folder_name(name) + (f"_seed{seed}" if seed else "")
        slug += "_ablation" if options is not None else ""
        file = self.output / "options" / f"{slug}.yml"
        root = self.output / "runs" / slug
        text = self._options(slug, given, network, seed, seconds, iterations)
        if root.is_dir() and file.is_file():
            _check_unchanged(name, root, yaml.safe_load(file.read_text()), yaml.safe_load(text))
        write_whole(file, text.encode())
        latest = root / "models/net_g_latest.pth"
        if not (latest.exists() and _has_ended(_rows(root), seconds, iterations)):
            opt = option_files.read(file, is_train=True, auto_resume=True, plugins=self.plugins)
            _warm_up(network)
            pipeline.train(opt)
        rows = _rows(root)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_whole(self.output / "metrics" / f"{slug}.jsonl", text.encode())
        return Trained(latest, network, rows)

    def _options(
        self,
        slug: str,
        given: dict[str, Any],
        network: dict[str, Any],
        seed: int,
        seconds: float | None,
        iterations: int | None,
    ) -> str:
        """An option file."""
        opt = {"name": slug, **deepcopy(self.contest["options"]), "manual_seed": seed}
        opt["model_type"] = given.get("model_type", opt["model_type"])
        opt["datasets"]["train"].update(name="train", **self.sets.train)
        opt["datasets"]["val"] = {
            **{k: v for k, v in opt["datasets"]["train"].items() if k.endswith("_range")},
            **opt["datasets"]["val"],
            **{"name": "val", **self.sets.val},
        }
        opt["network_g"] = network
        opt["path"] = {"experiments_root": os.path.relpath(self.output / "runs")}
        # Validations record the seconds only if there is a limit.
        opt["train"]["max_seconds"] = FOREVER if seconds is None else seconds
        if iterations is not None:
            opt["train"]["total_iter"] = iterations
        return yaml.safe_dump(opt, sort_keys=False)


def folder_name(network: str) -> str:
    """The name of a network as that of a folder."""
    return re.sub(r"\W+", "_", network)


def _check_unchanged(name: str, root: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise InputError if a network was trained with options that have changed since."""
    changed = [key for key in DECISIVE if _decisive(before, key) != _decisive(now, key)]
    if changed:
        raise InputError(
            f"{name} was trained in {root} with another {' and '.join(changed)}; give it another"
            " name or another --output, or remove that folder"
        )


def _decisive(options: dict[str, Any], key: str) -> Any:
    """A section without what a continued run may change: its limits and the places of its data."""
    section = options.get(key)
    if key == "datasets":
        section = section["train"]
    if not isinstance(section, dict):
        return section
    return {k: v for k, v in section.items() if k not in LIMITS and not k.startswith("dataroot_")}


def close(
    trained: dict[str, list[Trained]], difference: float, *, to: str | None = None
) -> list[str]:
    """Names of the networks of one seed with a PSNR close to another's, or only to ``to``'s.

    Close is within ``difference``, or within the standard deviation of one that has several seeds.
    """
    values = {name: [run.rows[-1]["psnr"] for run in runs] for name, runs in trained.items()}
    found = set()
    for name, other in itertools.permutations(values, 2):
        apart = abs(fmean(values[name]) - fmean(values[other]))
        spread = max(stdev(v) if len(v) > 1 else 0.0 for v in (values[name], values[other]))
        if to in (None, name, other) and apart < max(difference, spread):
            found |= {name, other}
    return [name for name in values if name in found and len(values[name]) == 1]


def _warm_up(network: dict[str, Any]) -> None:
    """Compile kernels that are new to this machine, so that it is not counted as training."""
    options = {key: value for key, value in network.items() if key != "type"}
    made = ARCH_REGISTRY.get(network["type"])(**options)
    made(torch.rand(1, 3, 32, 32)).sum().backward()


def _has_ended(rows: list[Row], seconds: float | None, iterations: int | None) -> bool:
    if not rows:
        return False
    last = rows[-1]
    by_time = seconds is not None and last["seconds"] >= seconds
    return by_time or iterations is not None and last["iter"] >= iterations


def _rows(root: Path) -> list[Row]:
    """The validations of a training, without their timestamps."""
    path = root / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines]
    return [{key: value for key, value in row.items() if key != "time"} for row in rows]
