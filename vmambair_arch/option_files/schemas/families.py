"""Which sections the model of an option file reads, by its base classes."""

from typing import Any, NamedTuple

from . import sections
from .sections import General, Train

OURS = ("basicsr", "vmambair_arch")  # packages whose classes read only the keys described here


class Family(NamedTuple):
    """The sections that differ from model to model."""

    train: type[Train] = Train
    general: type[General] = General


FAMILIES: dict[str, Family | None] = {
    "SRModel": Family(),
    "SRGANModel": Family(train=sections.TrainGAN),
    "RealESRNetModel": Family(general=sections.Degraded),
    "RealESRGANModel": Family(train=sections.TrainGAN, general=sections.DegradedGAN),
    "DegradationModel": Family(general=sections.OwnDegraded),
    "DegradationGANModel": Family(train=sections.TrainGAN, general=sections.OwnDegradedGAN),
    "EDVRModel": Family(train=sections.TrainEDVR),
    "VideoRecurrentModel": Family(train=sections.TrainRecurrent),
    "VideoRecurrentGANModel": Family(train=sections.TrainRecurrentGAN),
    "HiFaceGANModel": None,  # reads other keys
    "StyleGAN2Model": None,
}


def family(model: type) -> Family | None:
    """The family of a registered model; None if its keys are not known here."""
    if not known(model):
        return None
    return next(
        (FAMILIES[base.__name__] for base in model.__mro__ if base.__name__ in FAMILIES), None
    )


def readers(key: str, section: str) -> list[str]:
    """The models that read a key of a section: "train", or "general" for the top level."""
    found = {name: getattr(family, section, None) for name, family in FAMILIES.items()}
    return [name for name, model in found.items() if model and key in model.model_fields]


def known(thing: object) -> bool:
    """Whether BasicSR or this package defines a class or function."""
    return getattr(thing, "__module__", "").partition(".")[0] in OURS


def registered(registry: Any, name: str) -> Any:
    """The entry of a BasicSR registry under a name, with its suffix or without; or None."""
    there = dict(iter(registry))
    return there.get(name) or there.get(f"{name}_basicsr")
