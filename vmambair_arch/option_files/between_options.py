"""Rules between the options of a file, each of which is valid by itself."""

import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from ..data import progressive
from ..data.batches import loading
from ..degrading import kernels, pair_pool
from ..errors import nearest
from ..models import gan_model
from ..option_values.data_sets import DataSet, needed_size
from ..option_values.words import Keys
from .schemas.families import known
from .schemas.sections import HIGH_ORDER

PHASES = ("train", "val", "test")


@dataclass(frozen=True)
class Finding:
    """Something wrong at a place; only a warning if training can go on as written."""

    keys: Keys
    sentence: str
    warning: bool = False


@dataclass
class Checked:
    """An option file whose sections are valid by themselves, and what its names refer to.

    model: the class of model_type.
    bases: names of its base classes, itself included.
    data_sets: the keys of each section of datasets, None where they are not known here.
    metrics: functions by their names in val.metrics.
    """

    options: dict[str, Any]
    is_train: bool
    model: type | None = None
    bases: tuple[str, ...] = ()
    data_sets: dict[str, type[DataSet] | None] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def phases(self, phase: str) -> list[str]:
        """The sections of datasets that have a phase."""
        return [section for section in self.options["datasets"] if phase_of(section) == phase]


def phase_of(section: str) -> str:
    """``val`` for val, val_1, val_set."""
    return section.split("_")[0]


def findings(file: Checked) -> Iterator[Finding]:
    """Yield the contradictions between options."""
    yield from _phases(file)
    for section, schema in file.data_sets.items():
        if schema is not None:
            for name, sentence in _data_set(file, section, schema):
                yield Finding(("datasets", section, *name), sentence)
    yield from _validation(file)
    yield from _model(file)


def _phases(file: Checked) -> Iterator[Finding]:
    allowed = ("train", "val") if file.is_train else PHASES
    for section in file.options["datasets"]:
        if phase_of(section) not in allowed:
            hint = nearest(phase_of(section), PHASES)
            needed = ", ".join(f"{phase} or {phase}_NAME" for phase in allowed)
            yield Finding(
                ("datasets", section), f"is not a data set's name{hint}; it must be {needed}"
            )
    training = file.phases("train")
    if file.is_train and not training:
        yield Finding(("datasets", "train"), "is missing; add it")
    for section in training[1:]:
        yield Finding(
            ("datasets", section), f"is a second training set; {training[0]} is the first: keep one"
        )
    names: dict[str, str] = {}
    for section in file.phases("val") + file.phases("test"):
        name = (file.options["datasets"][section] or {}).get("name") or section
        if name in names:
            yield Finding(
                ("datasets", section, "name"),
                f"is {name!r}, like that of {names[name]}: their figures would mix; rename one",
            )
        names[name] = section


def _data_set(file: Checked, section: str, schema: type[DataSet]) -> Iterator[tuple[Keys, str]]:
    opt, scale = file.options["datasets"][section], file.options.get("scale")
    training = phase_of(section) == "train"
    for name in schema.in_training if training else schema.in_validation:
        if opt.get(name) is None:
            yield (name,), f"is missing; {opt['type']} needs it; add it"
    if schema.scaled and scale is None:
        yield (), "needs the scale, which the file lacks: add scale at its top level"
    size = opt.get("gt_size")
    if training and size and (needed := needed_size(size, scale or 1)):
        yield ("gt_size",), f"is {size}; it must be {needed}"
    if (opt.get("mean") is None) != (opt.get("std") is None):
        yield (), "has only one of mean and std; give both or none"
    channels = channels_of(opt)
    for name in ("mean", "std"):
        if opt.get(name) and len(opt[name]) not in (1, channels):
            yield (name,), f"has {len(opt[name])} numbers for images of {channels} channels"
    if (opt.get("io_backend") or {}).get("type") == "lmdb":
        for name, root in opt.items():
            if name.startswith("dataroot") and root and not root.rstrip("/").endswith(".lmdb"):
                yield (name,), f"is {root!r}: the name of an LMDB ends in .lmdb"
    # A validation has no workers, so persistent ones are wrong there too.
    rules = [loading.faults(opt if training else {**opt, "num_worker_per_gpu": 0})]
    rules.append(kernels.faults(opt))
    if training and opt.get("gt_sizes"):
        total = (file.options.get("train") or {}).get("total_iter")
        rules.append(progressive.faults({**opt, "scale": scale}, total))
    for name, sentence in itertools.chain(*rules):
        yield (name,), sentence


def channels_of(data_set: dict[str, Any]) -> int:
    """Channels of a data set's images."""
    return 1 if data_set.get("color") == "y" else 3


