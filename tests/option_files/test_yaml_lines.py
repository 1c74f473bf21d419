"""Option files as YAML: what cannot be meant is refused with its line, and nothing is executed."""

import pytest

from vmambair_arch.errors import InputError
from vmambair_arch.option_files import yaml_lines

YAMLS = [
    ("a: 1\nb: 2\na: 3\n", "f.yml:3: a: repeats line 1"),
    ("a: &x [1]\nb: *y\n", "f.yml:2: broken YAML: found undefined alias"),
    ("a: &a {b: *a}\n", "f.yml:1: broken YAML: aliases that repeat too much"),
    ("a: 1\nb: " + "[" * 5000, "f.yml:2: broken YAML"),
    ("a: " + "9" * 30, "f.yml:1: a: a number of more than 18 digits"),
    ("a: " + "9" * 6000, "f.yml:1: a: '9999"),
    ("a: !!python/object/apply:os.abort []", "f.yml:1: broken YAML"),
    ("on: 1\n", "f.yml:1: broken YAML: 'on' is no name; put it in quotes"),
    ("a: 1\n\tb: 2\n", "f.yml:2: broken YAML"),
    ("x: \x07", "f.yml:1: broken YAML"),
    ("<<: 3\n", "f.yml:1: broken YAML: << merges mappings only"),
]


@pytest.mark.parametrize(("text", "sentence"), YAMLS)
def test_yaml_that_cannot_be_meant(text, sentence):
    with pytest.raises(InputError) as raised:
        yaml_lines.parse(text, "f.yml")
    assert str(raised.value).startswith(sentence)


def test_aliases_that_multiply_are_refused_at_once():
    lists = [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)]
    with pytest.raises(InputError, match="aliases that repeat too much"):
        yaml_lines.parse("a0: &a0 [x]\n" + "".join(lists), "f.yml")


def test_anchors_and_merges_work_and_keep_their_lines():
    file = yaml_lines.parse("a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  y: 3\n", "f.yml")
    assert file.options["b"] == {"x": 1, "y": 3}
    assert file.where(("b", "y")) == "f.yml:6: b.y"
    assert file.where(("b", "x")) == "f.yml:2: b.x"  # where it is written
