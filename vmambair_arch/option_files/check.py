"""All checks of an option file that need no other file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from basicsr.utils import registry
from pydantic import BaseModel

from ..errors import InputError, nearest
from ..models.schedules import OPTIMIZERS, SCHEDULES, imported
from ..option_values import sentences
from ..option_values.data_sets import DataSet
from ..option_values.kinds import names
from ..option_values.words import Keys, format_value
from . import between_options, between_training_options, dry_run_findings, without_effect
from .between_options import Checked, Finding
from .schemas import sections, signatures
from .schemas.data_sets import section_of
from .schemas.families import Family, family, readers, registered
from .yaml_lines import OptionFile

PLACES = {  # where a misplaced key belongs
    name: (place, f"; its place is in {place}")
    for place, section in {
        "the top level": sections.General,
        "path": sections.Paths,
        "logger": sections.Logger,
        "val": sections.ValidationSection,
        "train": sections.TrainGAN,
        "datasets.train": DataSet,
    }.items()
    for name in names(section)
    if name not in ("name", "type")
}

TASKS = {  # keys of MambaIR's, MaIR's and DAT's data sets, which have BasicSR's names
    "task": "; leave it out for super-resolution; GaussianNoiseDataset makes noise, and pairs with"
    " JPEG artefacts must be made beforehand",
    "noise": "; GaussianNoiseDataset has sigma_range for training and sigma_test for validation",
}


@dataclass
class OptionReport:
    """What is wrong with an option file, and what was not checked; a sentence each."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def check(file: OptionFile, *, is_train: bool) -> OptionReport:
    """Check keys, types, values and how they fit together.

    Whole numbers written as floats, such as 4e5, become integers in ``file.options``. Problems of
    the file are reported, not raised.
    """
    return _Check(file, is_train).run()


