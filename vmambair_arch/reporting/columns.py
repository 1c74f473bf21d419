"""The metrics whose units and directions are known, as columns of a report."""

from .format import Column

# The keys of a training's row that are no metrics.
NOT_MEASURED = {"iter", "dataset", "time", "seconds"}

METRICS = {
    "psnr": Column(label="PSNR (dB)", decimals=2, better="higher"),
    "ssim": Column(label="SSIM", decimals=4, better="higher"),
    "lpips": Column(label="LPIPS", decimals=4, better="lower"),
    "dists": Column(label="DISTS", decimals=4, better="lower"),
    "niqe": Column(label="NIQE", decimals=3, better="lower"),
}


def metric(name: str) -> Column:
    """The column of a metric; one that is not known keeps its name and has no better way."""
    return METRICS.get(name) or Column(label=name, decimals=4)
