"""The facts about a checkpoint: from the file itself, and from its author."""

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ... import checkpoints
from ...system import digests
from .. import networks

# Facts that are in no file, and the options that give them.
ASKED = {
    "author": "--author",
    "license": "--license",
    "description": "--description",
    "data": "--data",
    "examples": "--example BEFORE AFTER",
}


@dataclasses.dataclass(frozen=True)
class Facts:
    """The contents of a card; unknown facts are None or empty.

    Args:
        name: of the network.
        file, size, sha256: name, bytes and digest of its file.
        architecture, options: of the network.
        parameters: their number.
        scale, channels: enlargement; channels of input and output.
        iterations, losses, optimizer, precision: of its training, from the file.
        versions: of the packages that trained it.
        author, license, description, data: from its author; license as the hub writes it
            (apache-2.0, cc-by-4.0).
        examples: pictures before and after.
        day: the date of the card.
    """

    name: str
    file: str
    size: int
    sha256: str
    architecture: str
    options: Mapping[str, Any]
    parameters: int
    scale: int
    channels: tuple[int, int]
    iterations: int | None = None
    losses: tuple[str, ...] = ()
    optimizer: str | None = None
    precision: str | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    author: str | None = None
    license: str | None = None
    description: str | None = None
    data: str | None = None
    examples: tuple[tuple[str, str], ...] = ()
    day: str = dataclasses.field(default_factory=lambda: date.today().isoformat())

    @property
    def purpose(self) -> str:
        """In a few words."""
        return f"enlarges {self.scale} times" if self.scale > 1 else "restores at equal size"

    def missing(self) -> dict[str, str]:
        """The missing facts, each with the option that gives it."""
        return {name: how for name, how in ASKED.items() if not getattr(self, name)}


def gather(path: Path, **given: Any) -> Facts:
    """Read a checkpoint, and add the facts given by its author.

    Args:
        path: the file.
        given: name, author, license, description, data and examples; None where unknown.
    Raises: InputError: it cannot be read, or its network is not known.
    """
    content = checkpoints.read_file(path)
    network: Any = networks.of_content(content, str(path))
    about = _mapping(content, "about")
    options = _mapping(about, "options")
    train = _mapping(options, "train")
    optimizer = _mapping(train, "optim_g").get("type")
    config = {name: value for name, value in network.config.items() if name != "type"}
    own = {name: value for name, value in given.items() if value}
    return Facts(
        **{"name": str(options.get("name") or path.stem), **own},
        **of_file(path),
        architecture=config.pop("architecture", type(network).__name__),
        options=config,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        scale=network.scale,
        channels=(config["in_channels"], config["out_channels"]),
        iterations=about.get("iteration"),
        losses=tuple(_losses(train)),
        optimizer=str(optimizer) if optimizer else None,
        precision=options.get("precision"),
        versions=_mapping(about, "versions"),
    )


def of_file(path: Path) -> dict[str, Any]:
    """The facts of the file that holds the network."""
    return {"file": path.name, "size": path.stat().st_size, "sha256": digests.sha256(path)}


def _losses(train: Mapping[str, Any]) -> Iterator[str]:
    """The types of a training's losses: its sections NAME_opt, and those in ``losses``."""
    named = {key: section for key, section in train.items() if key.endswith("_opt")}
    for section in (*named.values(), *_mapping(train, "losses").values()):
        if isinstance(section, Mapping) and "type" in section:
            yield str(section["type"])


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping inside a file's content; empty if it has none."""
    value = content.get(key)
    return value if isinstance(value, Mapping) else {}
