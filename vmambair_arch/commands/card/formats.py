"""The facts of a network as a model card, as OpenModelDB's JSON and as modelspec's metadata."""

import json
from typing import Any

import yaml

from .facts import Facts

TAGS = ("image-to-image", "image-restoration", "vmambair-arch")
# SPDX's names of licences that are not the hub's in capitals.
SPDX = {name.lower(): name for name in ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "Unlicense")}


def markdown(facts: Facts, *, hub: str | None = None) -> str:
    """A model card: YAML that the Hugging Face Hub reads, and Markdown for people.

    Args:
        facts: of the network.
        hub: the address user/name under which it will be found.
    """
    head: dict[str, Any] = {
        "library_name": "vmambair-arch",
        "pipeline_tag": "image-to-image",
        "tags": [*TAGS, facts.architecture, *(["super-resolution"] if facts.scale > 1 else [])],
    }
    if facts.license:
        head["license"] = facts.license
    model = f"hf:{hub}" if hub else facts.file
    lines = [f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n", f"# {facts.name}\n"]
    lines.append(f"{facts.architecture}, {facts.parameters:,} parameters: {facts.purpose}.\n")
    if facts.description:
        lines.append(f"{facts.description}\n")
    lines += [f"![before](<{before}>) ![after](<{after}>)\n" for before, after in facts.examples]
    lines.append("## Use\n\n    pip install vmambair-arch")
    lines.append(f"    vmambair restore photo.jpg -o restored.png -m {model}\n")
    lines.append("| | |\n| --- | --- |")
    lines += [f"| {name} | {_cell(value)} |" for name, value in _rows(facts).items() if value]
    return "\n".join(lines) + "\n"


def openmodeldb(facts: Facts) -> str:
    """An entry of OpenModelDB (data/models/SCALEx-NAME.json), without unknown facts."""
    kind = "safetensors" if facts.file.endswith(".safetensors") else "pth"
    resource = {"platform": "pytorch", "type": kind, "size": facts.size, "sha256": facts.sha256}
    entry = {
        "name": facts.name,
        "author": facts.author,
        "license": facts.license and SPDX.get(facts.license.lower(), facts.license.upper()),
        "tags": ["general-upscaler"] if facts.scale > 1 else ["restoration"],
        "description": facts.description,
        "date": facts.day,
        "architecture": facts.architecture.lower(),
        "size": [f"{facts.options['dim']}dim"] if "dim" in facts.options else None,
        "scale": facts.scale,
        "inputChannels": facts.channels[0],
        "outputChannels": facts.channels[1],
        "resources": [{**resource, "urls": []}],
        "trainingIterations": facts.iterations,
        "dataset": facts.data,
        "images": [{"type": "paired", "LR": lr, "SR": sr} for lr, sr in facts.examples],
    }
    return json.dumps({k: v for k, v in entry.items() if v is not None}, indent=2) + "\n"


def modelspec(facts: Facts) -> dict[str, str]:
    """Metadata of a .safetensors file (ModelSpec 1.0.0)."""
    spec = {
        "sai_model_spec": "1.0.0",
        "architecture": facts.architecture,
        "implementation": "vmambair-arch",
        "title": facts.name,
        "author": facts.author,
        "license": facts.license,
        "description": facts.description or facts.purpose,
        "date": facts.day,
        "usage_hint": f"scale {facts.scale}",
        "tags": ", ".join(TAGS),
    }
    return {f"modelspec.{name}": value for name, value in spec.items() if value}


def _cell(value: str) -> str:
    """A text as it stands in a table."""
    return " ".join(value.split()).replace("|", r"\|")


def _rows(facts: Facts) -> dict[str, str]:
    """The table of a card."""
    options = ", ".join(f"{name} {value}" for name, value in facts.options.items())
    return {
        "scale": str(facts.scale),
        "channels in, out": ", ".join(map(str, facts.channels)),
        "options": options,
        "trained on": facts.data or "",
        "iterations": f"{facts.iterations:,}" if facts.iterations is not None else "",
        "losses": ", ".join(facts.losses),
        "optimizer": facts.optimizer or "",
        "precision": facts.precision or "",
        "trained with": ", ".join(f"{name} {number}" for name, number in facts.versions.items()),
        "author": facts.author or "",
        "licence": facts.license or "",
        "file": f"{facts.file}, {facts.size / 1e6:.1f} MB",
        "sha256": f"`{facts.sha256}`",
    }