class _Check:
    """One check of a file."""

    def __init__(self, file: OptionFile, is_train: bool):
        self.file, self.options = file, file.options
        self.checked = Checked(file.options, is_train)
        self.found: dict[Keys, Finding] = {}
        self.unchecked: list[str] = []
        self.family: Family | None = Family()

    def run(self) -> OptionReport:
        self._model()
        self._data_sets()
        for key in [key for key in self.options if key.startswith("network_")]:
            self._typed((key,), registry.ARCH_REGISTRY)
        self._section(sections.Paths, ("path",), theirs=self.family is None)
        self._section(sections.Logger, ("logger",))
        self._section(sections.ValidationSection, ("val",), theirs=self.family is None)
        for name, _ in self._mappings("val", "metrics"):
            function = self._typed(("val", "metrics", name), registry.METRIC_REGISTRY, "better")
            if function is not None:
                self.checked.metrics[name] = function
        if self.checked.is_train:
            self._train()
        if not self._wrong():  # each of these relies on the checks before it
            self._add(between_options.findings(self.checked))
            self._add(between_training_options.findings(self.checked))
            self._add(without_effect.findings(self.checked))
        if not self._wrong() and self.family:
            self._add(dry_run_findings.findings(self.checked))
        return self._report()

    def _wrong(self) -> bool:
        return not all(finding.warning for finding in self.found.values())

    def _report(self) -> OptionReport:
        report = OptionReport(unchecked=self.unchecked)
        for finding in self.found.values():
            sentence = f"{self.file.where(finding.keys)}: {finding.sentence}"
            (report.warnings if finding.warning else report.problems).append(sentence)
        return report

    def _model(self) -> None:
        if isinstance(self.options.get("model_type"), str):
            model = self.checked.model = self._registered(("model_type",), registry.MODEL_REGISTRY)
            if model is not None:
                self.checked.bases = tuple(base.__name__ for base in model.__mro__)
                self.family = family(model)
                if self.family is None:
                    self._not_ours(("model_type",), model)
            else:
                self.family = None  # its options cannot be known
        general = self.family.general if self.family else sections.General
        self._section(general, (), theirs=self.family is None)
        if self.checked.is_train and self.options.get("train") is None:
            misspelt = set(self.options) - names(general)
            self._problem(("train",), f"is missing{nearest('train', misspelt)}; add it")

    def _data_sets(self) -> None:
        for section, opt in self._mappings("datasets"):
            keys = ("datasets", section)
            if not isinstance(opt.get("type"), str):
                self._section(sections.Typed, keys)
                continue
            cls = self._registered((*keys, "type"), registry.DATASET_REGISTRY)
            if cls is None:
                continue
            schema = section_of(cls)
            if schema is None:
                self._not_ours(keys, cls)
            self.checked.data_sets[section] = schema
            self._section(schema or DataSet, keys, theirs=schema is None)

    def _train(self) -> None:
        if self.family is None:
            self._section(sections.AnyTrain, ("train",), theirs=True)
            return
        self._section(self.family.train, ("train",))
        for key, opt in self._mappings("train"):
            kind = opt.get("type")
            if key.endswith("_opt"):
                self._typed(("train", key), registry.LOSS_REGISTRY)
            elif key.startswith("optim_"):
                self._named(("train", key), kind, OPTIMIZERS, "an optimizer of torch")
            elif key == "scheduler":
                self._named(("train", key), kind, SCHEDULES, "a schedule")
        for name, _ in self._mappings("train", "losses"):
            self._typed(("train", "losses", name), registry.LOSS_REGISTRY)

    def _named(self, keys: Keys, name: Any, there: Mapping[str, Any], what: str) -> None:
        """Check a mapping by the signature of the optimizer or schedule that it names."""
        if not isinstance(name, str):
            return  # already a problem of the section
        if name in there:
            self._signature(keys, there[name])
            return
        if "." in name and there is OPTIMIZERS:
            try:
                self._signature(keys, imported(name))
            except InputError as error:
                self._problem((*keys, "type"), str(error))
            return
        hint = f"{nearest(name, there)}; choose one of {', '.join(sorted(there))}"
        self._problem((*keys, "type"), f"{format_value(name)} is not {what}{hint}")

    # The parts of the steps above.

    def _at(self, keys: Keys) -> Any:
        value: Any = self.options
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _mappings(self, *keys: str) -> list[tuple[str, dict[str, Any]]]:
        """The mappings inside a mapping."""
        value = self._at(keys)
        items = value.items() if isinstance(value, dict) else ()
        return [(key, item) for key, item in items if isinstance(item, dict)]

    def _section(self, model: type[BaseModel], keys: Keys, *, theirs: bool = False) -> None:
        """Check a section, if it exists; ``theirs``: it may have third-party keys."""
        value = self._at(keys)
        if value is None:
            return
        ignored = getattr(model, "ignored", {})
        for key in ignored.keys() & value if isinstance(value, dict) else ():
            self.found[(*keys, key)] = Finding((*keys, key), ignored[key], warning=True)
            value = {name: item for name, item in value.items() if name != key}
        found = sentences.findings(model, value, self._hints(keys, value))
        for below, sentence in found.items():
            unknown = len(below) == 1 and below[0] not in names(model)
            network = not keys and str(below[0]).startswith("network_") if below else False
            if not (unknown and (theirs or network)):
                self._problem((*keys, *below), sentence)
        if not found:
            _settle(self._at(keys), model.model_validate(value))

    def _hints(self, keys: Keys, value: Any) -> dict[str, str]:
        """What to say about keys that a section lacks: who reads them, or where they belong."""
        here = keys[0] if keys else "the top level"
        hints = {name: hint for name, (place, hint) in PLACES.items() if place != here}
        if keys[:1] == ("datasets",):
            return {**hints, **TASKS}
        kinds = {(): "general", ("train",): "train"}
        if keys not in kinds or not isinstance(value, dict) or not self.family:
            return hints
        for key in value:
            if models := readers(key, kinds[keys]):
                model = self.options.get("model_type", "this model")
                hints.setdefault(key, f" of {model}; it is an option of {', '.join(models)}")
        return hints

    def _typed(self, keys: Keys, names: Any, *also: str) -> Callable | None:
        """Check a mapping by the signature of what is registered under its ``type``."""
        value = self._at(keys)
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            self._section(sections.Typed, keys)
            return None
        function = self._registered((*keys, "type"), names)
        self._signature(keys, function, *also)
        return function

    def _signature(self, keys: Keys, function: Callable | None, *also: str) -> None:
        if function is None:
            return
        model, value = signatures.model(function, *also), self._at(keys)
        found = sentences.findings(model, value, {})
        for below, sentence in found.items():
            given = sentence.replace("there is no such", f"{function.__name__} has no such")
            self._problem((*keys, *below), given)
        if not found:
            _settle(value, model.model_validate(value))

    def _registered(self, keys: Keys, registry_: Any) -> Any:
        """What is registered under the name at ``keys``; nothing is a problem."""
        name = self._at(keys)
        found = registered(registry_, name)
        if found is None:
            there = sorted(key.removesuffix("_basicsr") for key, _ in registry_)
            hint = nearest(name, there)
            self._problem(
                keys,
                f"{format_value(name)} is not registered{hint}; choose one of {', '.join(there)},"
                " or give the Python file that registers it (--plugin FILE.py)",
            )
        return found

    def _problem(self, keys: Keys, sentence: str) -> None:
        self.found.setdefault(keys, Finding(keys, sentence))

    def _not_ours(self, keys: Keys, cls: type) -> None:
        self.unchecked.append(
            f"{self.file.where(keys)}: {cls.__name__} of {cls.__module__} may have its own options,"
            " which are not checked"
        )

    def _add(self, findings: Iterator[Finding]) -> None:
        for finding in findings:
            self.found.setdefault(finding.keys, finding)


def _settle(value: Any, model: BaseModel) -> None:
    """Write integers that are floats in the file back into the options."""
    for name in model.model_fields_set & type(model).model_fields.keys():
        key = type(model).model_fields[name].alias or name
        read = getattr(model, name)
        if isinstance(read, BaseModel):
            _settle(value[key], read)
        elif isinstance(read, int) and isinstance(value[key], float):
            value[key] = read
