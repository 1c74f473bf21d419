"""BasicSR's own networks, made small, as option files name them."""

# network_g sections of BasicSR's own option files, made small, and the model that trains each.
HOST_NETWORKS = {
    "MSRResNet": ("SRModel", {"num_feat": 8, "num_block": 1, "upscale": 4}),
    "EDSR": ("SRModel", {"num_feat": 8, "num_block": 1, "upscale": 4, "res_scale": 1}),
    "RRDBNet": ("SRModel", {"num_feat": 8, "num_block": 1, "num_grow_ch": 4}),
    "SwinIR": (
        "SwinIRModel",
        {
            "upscale": 4,
            "in_chans": 3,
            "img_size": 8,
            "window_size": 4,
            "img_range": 1.0,
            "depths": [2],
            "embed_dim": 8,
            "num_heads": [2],
            "mlp_ratio": 2,
            "upsampler": "pixelshuffle",
            "resi_connection": "1conv",
        },
    ),
}
IN_OUT = {"num_in_ch": 3, "num_out_ch": 3}


def host_options(network: str) -> dict:
    """The model_type and network_g of an option file for one of BasicSR's networks."""
    model, options = HOST_NETWORKS[network]
    channels = {} if network == "SwinIR" else IN_OUT
    return {"model_type": model, "network_g": {"type": network, **channels, **options}}
