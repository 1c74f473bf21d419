"""The JSON schema for editors is current, and the shipped option files follow it."""

import functools
import json

import jsonschema
import pytest
import yaml

from support import OPTIONS
from vmambair_arch.option_files import check, yaml_lines, yaml_values
from vmambair_arch.option_files.schemas import (
    data_sets,
    descriptions,
    generate,
    sections,
)
from vmambair_arch.option_values import kinds


def test_the_json_schema_is_current():
    # python -m vmambair_arch.option_files.schemas.generate writes it.
    assert generate.PATH.read_text() == generate.text()


def test_the_page_of_options_is_current():
    # The same command writes it.
    assert generate.DOCS.read_text() == generate.page()


def test_every_key_of_a_section_has_a_meaning():
    models = [sections.OwnDegradedGAN, sections.Paths, sections.Logger, sections.ValidationSection]
    models += [sections.TrainGAN, sections.TrainEDVR, sections.TrainRecurrentGAN]
    keys = set().union(*map(kinds.names, [*models, *data_sets.sections().values()]))
    assert [key for key in sorted(keys) if not descriptions.describe(key)] == []


def test_every_option_of_our_networks_has_the_meaning_from_its_docstring():
    definitions = json.loads(generate.PATH.read_text())["definitions"]
    for network in ("VmambaIR", "Restormer", "Mamber32", "OSSBlock", "OSSModule", "EFFN"):
        options = definitions[network]["properties"]
        assert [o for o in options if not options[o].get("description")] == []
    assert definitions["VmambaIR"]["properties"]["scale"]["description"] == "1, 2, 3, 4 or 8"
    assert "BiasFree" in definitions["Mamber32"]["properties"]["LayerNorm_type"]["description"]


@functools.cache
def validator(path):
    """A validator of the schema, which is itself checked to be valid; that takes long."""
    schema = json.loads(path.read_text())
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@pytest.mark.parametrize("path", sorted(OPTIONS.glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_files_name_the_json_schema_and_follow_it(path):
    named = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    schema = validator(path.parent / named)
    opt = yaml.load(path.read_text(), yaml_values.Loader)
    schema.validate(opt)
    opt["datasets"][next(iter(opt["datasets"]))]["dataroot_gtt"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="dataroot_gtt"):
        schema.validate(opt)


@pytest.mark.parametrize("path", sorted(OPTIONS.glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_files_have_no_problems(path):
    file = yaml_lines.load(path)
    found = check.check(file, is_train=not path.stem.startswith("test"))
    assert found == check.OptionReport()
