"""A node package for ComfyUI's custom_nodes, which loads VmambaIR, our files and the released ones.

ComfyUI loads and runs such models through spandrel, with which importing vmambair_arch.spandrel
registers the network. ComfyUI's own node cuts pictures into tiles of 512 pixels; the node below
restores them whole where they fit into memory, since the network averages over its whole input.
"""

import torch

import vmambair_arch.spandrel  # noqa: F401  # for its effect
from vmambair_arch import Restorer


class RestoreWhole:
    """Restores images as ``vmambair restore`` does, with a model from "Load Upscale Model"."""

    CATEGORY, FUNCTION, RETURN_TYPES = "image/upscaling", "restore", ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  # ComfyUI's name
        """The node's inputs."""
        return {"required": {"upscale_model": ("UPSCALE_MODEL",), "image": ("IMAGE",)}}

    def restore(self, upscale_model, image):
        """(b, h, w, 3) in [0, 1] -> (b, scale h, scale w, 3)"""
        restorer = Restorer(upscale_model.model)
        restored = [restorer(one.float().cpu().numpy()) for one in image]
        return (torch.stack([torch.from_numpy(one) for one in restored]),)


NODE_CLASS_MAPPINGS = {"VmambaIRRestoreWhole": RestoreWhole}
NODE_DISPLAY_NAME_MAPPINGS = {"VmambaIRRestoreWhole": "Restore Whole (VmambaIR)"}
