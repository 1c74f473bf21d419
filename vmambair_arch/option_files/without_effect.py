"""Warnings for options that are valid by themselves but have no effect because of others."""

from collections.abc import Iterator
from typing import Any

from ..data.entries import LISTED
from ..option_values.words import Keys
from .between_options import Checked, Finding, phase_of

TRAINING_ONLY = {  # keys of a data set, with the values that are harmless elsewhere
    "batch_size_per_gpu": 1,
    "dataset_enlarge_ratio": 1,
    "use_hflip": False,
    "use_rot": False,
}
LISTS = ("meta_info_file", "meta_info", "filename_tmpl", "images")


def findings(file: Checked) -> Iterator[Finding]:
    """Yield a warning for each option that is not read because of another."""
    for keys, sentence in _sentences(file):
        yield Finding(keys, f"has no effect: {sentence}", warning=True)


def _sentences(file: Checked) -> Iterator[tuple[Keys, str]]:
    options = file.options
    for section, opt in options["datasets"].items():
        yield from _data_set(("datasets", section), opt)
    paths, train = options.get("path") or {}, options.get("train") or {}
    if paths.get("resume_state"):
        for key in [key for key in paths if key.startswith("pretrain_network_") and paths[key]]:
            yield ("path", key), "with resume_state the networks are those of the state"
    if train.get("grad_clip") and train.get("use_grad_clip"):
        yield ("train", "use_grad_clip"), "grad_clip sets the norm"
    logger, val = options.get("logger") or {}, options.get("val") or {}
    if (logger.get("wandb") or {}).get("project") and not logger.get("use_tb_logger"):
        yield ("logger", "wandb", "project"), "nothing is sent without use_tb_logger: true"
    if val.get("suffix") and not val.get("save_img"):
        yield ("val", "suffix"), "no images are saved without save_img: true"
    schemas = [file.data_sets.get(section) for section in file.phases("val")]
    if val.get("before_after") and not file.is_train:
        yield ("val", "before_after"), "it is drawn at the end of a training"
    elif val.get("before_after") and not any(s is None or s.has_gt for s in schemas):
        yield ("val", "before_after"), "no validation set has ground truth"


def _data_set(keys: Keys, opt: dict[str, Any]) -> Iterator[tuple[Keys, str]]:
    if phase_of(str(keys[-1])) != "train":
        for key, harmless in TRAINING_ONLY.items():
            if opt.get(key, harmless) not in (harmless, None):
                yield (*keys, key), "it is for training only, and this set is for measuring"
    if opt.get("type") in LISTED and (opt.get("io_backend") or {}).get("type") == "lmdb":
        for key in LISTS:
            if opt.get(key) and opt[key] != "{}":
                yield (*keys, key), "every image of the LMDB is used"
