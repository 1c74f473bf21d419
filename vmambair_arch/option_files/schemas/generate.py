"""The JSON schema by which editors complete and check option files: ``options.json`` beside this.

    python -m vmambair_arch.option_files.schemas.generate

writes it anew. It holds what does not depend on the release of BasicSR: the sections, the data
sets and our own networks; what BasicSR registers is checked when an option file is read.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from . import sections, signatures
from .data_sets import DATA_SETS
from .families import family
from .fields import names

PATH = Path(__file__).with_name("options.json")
Schema = dict[str, Any]


def document() -> Schema:
    """The schema, as JSON Schema draft 7."""
    from ... import plugin  # noqa: F401  # BasicSR imports only after compat
    from basicsr.utils import registry  # isort: skip

    families = {name: family(model) for name, model in sorted(registry.MODEL_REGISTRY)}
    known = {name.removesuffix("_basicsr"): found for name, found in families.items() if found}
    generals = {found.general for found in known.values()}
    trains = {found.train for found in known.values()}
    networks = {
        name: signatures.model(network)
        for name, network in sorted(registry.ARCH_REGISTRY)
        if network.__module__.startswith("vmambair_arch.")
    }
    shared: set[type[BaseModel]] = {sections.Paths, sections.ValidationSection, sections.Logger}
    models = sorted(
        {*shared, *generals, *trains, *networks.values(), *DATA_SETS.values()},
        key=lambda model: model.__name__,
    )  # sorted, so that the file does not change from run to run
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/definitions/{model}"
    )
    network = _by_type(networks)
    widest = max(generals, key=lambda general: len(names(general)))
    properties = dict(_untitled(definitions["$defs"][widest.__name__])["properties"])
    properties |= {
        "datasets": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": _by_type(DATA_SETS),
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
        "definitions": {name: _untitled(model) for name, model in definitions["$defs"].items()},
    }


def _untitled(model: Schema) -> Schema:
    """Without the titles that repeat the names of keys."""
    properties = {
        name: {key: value for key, value in schema.items() if key != "title"}
        for name, schema in model.get("properties", {}).items()
    }
    return model | {"properties": properties}


def _by_type(models: Mapping[str, type[BaseModel]]) -> Schema:
    """A mapping whose type says which model it follows; any keys, if the type is another."""
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


if __name__ == "__main__":
    PATH.write_text(text())