def _validation(file: Checked) -> Iterator[Finding]:
    val, sections = file.options.get("val") or {}, file.phases("val") + file.phases("test")
    for name, function in file.metrics.items():
        for section in sections:
            schema = file.data_sets.get(section)
            compares = "img2" in inspect.signature(function).parameters
            if schema is not None and not schema.has_gt and compares:
                yield Finding(
                    ("val", "metrics", name),
                    f"needs ground truth, and datasets.{section} has none; remove one",
                )
    if "VideoBaseModel" in file.bases and (val or not file.is_train):
        yield from _videos(file, val)
    if file.is_train and sections and not file.options.get("val"):
        yield Finding(("val",), f"is missing: datasets.{sections[0]} is never used", warning=True)
    if file.is_train and val and not sections:
        yield Finding(("val",), "validates nothing: there is no datasets.val", warning=True)


def _videos(file: Checked, val: dict[str, Any]) -> Iterator[Finding]:
    """What BasicSR's video models cannot do in a validation."""
    if not val.get("metrics"):
        yield Finding(("val", "metrics"), "is missing; video models need it")
    if file.is_train and val.get("save_img"):
        yield Finding(
            ("val", "save_img"),
            "is true, and video models save no images in training; set it to false",
        )
    if file.is_train and val.get("before_after"):
        yield Finding(("val", "before_after"), "is for single images, not videos; set it to false")


def _model(file: Checked) -> Iterator[Finding]:
    options, train = file.options, file.options.get("train") or {}
    if "SwinIRModel" in file.bases and not options["network_g"].get("window_size"):
        yield Finding(
            ("network_g", "window_size"),
            "is missing; SwinIRModel pads to it: add it, or model_type: VmambaIRModel if"
            f" {options['network_g']['type']} has no such option",
        )
    ours = file.is_train and known(file.model)  # other models may have their own losses
    adversarial = ours and {"SRGANModel", "VideoRecurrentGANModel"} & set(file.bases)
    for name, sentence in gan_model.faults(options) if adversarial else ():
        yield Finding(tuple(name.split(".")), sentence)
    fixes_flow = "VideoRecurrentGANModel" in file.bases and train.get("fix_flow")
    if ours and fixes_flow and train.get("lr_flow") is None:
        yield Finding(("train", "lr_flow"), "is missing, and fix_flow needs it; add it")
    plain = "SRModel" in file.bases and "SRGANModel" not in file.bases
    if ours and plain and not (train.get("pixel_opt") or train.get("perceptual_opt")):
        yield Finding(("train", "pixel_opt"), "is missing, and perceptual_opt too; add a loss")
    paths = options.get("path") or {}
    if not file.is_train and known(file.model) and not paths.get("pretrain_network_g"):
        sentence = "names no weights: the network is measured as it is initialised; give a file"
        yield Finding(("path", "pretrain_network_g"), sentence, warning=True)
    host = {"RealESRNetModel", "RealESRGANModel"} & set(file.bases)
    if host and not torch.cuda.is_available():
        yield Finding(
            ("model_type",),
            f"is {options['model_type']}, which needs CUDA, and this machine has none;"
            " DegradationModel and DegradationGANModel run on any device",
        )
    usm = ("l1_gt_usm", "percep_gt_usm", "gan_gt_usm")
    for name in usm if "RealESRGANModel" in host else ():
        if file.is_train and name not in options:
            yield Finding((name,), "is missing; add it")
    if file.is_train and {"DegradationModel", *host} & set(file.bases):
        yield from _degradation(file, is_host=bool(host))


def _degradation(file: Checked, *, is_host: bool) -> Iterator[Finding]:
    """What models that degrade need: their options and ground truth only, or pairs."""
    options = file.options
    degrades = options.get("high_order_degradation", True)
    for name in HIGH_ORDER if degrades else ():
        if options.get(name) is None:
            yield Finding((name,), "is missing; add it, or high_order_degradation: false for pairs")
    for name, sentence in pair_pool.faults(options) if degrades and is_host else ():
        yield Finding((name,), sentence)
    if degrades and "RealESRNetModel" in file.bases and "gt_usm" not in options:
        yield Finding(("gt_usm",), "is missing; add it")
    for section in file.phases("train"):
        schema = file.data_sets.get(section)
        if schema is not None and issubclass(schema, kernels.TwoOrderKernels) != degrades:
            name = options["datasets"][section]["type"]
            what = "has no kernels to degrade with" if degrades else "has no pairs"
            yield Finding(
                ("datasets", section, "type"),
                f"is {name}, which {what}, but high_order_degradation is {str(degrades).lower()};"
                " change one of them",
            )
