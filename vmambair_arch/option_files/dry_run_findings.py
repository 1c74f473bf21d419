"""Which dry runs an option file needs, and their findings."""

import re
from collections.abc import Iterator
from typing import Any

from basicsr.archs.vgg_arch import NAMES as VGG_LAYERS
from basicsr.utils import registry

from ..data.batches.micro_batches import is_progressive
from ..errors import InputError, nearest
from ..models.build import dependable
from ..models.losses.sections import loss_sections
from ..option_values.words import Keys
from . import dry_runs
from .between_options import Checked, Finding, channels_of
from .schemas.families import known, registered

# The losses that a dry run can apply.
LOSSES = ("pixel_opt", "perceptual_opt", "gan_opt", "losses")
TRIAL_SIDE = 256  # pixels a side of the largest image that a loss is tried on
TEST_SIZE = 64  # height and width of the input when the file does not train


def findings(file: Checked) -> Iterator[Finding]:
    """Build and run everything that needs no data."""
    yield from _networks(file)
    for name, function in file.metrics.items():
        if function.__module__.startswith("basicsr."):  # other metrics may download weights
            options = file.options["val"]["metrics"][name]
            yield from _found(("val", "metrics", name), options, dry_runs.metric(function, options))
    if file.is_train:
        yield from _training(file, file.options["train"])
        yield from _model(file)


def _model(file: Checked) -> Iterator[Finding]:
    """The problems that the model's own ``check_options`` finds, if it has that."""
    check = getattr(file.model, "check_options", None)
    if check is not None:
        try:
            check({**file.options, "dist": False, "num_gpu": 1})  # what a run adds
        except InputError as error:
            place, _, sentence = str(error).partition(" ")
            keys = tuple(place.rstrip(":").split("."))
            known_place = keys[0] in file.options
            yield Finding(keys, sentence) if known_place else Finding(("model_type",), str(error))


def _networks(file: Checked) -> Iterator[Finding]:
    section, inputs = _inputs(file)
    images = "VideoBaseModel" not in file.bases and file.data_sets.get(section) is not None
    for key in [key for key in file.options if key.startswith("network_") and file.options[key]]:
        options = file.options[key]
        cls = registered(registry.ARCH_REGISTRY, options["type"])
        for lq, gt, source in inputs if known(cls) else ():  # other networks may need a GPU
            shapes: dict[str, tuple] = (
                {"network_g": (lq, gt), "network_d": (gt, None)} if images else {}
            )
            sentence = dry_runs.network(cls, options, *shapes.get(key, ((), None)), source)
            yield from _found((key,), options, sentence)


def _inputs(file: Checked) -> tuple[str, list[tuple[dry_runs.Shape, dry_runs.Shape, str]]]:
    """The first data set that the network sees, in training if it trains; for each size of its
    crops the shapes (1, c, h, w) of lq and gt, and where they come from.
    """
    options = file.options
    scale = options.get("scale") or 1
    sections = file.phases("train") if file.is_train else list(options["datasets"])
    data_set = options["datasets"][sections[0]]
    name, sizes = _crops(options, data_set) if file.is_train else ("", [])
    sides = [(size // scale, f"{name} {size}, scale {scale}") for size in sizes]
    sides = sides or [(TEST_SIZE, f"scale {scale}")]
    channels = channels_of(data_set)
    return sections[0], [
        ((1, channels, side, side), (1, channels, side * scale, side * scale), source)
        for side, source in sides
    ]


def _training(file: Checked, train: dict[str, Any]) -> Iterator[Finding]:
    for keys, section in loss_sections(train):
        cls = registered(registry.LOSS_REGISTRY, section["type"])
        if "layer_weights" in section:  # it needs VGG's weights: no dry run
            yield from _perceptual(keys, section)
        elif keys[1] in LOSSES and not getattr(cls, "weights_from_files", False):
            sentence = dry_runs.loss(cls, section, keys[1], _side(file))
            yield from _found(keys, section, sentence)
    model, wrong = dependable(file.model), False
    for key in [key for key in train if key.startswith("optim_")]:
        sentence = dry_runs.optimizer(model, train[key])
        wrong = wrong or sentence is not None
        yield from _found(("train", key), train[key], sentence)
    if not wrong:
        sentence = dry_runs.scheduler(model, train)
        yield from _found(("train", "scheduler"), train["scheduler"], sentence)


def _side(file: Checked) -> int:
    """The side of the images that losses are tried on: that of training's crops, if known."""
    data_set = file.options["datasets"][file.phases("train")[0]]
    return min([TRIAL_SIDE, *_crops(file.options, data_set)[1]])


def _crops(options: dict[str, Any], data_set: dict[str, Any]) -> tuple[str, list[int]]:
    """The option that sets the sides of training's crops, and these, if known."""
    if is_progressive(data_set):
        return "gt_sizes", sorted({*data_set["gt_sizes"]})
    size = options.get("gt_size") or data_set.get("gt_size")
    return "gt_size", [size] if isinstance(size, int) else []


def _perceptual(keys: Keys, options: dict[str, Any]) -> Iterator[Finding]:
    layers = VGG_LAYERS.get(options.get("vgg_type", "vgg19").removesuffix("_bn"))
    if layers is None:
        yield Finding((*keys, "vgg_type"), f"is none of {', '.join(VGG_LAYERS)}")
        return
    if not options["layer_weights"]:
        yield Finding((*keys, "layer_weights"), "is empty; name a layer, such as conv5_4: 1")
    for layer, weight in options["layer_weights"].items():
        if layer not in layers and not layer.startswith("bn"):
            yield Finding(
                (*keys, "layer_weights", layer), f"is not a layer{nearest(layer, layers)}"
            )
        elif type(weight) not in (int, float) or weight < 0:
            yield Finding((*keys, "layer_weights", layer), "is not a weight: give a number >= 0")
    if options.get("criterion", "l1") not in ("l1", "l2", "fro"):
        yield Finding((*keys, "criterion"), "is none of l1, l2, fro")


def _found(keys: Keys, options: dict[str, Any], sentence: str | None) -> Iterator[Finding]:
    """A finding at the option that the sentence names, if any, or at ``keys``."""
    if sentence is not None:
        others = [key for key in options if key != "type"]
        outside_brackets = re.sub(r"\([^)]*\)", "", sentence)  # which hold what it was tried on
        named = [key for key in others if re.search(rf"\b{re.escape(key)}\b", outside_brackets)]
        yield Finding((*keys, *named[:1]), f"{options['type']} {sentence}")
