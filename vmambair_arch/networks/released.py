"""The names that the released code of VmambaIR and of Restormer gives networks and options."""

import inspect
from collections.abc import Callable
from typing import Any

from .modules.layers import choice
from .presets import PRESETS
from .restormer import Restormer
from .unet import UNet
from .vmambair import VmambaIR

NETWORKS: dict[str, dict[str, Any]] = {  # with the options that differ from the defaults
    "MambaSISR6": PRESETS["sisr_x4"],
    "MambaRealSR11": PRESETS["realsr_x4"],
    "Mamber32": PRESETS["derain"],
    "Mamber33": PRESETS["derain_w2"],
    "Restormer": {},
}
NAMES = {"in_channels": "inp_channels", "norm": "LayerNorm_type", "dual_pixel": "dual_pixel_task"}
NORMS = {"WithBias": "with_bias", "BiasFree": "bias_free"}


def network_function(name: str) -> Callable[..., UNet]:
    """Make the function that builds a network from the keys of its released option files.

    Its signature and its docstring are the constructor's with those names.

    Args:
        name: one of NETWORKS.
    Returns: a function of that name, for BasicSR's registry.
    """
    defaults = NETWORKS[name]
    network: Any = VmambaIR if defaults else Restormer
    options = dict(inspect.signature(network).parameters)
    if defaults:
        del options["residual"]  # the released networks have one where the channels allow it
        options["heads"] = inspect.signature(Restormer).parameters["heads"]
    options |= {key: options[key].replace(default=value) for key, value in defaults.items()}
    options["norm"] = options["norm"].replace(default="WithBias")
    parameters = [o.replace(name=NAMES.get(key, key)) for key, o in options.items()]
    signature = inspect.Signature(parameters, return_annotation=network)

    def build(**given: Any) -> UNet:
        bound = signature.bind(**given)
        bound.apply_defaults()
        values = dict(zip(options, bound.arguments.values(), strict=True))
        values["norm"] = choice("LayerNorm_type", values["norm"], NORMS)
        if defaults:
            del values["heads"]
            values["residual"] = values["in_channels"] == values["out_channels"]
        return network(**values)

    doc = inspect.getdoc(network) or ""  # __doc__ is indented before Python 3.13
    for ours, theirs in NAMES.items():
        doc = doc.replace(f"    {ours}: ", f"    {theirs}: ")
    for theirs, ours in NORMS.items():
        doc = doc.replace(f'"{ours}"', f'"{theirs}"')
    if defaults:
        doc = doc.replace("Raises:", "    heads: not used.\nRaises:")
    build.__name__ = build.__qualname__ = name
    build.__doc__, build.__signature__ = doc, signature  # pyright: ignore[reportFunctionMemberAccess]
    build.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return build
