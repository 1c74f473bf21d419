"""YAML as plain values, and the place of each.

PyYAML composes the nodes, and this module decides what a node may be. ruamel.yaml supports lines,
repeated keys and YAML 1.2 by itself, but its numbers are its own classes, which strict checks
refuse, it accepts any tag, has no lines for what an alias or a merge repeats, and is six times
slower.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..errors import InputError, shortened
from ..option_values.words import ESCAPES, Keys, dotted_name, format_value

OF_TABS = ("tab character", "cannot start", "mapping values")  # in the problems of a tab
MAX_LENGTH = 1 << 20  # characters; a long option file has ten thousand
MAX_DEPTH = 20  # levels of nesting; option files have five
MAX_NUMBER = 10**18
MAX_VALUES = 20_000  # values, including those that aliases repeat
PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}
MERGE = "tag:yaml.org,2002:merge"


Fastest: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(Fastest):
    """YAML's plain types; 2e-4 is a number as in YAML 1.2, and None is null as in Python."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^None$"), ["N"])
# Numbers that YAML 1.1 reads as octal or in base 60.
OTHERWISE_IN_1_2 = re.compile(r"[-+]?0[0-7_]+|[-+]?[0-9_]+(:[0-9_.]+)+")


@dataclass
class Place:
    """Where a value is, ``FILE:LINE`` or ``--force_yml KEY=VALUE``, and the places below it."""

    name: str
    below: dict[str | int, "Place"] = field(default_factory=dict)


class Reader:
    """Reads a YAML text once, into plain values and the place of each.

    Args:
        name: the file's, for places.
        lined: whether a place is the name with a line, or only the name.
    """

    def __init__(self, name: str, *, lined: bool = True):
        self.name, self.lined = name, lined
        self.left = MAX_VALUES
        self.open: list[yaml.Node] = []  # the collections being read

    def read(self, text: str) -> tuple[Any, Place]:
        """The value and its place. Raises: InputError: broken YAML, or more than options have."""
        if len(text) > MAX_LENGTH:
            raise InputError(f"{self.name}: {len(text)} characters, too many for an option file")
        try:
            self._measure(text)
            loader = Loader(text)
            node = loader.get_single_node()
            return (None, Place(self.name)) if node is None else self._value(loader, node, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join((error.problem or str(error)).split())
            line = mark.line + 1 if mark else 1
            indented = re.match(" *\t", "".join(text.split("\n")[line - 1 : line]))
            if indented and any(each in problem for each in OF_TABS):
                problem = "a tab indents it; use spaces"
            elif "another document" in problem:
                problem = "a second document begins here (---); keep one in the file"
            elif "escape" in problem or "hexdec" in problem:
                problem = f"{problem}; {ESCAPES}"
            raise self._broken(line, problem) from error
        except yaml.reader.ReaderError as error:
            line = 1 + text[: error.position].count("\n")
            raise self._broken(line, f"a character that YAML forbids ({error.reason})") from error
        except (yaml.YAMLError, UnicodeError) as error:
            raise self._broken(1, " ".join(str(error).split())) from error

    def _broken(self, line: int, problem: str) -> InputError:
        return InputError(
            f"{self.name}:{line}: broken YAML: {shortened(problem)}; correct the line"
        )

    def _measure(self, text: str) -> None:
        """Refuse nesting that would exhaust the stack; composing nodes recurses."""
        depth = 0
        for event in yaml.parse(text, Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise self._broken(event.start_mark.line + 1, f"more than {MAX_DEPTH} levels deep")

    def _place(self, line: int) -> str:
        return f"{self.name}:{line}" if self.lined else self.name

    def _value(self, loader: Any, node: yaml.Node, keys: Keys) -> tuple[Any, Place]:
        line = node.start_mark.line + 1
        place = Place(self._place(line))
        self.left -= 1
        if self.left < 0 or node in self.open:
            raise self._broken(line, "aliases that repeat too much")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(loader, node, keys), place
        self.open.append(node)
        if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
            value = self._mapping(loader, node, keys, place)
        elif isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            value = []
            for number, item in enumerate(node.value):
                read, place.below[number] = self._value(loader, item, (*keys, number))
                value.append(read)
        else:
            raise self._broken(line, f"{_written(node.tag)} is not a type of options")
        self.open.pop()
        return value, place

    def _scalar(self, loader: Any, node: yaml.ScalarNode, keys: Keys) -> Any:
        if node.tag.endswith(":timestamp"):
            return node.value  # options treat a date as text
        place = f"{self.name}:{node.start_mark.line + 1}: {dotted_name(keys)}"
        if node.tag not in PLAIN:
            raise InputError(
                f"{place}: {_written(node.tag)} is not a type of options; write plain YAML"
            )
        try:
            value = loader.construct_object(node)
        except Exception as error:  # PyYAML passes on whatever its tags' parsers raise
            raise InputError(
                f"{place}: {format_value(node.value)} is not of type {node.tag[18:]}"
            ) from error
        if isinstance(value, int) and abs(value) >= MAX_NUMBER:
            raise InputError(f"{place}: a number of more than 18 digits; correct it")
        if not node.style and not isinstance(value, str):
            self._check_versions(node.value, value, place)
        return value

    def _check_versions(self, text: str, value: Any, place: str) -> None:
        """Refuse a number that YAML 1.1, as BasicSR reads it, and 1.2 read differently."""
        if OTHERWISE_IN_1_2.fullmatch(text) and (":" in text or int(text) != value):
            other = "text" if ":" in text else str(int(text))
            raise InputError(
                f"{place}: {text} is {value} in YAML 1.1 and {other} in YAML 1.2; write it plainly"
                f"{', or in quotes' if ':' in text else ''}"
            )

    def _mapping(
        self, loader: Any, node: yaml.MappingNode, keys: Keys, place: Place
    ) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                for mapping, theirs in self._merges(loader, value_node, keys):
                    for key in [key for key in mapping if key not in merged]:
                        merged[key], place.below[key] = mapping[key], theirs.below[key]
        for key_node, value_node in node.value:
            if key_node.tag != MERGE:
                key = self._name(loader, key_node)
                line = key_node.start_mark.line + 1
                here = (*keys, key)
                if key in own:
                    raise InputError(
                        f"{self.name}:{line}: {dotted_name(here)}: repeats line"
                        f" {place.below[key].name.rpartition(':')[2]}; keep one of them"
                    )
                own[key], below = self._value(loader, value_node, here)
                place.below[key] = Place(self._place(line), below.below)
        return merged | own

    def _name(self, loader: Any, node: yaml.Node) -> str:
        key = loader.construct_object(node) if node.tag in PLAIN else None
        if not isinstance(key, str):
            line = node.start_mark.line + 1
            if isinstance(node, yaml.CollectionNode):
                raise self._broken(line, "a list or mapping is not a name")
            raise self._broken(line, f"{format_value(node.value)} is not a name; put it in quotes")
        return key

    def _merges(
        self, loader: Any, node: yaml.Node, keys: Keys
    ) -> list[tuple[dict[str, Any], Place]]:
        """The mappings that ``<<`` merges into one at ``keys``."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for item in nodes:
            if not isinstance(item, yaml.MappingNode):
                raise self._broken(item.start_mark.line + 1, "<< merges mappings only")
        return [self._value(loader, item, keys) for item in nodes]


def _written(tag: str) -> str:
    """A tag as option files write it, ``'!!set'``."""
    return format_value(tag.replace("tag:yaml.org,2002:", "!!"))
