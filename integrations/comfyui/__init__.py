"""For custom_nodes of ComfyUI, which then loads VmambaIR, our files and the released ones.

ComfyUI loads and runs such models by spandrel, to which the import of vmambair_arch.spandrel adds
the network. Its own node cuts pictures into tiles of 512 pixels; the one below restores them whole
where they fit into memory, since the network takes means over all that it sees.
"""

import torch

import vmambair_arch.spandrel  # noqa: F401  # for its effect
from vmambair_arch import Restorer


class RestoreWhole:
    """Restores images as ``vmambair restore`` does, with a model of "Load Upscale Model"."""

    CATEGORY, FUNCTION, RETURN_TYPES = "image/upscaling", "restore", ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  # ComfyUI's name
        """What the node is connected to."""
        return {"required": {"upscale_model": ("UPSCALE_MODEL",), "image": ("IMAGE",)}}

    def restore(self, upscale_model, image):
        """(b, h, w, 3) in [0, 1] -> the same, as much larger as the model makes it"""
        restorer = Restorer(upscale_model.model)
        restored = [restorer(one.float().cpu().numpy()) for one in image]
        return (torch.stack([torch.from_numpy(one) for one in restored]),)


NODE_CLASS_MAPPINGS = {"VmambaIRRestoreWhole": RestoreWhole}
NODE_DISPLAY_NAME_MAPPINGS = {"VmambaIRRestoreWhole": "Restore Whole (VmambaIR)"}
