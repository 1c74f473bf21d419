"""pydantic's errors as sentences: what was found, and what it must be."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import InputError, nearest
from .kinds import Section, names
from .words import Keys, dotted_name, format_value

NEEDED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping (`key: value` lines)",
    "model_type": "a mapping (`key: value` lines)",
    "model_attributes_type": "a mapping (`key: value` lines)",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
}
LENGTHS = {  # of texts: pydantic has the same error types for lists
    "too_short": "is empty; it must be text",
    "too_long": "has {actual_length} characters; it may have at most {max_length}",
}

Read = TypeVar("Read", bound=Section)
Findings = dict[Keys, str]  # what is wrong with a value, by its place


def findings(section: type[BaseModel], value: Any, hints: Mapping[str, str]) -> Findings:
    """Check a section; returns the findings by their keys below it.

    Args:
        section: the model.
        value: of the section in the file.
        hints: what to say about keys that the section does not have.
    """
    try:
        section.model_validate(value)
    except ValidationError as error:
        found: Findings = {}
        for item in error.errors(include_url=False):
            keys = _keys(item["loc"], value)
            found.setdefault(keys, _sentence(item, keys, section, hints))
        return found
    return {}


def read(section: type[Read], options: Mapping[str, Any], suffix: str = "") -> Read:
    """Read a section from the options whose names end in ``suffix``.

    Raises: InputError: a value is missing or invalid; a sentence for each.
    """
    given = {name: options.get(name + suffix) for name in names(section)}
    value = {name: item for name, item in given.items() if item is not None}
    if found := findings(section, value, {}):
        places = [dotted_name((f"{keys[0]}{suffix}", *keys[1:])) for keys in found]
        raise InputError(*map(": ".join, zip(places, found.values(), strict=True)))
    return section.model_validate(value)


def _keys(location: tuple[int | str, ...], value: Any) -> Keys:
    """The keys of a location without the names that pydantic gives to branches of a union."""
    keys: list[int | str] = []
    for step in location:
        inside = step in value if isinstance(value, Mapping) else _index(step, value)
        if inside:
            value = value[step]
        if inside or isinstance(value, Mapping):  # or the name of a key that is missing
            keys.append(step)
    return tuple(keys)


def _index(step: int | str, value: Any) -> bool:
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def _sentence(item: Any, keys: Keys, section: type[BaseModel], hints: Mapping[str, str]) -> str:
    kind, given, context = item["type"], item["input"], item.get("ctx", {})
    last = str(keys[-1]) if keys else ""
    if kind == "extra_forbidden":
        hint = hints.get(last) if len(keys) == 1 else None
        return f"there is no such option{hint or nearest(last, _siblings(section, keys))}"
    if kind == "missing" and isinstance(given, list):
        return f"is {format_value(given)}: an item is missing"
    if kind == "missing":
        misspelt = set(given) - _siblings(section, keys) if isinstance(given, Mapping) else ()
        near = nearest(last, misspelt)
        return f"is missing{near}; add it"
    if kind == "value_error":
        return f"{format_value(given)} {context['error']}"
    if kind == "literal_error":
        choices = [choice.strip(" '") for choice in context["expected"].split(",")]
        hint = nearest(given, choices) if isinstance(given, str) else ""
        return f"is {format_value(given)}; it must be {context['expected']}{hint}"
    if isinstance(given, str) and kind.removeprefix("string_") in LENGTHS:
        values = {**context, "actual_length": len(given)}
        return LENGTHS[kind.removeprefix("string_")].format(**values)
    if kind == "too_short" and isinstance(given, Mapping):
        return "is empty; add what belongs there"
    needed = NEEDED.get(kind, "").format(**context) or item["msg"]
    if kind == "string_type" and isinstance(given, list) and last.startswith("dataroot"):
        needed = "one folder; put links to the files of all folders into it"
    elif kind == "string_type" and isinstance(given, int | float):
        needed = "text; put it in quotes"
    return f"is {format_value(given)}; it must be {needed}"


def _siblings(section: Any, keys: Keys) -> set[str]:
    """The keys that the mapping around a key may have."""
    for key in keys[:-1]:
        field = section.model_fields.get(key)
        options = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if not models:
            return set()
        section = models[0]
    return names(section)
