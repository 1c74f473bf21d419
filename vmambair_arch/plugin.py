"""Imported for its effect: BasicSR made importable, and everything of ours registered with it."""

from . import compat

compat.apply()

# BasicSR, and what subclasses it, imports only after compat.
from basicsr.utils import registry  # noqa: E402

from . import data, models, released  # noqa: E402
from .losses import VGGPerceptualLoss  # noqa: E402
from .metrics import calculate_iqa  # noqa: E402
from .modules import EFFN, OSSBlock, OSSModule  # noqa: E402
from .network import VmambaIR  # noqa: E402

REGISTERED = [
    (registry.ARCH_REGISTRY, VmambaIR),
    (registry.ARCH_REGISTRY, OSSBlock),
    (registry.ARCH_REGISTRY, OSSModule),
    (registry.ARCH_REGISTRY, EFFN),
    *((registry.ARCH_REGISTRY, released.network_function(name)) for name in released.NETWORKS),
    (registry.ARCH_REGISTRY, released.restormer),
    (registry.MODEL_REGISTRY, models.VmambaIRModel),
    (registry.MODEL_REGISTRY, models.VmambaIRGANModel),
    (registry.MODEL_REGISTRY, models.DegradationModel),
    (registry.MODEL_REGISTRY, models.DegradationGANModel),
    (registry.DATASET_REGISTRY, data.BicubicImageDataset),
    (registry.DATASET_REGISTRY, data.DegradationDataset),
    (registry.DATASET_REGISTRY, data.GaussianNoiseDataset),
    (registry.DATASET_REGISTRY, data.ProgressiveImageDataset),
    (registry.LOSS_REGISTRY, VGGPerceptualLoss),
    (registry.METRIC_REGISTRY, calculate_iqa),
]

for names, thing in REGISTERED:
    if thing.__name__ in names:
        raise RuntimeError(
            f"{thing.__name__} is registered with BasicSR already, by another package or file:"
            " rename or remove that one"
        )
    names.register(thing)
