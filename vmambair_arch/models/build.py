"""Building any registered model with the methods that make it dependable."""

import functools
import json
from copy import deepcopy
from typing import Any

import basicsr.version
import torch
from basicsr.utils import get_root_logger
from basicsr.utils.registry import MODEL_REGISTRY

from ..errors import InputError
from ..networks.compilation import compile_network
from .after_model import AfterModel
from .before_model import BeforeModel

# The options, besides the networks', that determine the weights.
ABOUT = ("name", "model_type", "scale", "precision", "train")


def refuse_compiled_copies(opt: dict[str, Any]) -> None:
    """Raise InputError if one process is to run a compiled network on several GPUs.

    torch copies a network to the other GPUs at each forward, but a copy calls the code compiled for
    the first: that has its weights on the first GPU and gets the input on another.
    """
    if opt.get("compile") and not opt["dist"] and opt["num_gpu"] > 1:
        raise InputError(
            f"{opt['opt_file']}: compile is true, but one process has {opt['num_gpu']} GPUs; give"
            f" each a process of its own (--nproc {opt['num_gpu']}), or set num_gpu: 1 or"
            " compile: false"
        )


def build_model(opt: dict[str, Any]) -> Any:
    """Build opt's model_type, made dependable; ``compile: true`` compiles its net_g.

    Raises: InputError: it is to be compiled, but there is no compiler.
    """
    registered = MODEL_REGISTRY.get(opt["model_type"])
    model = dependable(registered)(deepcopy(opt))
    model.about = about(opt)
    if opt.get("compile"):
        compile_network(model.get_bare_model(model.net_g))
    if opt["is_train"]:
        model.add_losses()
        model.wrap_optimizers()
    get_root_logger().info(f"Model [{registered.__name__}] is created.")
    return model


@functools.cache
def dependable(registered: type) -> Any:
    """A subclass of a registered model with our methods before it and after it.

    It works for our models as for those of BasicSR and of other packages: the methods of
    BeforeModel precede the model's; those of AfterModel follow them and replace BaseModel's.
    """
    return type(registered.__name__, (BeforeModel, registered, AfterModel), {})


def about(opt: dict[str, Any]) -> dict[str, Any]:
    """How a file was made: the options of networks and training, and the versions."""
    from .. import __version__

    options = {k: v for k, v in opt.items() if k in ABOUT or k.startswith("network_")}
    return {
        "options": json.loads(json.dumps(options, default=str)),
        "versions": {
            "vmambair_arch": __version__,
            "torch": str(torch.__version__),
            "basicsr": basicsr.version.__version__,
        },
    }
