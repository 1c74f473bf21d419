"""The known metrics, with their units and directions, as columns of a report."""

from .format import Column

# The keys of a training's row that are not metrics.
NOT_MEASURED = {"iter", "dataset", "time", "seconds"}

METRICS = {
    "psnr": Column(label="PSNR (dB)", decimals=2, better="higher"),
    "ssim": Column(label="SSIM", decimals=4, better="higher"),
    "lpips": Column(label="LPIPS", decimals=4, better="lower"),
    "dists": Column(label="DISTS", decimals=4, better="lower"),
    "niqe": Column(label="NIQE", decimals=3, better="lower"),
}


def metric(name: str) -> Column:
    """The column of a metric; an unknown one keeps its name, and neither direction is better."""
    return METRICS.get(name) or Column(label=name, decimals=4)
