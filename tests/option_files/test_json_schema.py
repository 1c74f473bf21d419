"""The JSON schema for editors is current, and the shipped option files follow it."""

import json

import jsonschema
import pytest
import yaml

from support import OPTIONS
from vmambair_arch.option_files import check, yaml_lines
from vmambair_arch.option_files.schemas import generate


def test_the_json_schema_is_current():
    # python -m vmambair_arch.option_files.schemas.generate writes it.
    assert generate.PATH.read_text() == generate.text()


@pytest.mark.parametrize("path", sorted(OPTIONS.glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_files_name_the_json_schema_and_follow_it(path):
    named = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((path.parent / named).read_text())
    opt = yaml.load(path.read_text(), yaml_lines.Loader)
    jsonschema.validate(opt, schema)
    opt["datasets"][next(iter(opt["datasets"]))]["dataroot_gtt"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="dataroot_gtt"):
        jsonschema.validate(opt, schema)


@pytest.mark.parametrize("path", sorted(OPTIONS.glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_files_are_clean(path):
    file = yaml_lines.load(path)
    found = check.check(file, is_train=not path.stem.startswith("test"))
    assert found == check.OptionReport()
