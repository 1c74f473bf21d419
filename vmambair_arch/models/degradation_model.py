"""Models that make their low-quality images themselves, on the device where they train."""

from .gan_model import VmambaIRGANModel
from .vmambair_model import VmambaIRModel


class DegradationModel(VmambaIRModel):
    """VmambaIRModel that degrades the ground truth of a DegradationDataset, as Real-ESRGAN does.

    Its options are RealESRNetModel's.
    """


class DegradationGANModel(DegradationModel, VmambaIRGANModel):
    """DegradationModel with adversarial training; its options are RealESRGANModel's."""
