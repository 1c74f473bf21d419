"""Imported for its effect: it makes BasicSR importable and registers all of ours with it."""

from . import compat

compat.apply()

# BasicSR, and modules with subclasses of it, can be imported only after compat.
from basicsr.utils import registry  # noqa: E402

from .data.bicubic import BicubicImageDataset  # noqa: E402
from .data.jpeg import NoiseJPEGDataset  # noqa: E402
from .data.noise import GaussianNoiseDataset  # noqa: E402
from .data.progressive import ProgressiveImageDataset  # noqa: E402
from .degrading.dataset import DegradationDataset  # noqa: E402
from .degrading.model import DegradationGANModel, DegradationModel  # noqa: E402
from .degrading.rain_dataset import RainDataset  # noqa: E402
from .mamba import stand_in  # noqa: E402
from .models.gan_model import VmambaIRGANModel  # noqa: E402
from .models.iqa import calculate_iqa  # noqa: E402
from .models.losses.gan import RelativisticGANLoss  # noqa: E402
from .models.losses.perceptual import DISTSLoss, LPIPSLoss  # noqa: E402
from .models.losses.psnr import PSNRLoss  # noqa: E402
from .models.losses.structure import FFTLoss, FocalFrequencyLoss, MSSSIMLoss  # noqa: E402
from .models.losses.vgg import VGGPerceptualLoss  # noqa: E402
from .models.perceptual_metrics import calculate_dists, calculate_lpips  # noqa: E402
from .models.vmambair_model import VmambaIRModel  # noqa: E402
from .networks import released  # noqa: E402
from .networks.modules import EFFN, OSSBlock, OSSModule  # noqa: E402
from .networks.vmambair import VmambaIR  # noqa: E402

stand_in.install()  # for other people's networks

REGISTERED = [
    (registry.ARCH_REGISTRY, VmambaIR),
    (registry.ARCH_REGISTRY, OSSBlock),
    (registry.ARCH_REGISTRY, OSSModule),
    (registry.ARCH_REGISTRY, EFFN),
    *((registry.ARCH_REGISTRY, released.network_function(name)) for name in released.NETWORKS),
    (registry.MODEL_REGISTRY, VmambaIRModel),
    (registry.MODEL_REGISTRY, VmambaIRGANModel),
    (registry.MODEL_REGISTRY, DegradationModel),
    (registry.MODEL_REGISTRY, DegradationGANModel),
    (registry.DATASET_REGISTRY, BicubicImageDataset),
    (registry.DATASET_REGISTRY, DegradationDataset),
    (registry.DATASET_REGISTRY, GaussianNoiseDataset),
    (registry.DATASET_REGISTRY, NoiseJPEGDataset),
    (registry.DATASET_REGISTRY, ProgressiveImageDataset),
    (registry.DATASET_REGISTRY, RainDataset),
    (registry.LOSS_REGISTRY, DISTSLoss),
    (registry.LOSS_REGISTRY, FFTLoss),
    (registry.LOSS_REGISTRY, FocalFrequencyLoss),
    (registry.LOSS_REGISTRY, LPIPSLoss),
    (registry.LOSS_REGISTRY, MSSSIMLoss),
    (registry.LOSS_REGISTRY, PSNRLoss),
    (registry.LOSS_REGISTRY, RelativisticGANLoss),
    (registry.LOSS_REGISTRY, VGGPerceptualLoss),
    (registry.METRIC_REGISTRY, calculate_dists),
    (registry.METRIC_REGISTRY, calculate_iqa),
    (registry.METRIC_REGISTRY, calculate_lpips),
]

for names, thing in REGISTERED:
    if thing.__name__ in names:
        raise RuntimeError(
            f"{thing.__name__} is registered with BasicSR already, by another package or file:"
            " rename or remove that one"
        )
    names.register(thing)
