"""VmambaIRGANModel: BasicSR's SRGANModel with images of any size and checkpoints of any kind."""

from basicsr.models.srgan_model import SRGANModel

from .vmambair_model import VmambaIRModel


class VmambaIRGANModel(VmambaIRModel, SRGANModel):
    """SRGANModel that pads and crops when it tests, and loads our and the released checkpoints.

    Its options are SRGANModel's.
    """
