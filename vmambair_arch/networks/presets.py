"""The published configurations, by name."""

from typing import Any

from .vmambair import VmambaIR

# From the paper's tables, with the gate of the released networks, which gave its results.
PRESETS: dict[str, dict[str, Any]] = {
    "sisr_x4": {
        "scale": 4,
        "num_blocks": (15, 1, 1, 1),
        "num_refinement_blocks": 15,
        "channel_scan_width": 4,
        "channel_merge": "multiply",
        "gate": "gelu",
    },
    "realsr_x4": {
        "scale": 4,
        "num_blocks": (6, 2, 2, 1),
        "num_refinement_blocks": 6,
        "channel_scan_width": 0,
        "channel_merge": "multiply",
        "gate": "gelu",
    },
    "derain": {
        "scale": 1,
        "num_blocks": (3, 5, 7, 9),
        "num_refinement_blocks": 2,
        "channel_scan_width": 4,
        "channel_merge": "add",
        "gate": "gelu",
    },
    "derain_w2": {
        "scale": 1,
        "num_blocks": (6, 6, 7, 8),
        "num_refinement_blocks": 2,
        "channel_scan_width": 2,
        "channel_merge": "multiply",
        "gate": "gelu",
    },
}


def build(name: str, **overrides: Any) -> VmambaIR:
    """Build a published network with fresh weights.

    Args:
        name: sisr_x4, realsr_x4, derain or derain_w2.
        overrides: options of VmambaIR that differ from the published ones.
    Raises: ValueError: no such preset.
    Source: VmambaIR, arXiv 2403.11423, Section 4.1.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}: choose one of {', '.join(PRESETS)}")
    return VmambaIR(**{**PRESETS[name], **overrides})
