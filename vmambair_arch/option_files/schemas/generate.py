"""Generates ``options.json``, the JSON schema with which editors complete and check option files.

    python -m vmambair_arch.option_files.schemas.generate

writes it, and docs/options.md where there are docs. It holds what does not depend on the release of
BasicSR: the sections, the data sets and our own networks; what BasicSR registers is checked when an
option file is read.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ... import plugin  # noqa: F401  # BasicSR imports only after compat
from ...option_values.data_sets import DataSet
from ...option_values.kinds import Section, names
from . import data_sets, sections, signatures
from .descriptions import describe
from .families import family

from basicsr.utils import registry  # isort: skip

PATH = Path(__file__).with_name("options.json")
DOCS = Path(__file__).parents[3] / "docs" / "options.md"
PAGE = """
# Options of trainings and tests

All keys that an option file may have, except those of losses, metrics, optimizers, schedulers and
BasicSR's networks, which are the arguments of their constructors.
The networks of VmambaIR's and Restormer's own option files (`MambaSISR6` and the like) have their
original names for some keys: `inp_channels`, `LayerNorm_type`, `dual_pixel_task`.
`vmambair check -opt FILE` reads a file as a training does, and says what is wrong with it, where,
and what to write instead. This page is generated from the checks themselves.
"""
WORDS = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "string": "text",
    "object": "section",
}
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
Schema = dict[str, Any]


def document() -> Schema:
    """The schema, as JSON Schema draft 7."""
    families = {name: family(model) for name, model in sorted(registry.MODEL_REGISTRY)}
    known = {name.removesuffix("_basicsr"): found for name, found in families.items() if found}
    generals = {found.general for found in known.values()}
    trains = {found.train for found in known.values()}
    networks = _networks()
    shared: set[type[BaseModel]] = {sections.Paths, sections.ValidationSection, sections.Logger}
    # Sorted, so that the file does not change from run to run.
    models = sorted(
        {*shared, *generals, *trains, *networks.values(), *data_sets.sections().values()},
        key=lambda model: model.__name__,
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/definitions/{model}"
    )
    network = _by_type(networks)
    widest = max(generals, key=lambda general: len(names(general)))
    properties = dict(_described(definitions["$defs"][widest.__name__])["properties"])
    properties |= {
        "datasets": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": _by_type(data_sets.sections()),
        },
        "network_g": network,
        "network_d": {"anyOf": [network, {"type": "null"}]},
        "path": _or_null(sections.Paths),
        "val": _or_null(sections.ValidationSection),
        "logger": _or_null(sections.Logger),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Option file of BasicSR with vmambair-arch",
        "type": "object",
        "required": sorted(n for n, f in sections.General.model_fields.items() if f.is_required()),
        "properties": properties,
        "patternProperties": {"^network_": {"anyOf": [network, {"type": "null"}]}},
        "additionalProperties": False,
        "allOf": [
            _when("model_type", name, {"properties": {"train": _or_null(found.train)}})
            for name, found in known.items()
        ],
        "definitions": {name: _described(model) for name, model in definitions["$defs"].items()},
    }


def _networks() -> dict[str, type[BaseModel]]:
    """The options of our networks, by their registered names."""
    return {
        name: signatures.model(network)
        for name, network in sorted(registry.ARCH_REGISTRY)
        if network.__module__.startswith("vmambair_arch.")
    }


def _described(model: Schema) -> Schema:
    """Replace the titles, which repeat the keys, by descriptions."""
    properties = {
        name: {key: value for key, value in schema.items() if key != "title"}
        | (
            {"description": text}
            if "description" not in schema and (text := describe(name))
            else {}
        )
        for name, schema in model.get("properties", {}).items()
    }
    return model | {"properties": properties}


def _by_type(models: Mapping[str, type[BaseModel]]) -> Schema:
    """A mapping whose ``type`` selects its model; with other types it may have any keys."""
    known = [_when("type", name, _reference(model)) for name, model in models.items()]
    return {"type": "object", "required": ["type"], "allOf": known}


def _when(key: str, value: str, then: Schema) -> Schema:
    return {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": then}


def _or_null(model: type[BaseModel]) -> Schema:
    return {"anyOf": [_reference(model), {"type": "null"}]}


def _reference(model: type[BaseModel]) -> Schema:
    return {"$ref": f"#/definitions/{model.__name__}"}


def text() -> str:
    """The file's content."""
    return json.dumps(document(), indent=1) + "\n"


def page() -> str:
    """docs/options.md: a table of keys for each section, in the order of an option file."""
    tables: dict[str, type[BaseModel]] = {
        "The top level": sections.General,
        "The top level of models that degrade": sections.OwnDegradedGAN,
        "path": sections.Paths,
        "train": sections.TrainGAN,
        "val": sections.ValidationSection,
        "logger": sections.Logger,
        "Every data set": DataSet,
        **data_sets.sections(),
        **{f"network_g: {name}": _networks()[name] for name in ("VmambaIR", "Restormer")},
    }
    lines = [PAGE.strip()]
    for title, model in tables.items():
        bases = [base for base in (sections.General, DataSet) if base in model.__mro__[1:]]
        above = names(bases[0]) if bases else set() if issubclass(model, Section) else {"type"}
        schema = _described(model.model_json_schema())
        lines += ["", f"## {title}", "", "| key | value | default | meaning |", "| - " * 4 + "|"]
        for name, about in schema["properties"].items():
            if name in model.__annotations__ or name not in above:
                default = "" if about.get("default") is None else f"`{_yaml(about['default'])}`"
                default = "*required*" if name in schema.get("required", ()) else default
                cells = (f"`{name}`", _values(about), default, about.get("description", ""))
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _values(about: Schema) -> str:
    """The values of a key, in words."""
    kinds = [kind for kind in about.get("anyOf", [about]) if kind.get("type") != "null"]
    return " or ".join(filter(None, map(_value, kinds)))


def _value(kind: Schema) -> str:
    choices = kind.get("enum", [kind["const"]] if "const" in kind else [])
    if choices:
        return ", ".join(f"`{_yaml(choice)}`" for choice in choices if choice is not None)
    if kind.get("type") == "array":
        return f"list of: {_values(kind.get('items', {}))}".removesuffix(" of: ")
    word = WORDS.get(kind.get("type", "object" if "$ref" in kind else ""), "")
    bounds = [f"{sign} {kind[b]:g}" for b, sign in BOUNDS.items() if abs(kind.get(b, 1e9)) < 1e9]
    return ", ".join([word, *bounds])


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    PATH.write_text(text())
    if DOCS.parent.is_dir():
        DOCS.write_text(page())
