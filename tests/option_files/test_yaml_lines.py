"""Option files as YAML: invalid text is refused with its line, and nothing is executed."""

import sys

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
    ("on: 1\n", "f.yml:1: broken YAML: 'on' is not a name; put it in quotes"),
    ("a: 1\n? [b]\n: 2\n", "f.yml:2: broken YAML: a list or mapping is not a name; correct"),
    ("a: !!int [1]", "f.yml:1: broken YAML: '!!int' is not a type of options"),
    ("a: !!binary ''", "f.yml:1: a: '!!binary' is not a type of options; write plain YAML"),
    ("a: 1\n\tb: 2\n", "f.yml:2: broken YAML: a tab indents it; use spaces; correct the line"),
    ("a:\n\tb: 2\n", "f.yml:2: broken YAML: a tab indents it; use spaces; correct the line"),
    ("a: [\n\t*c]\n", "f.yml:2: broken YAML: found undefined alias"),
    ("x: \x07", "f.yml:1: broken YAML"),
    ("<<: 3\n", "f.yml:1: broken YAML: << merges mappings only"),
    ("a: !!int ''", "f.yml:1: a: '' is not of type int"),
    ("a: !!int '-'", "f.yml:1: a: '-' is not of type int"),
    ("a: !!float ''", "f.yml:1: a: '' is not of type float"),
    ("a: !!bool x", "f.yml:1: a: 'x' is not of type bool"),
    ("a: 1\n---\nb: 2\n", "f.yml:2: broken YAML: a second document begins here (---)"),
    ('a: "C:\\Data"', "f.yml:1: broken YAML: found unknown escape character; in double quotes"),
    ('a: "C:\\Users"', "f.yml:1: broken YAML: did not find expected hexdecimal number; in double"),
    ("a: 040", "f.yml:1: a: 040 is 32 in YAML 1.1 and 40 in YAML 1.2; write it plainly"),
    ("a: -010", "f.yml:1: a: -010 is -8 in YAML 1.1 and -10 in YAML 1.2"),
    ("a: 1:30", "f.yml:1: a: 1:30 is 90 in YAML 1.1 and text in YAML 1.2; write it plainly, or in"),
    ("a: 1:30.5", "f.yml:1: a: 1:30.5 is 90.5 in YAML 1.1 and text in YAML 1.2"),
]


@pytest.mark.parametrize(("text", "sentence"), YAMLS)
def test_invalid_yaml_is_refused_with_its_line(text, sentence):
    with pytest.raises(InputError) as raised:
        yaml_lines.parse(text, "f.yml")
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize(
    "text", ["a: !{} 1", "a: !!{} [1]", "a: *{}", "a: &{}\n  'b", "{}: {{b", "? [{}]\n: 1"]
)
def test_no_sentence_is_longer_than_a_line_or_two(text):
    with pytest.raises(InputError) as raised:
        yaml_lines.parse(text.format("x" * 100_000), "f.yml")
    assert len(str(raised.value)) < 400


PLAIN = [
    ("None", None),
    ("~", None),
    ("null", None),
    ("'None'", "None"),
    ("none", "none"),  # the name of a reduction
    ("001", 1),
    ("0x1F", 31),
    ("1e-4", 1e-4),
    ("'040'", "040"),
]


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_common_spellings_of_null_and_of_numbers(text, value):
    assert yaml_lines.parse(f"a: {text}", "f.yml").options == {"a": value}


def steps(text: str) -> int:
    """How many lines of Python it takes to read a text."""
    count = 0

    def step(frame, event, argument):
        nonlocal count
        count += event == "line"
        return step

    sys.settrace(step)
    try:
        yaml_lines.parse(text, "f.yml")
    finally:
        sys.settrace(None)
    return count


KEYS = "".join(f"  k{number}: 1\n" for number in range(400))
HALF = "".join(f"  k{number}: 1\n" for number in range(200))


@pytest.mark.parametrize(
    "text",
    ["a:\n{0}", "a: &a\n{0}b:\n  <<: *a\n{0}", "a:\n{0}b:\n{0}"],
    ids=["keys", "merge", "two"],
)
def test_twice_as_many_keys_take_twice_as_many_steps(text):
    assert steps(text.format(KEYS)) < 2.2 * steps(text.format(HALF))


def test_an_override_and_the_values_below_it_have_their_own_place(tmp_path):
    path = tmp_path / "f.yml"
    path.write_text("a:\n  b: {c: 1}\n  d: 2\n")
    file = yaml_lines.load(path, ["a:b={c: [3, 4]}"])
    assert file.where(("a", "b", "c", 1)) == "--force_yml a:b={c: [3, 4]}: a.b.c.1"
    assert file.where(("a", "d")) == f"{path}:3: a.d"


def test_aliases_that_multiply_are_refused_at_once():
    lists = [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)]
    with pytest.raises(InputError, match="aliases that repeat too much"):
        yaml_lines.parse("a0: &a0 [x]\n" + "".join(lists), "f.yml")


def test_anchors_and_merges_work_and_keep_their_lines():
    file = yaml_lines.parse("a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  y: 3\n", "f.yml")
    assert file.options["b"] == {"x": 1, "y": 3}
    assert file.where(("b", "y")) == "f.yml:6: b.y"
    assert file.where(("b", "x")) == "f.yml:2: b.x"  # where it is written


def test_a_file_of_an_unknown_user_is_not_found():
    assert yaml_lines.parse("name: x", "x.yml").found("~nobody here/x.py") is None
