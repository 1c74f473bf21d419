"""The kinds of values that option files hold, for pydantic models."""

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from .words import ESCAPES

NULL_WORDS = ("~", "None", "none", "NONE", "null", "Null", "NULL", "nil", "")  # in quotes


class Section(BaseModel):
    """A mapping of an option file whose keys are all known.

    To add a key, add an annotated line to the section's class.

    ignored: keys that cause a warning instead of an error, and its text.
    """

    ignored: ClassVar[dict[str, str]] = {}

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )


def _whole(value: Any) -> Any:
    """4e5 is a float in YAML, but meant as a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _printable(text: str) -> str:
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in text):
        raise ValueError(f"has characters that no file or log can show; {ESCAPES}")
    return text


def _something(value: Any) -> Any:
    if isinstance(value, str) and value in NULL_WORDS:
        raise ValueError("is no path: write ~ without quotes for none, or leave the key out")
    return value


def _path(text: str) -> str:
    if any(len(part.encode()) > 255 for part in text.split("/")):
        raise ValueError("has a part of more than 255 bytes, which no file system allows")
    try:
        Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError("begins with a user that this machine does not know") from error
    return text


def _template(text: str) -> str:
    try:
        formatted = text.format("name")
    except (ValueError, LookupError, AttributeError, OverflowError, MemoryError) as error:
        raise ValueError("is not a name with {} where the image's name goes") from error
    if "name" not in formatted:
        raise ValueError("has no {} where the image's name goes")
    return text


def _file_name(text: str) -> str:
    if text != text.strip():
        raise ValueError("begins or ends with a space; remove it")
    if "/" in text or "\\" in text or text in (".", ".."):
        raise ValueError("must be a plain name, without slashes, and not . or ..")
    return text


def _rising(pair: list[float]) -> list[float]:
    if pair[0] > pair[1]:
        raise ValueError("ends below where it begins")
    return pair


def _probable(weights: list[float]) -> list[float]:
    if not sum(weights) > 0:
        raise ValueError("are probabilities that are all 0")
    return weights


def _gpus(value: Any) -> Any:
    if value == "auto" or (type(value) is int and 0 <= value <= 1024):
        return value
    raise ValueError("is neither auto nor a number of GPUs; auto uses all of the machine's")


def _threads(value: Any) -> Any:
    if value == "auto" or (type(value) is int and 1 <= value <= 1024):
        return value
    raise ValueError("is neither auto nor a number of threads")


def only(value: Any, why: str) -> AfterValidator:
    """For a key that other programs read and this one does not: only one value is harmless."""

    def check(given: Any) -> Any:
        if given is not value and given is not None:
            raise ValueError(why)
        return given

    return AfterValidator(check)


WHOLE = BeforeValidator(_whole)  # after the bounds, so that the JSON schema shows them
PATH, SOMETHING = AfterValidator(_path), BeforeValidator(_something)
TWO, RISING = Field(min_length=2, max_length=2), AfterValidator(_rising)  # of a range
Count = Annotated[int, Field(ge=1, le=10**9), WHOLE]
CountOrZero = Annotated[int, Field(ge=0, le=10**9), WHOLE]
Scale = Annotated[int, Field(ge=1, le=64), WHOLE]
Size = Annotated[int, Field(ge=1, le=65536), WHOLE]
Number = Annotated[float, Field(ge=-1e30, le=1e30)]
Positive = Annotated[float, Field(gt=0, le=1e30)]
NotNegative = Annotated[float, Field(ge=0, le=1e30)]
Probability = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[list[NotNegative], TWO, RISING]
PositiveRange = Annotated[list[Positive], TWO, RISING]
Quality = Annotated[int, Field(ge=1, le=100), WHOLE]
Qualities = Annotated[list[Quality], TWO, RISING]
Angles = Annotated[list[Annotated[float, Field(ge=-90, le=90)]], TWO, RISING]  # degrees
Lengths = Annotated[list[Annotated[float, Field(gt=0, le=1000)]], TWO, RISING]  # pixels
Densities = Annotated[list[Annotated[float, Field(ge=0, le=1000)]], TWO, RISING]
Depths = Annotated[list[Annotated[int, Field(ge=1, le=10), WHOLE]], TWO, RISING]
Shares = Annotated[list[Probability], TWO, RISING]
Probabilities = Annotated[list[NotNegative], Field(min_length=1), AfterValidator(_probable)]
Text = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]
FileName = Annotated[Text, Field(min_length=1, max_length=120), AfterValidator(_file_name)]
FilePath = Annotated[Text, Field(min_length=1), PATH, SOMETHING]
Template = Annotated[Text, Field(max_length=120), AfterValidator(_template), PATH, SOMETHING]
Means = Annotated[list[Number], Field(min_length=1, max_length=3)]
Deviations = Annotated[list[Positive], Field(min_length=1, max_length=3)]
Gpus = Annotated[Any, AfterValidator(_gpus)]
Threads = Annotated[Any, AfterValidator(_threads)]
Free = dict[str, Any]


def suffixed(section: type[Section], suffix: str, *, optional: bool = False) -> dict[str, Any]:
    """The keys that a section adds to its base, each with a suffix, for ``create_model``."""
    kinds = section.__annotations__.items()
    return {name + suffix: (kind | None, None) if optional else (kind, ...) for name, kind in kinds}


def names(section: type[BaseModel]) -> set[str]:
    """The keys that a section may have."""
    return {field.alias or name for name, field in section.model_fields.items()}
