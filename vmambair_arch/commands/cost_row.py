"""The cost of a network as a row of a LaTeX table, and the heads of its columns."""

from ..networks.cost import Cost
from ..reporting.latex import escaped

HEADS = (
    "network", "parameters (M)", "multiply-adds (G)", "without the scans", "VMamba's count",
    "activations (M)", "s", "memory (MiB)",
)  # fmt: skip


def heads() -> str:
    """A comment with the heads of the columns."""
    return f"% {' & '.join(HEADS)}"


def row(
    name: str, parameters: int, cost: Cost, *, seconds: float | None, memory: int | None
) -> str:
    r"""The row, with ``\\`` at its end.

    Args:
        name: of the network.
        parameters: their number.
        cost: of a forward pass.
        seconds: measured, or None.
        memory: bytes, measured or estimated, or None.
    """
    published = cost.products + cost.published_scans
    numbers = [
        f"{parameters / 1e6:.2f}",
        *(f"{count / 1e9:.2f}" for count in (cost.multiply_adds, cost.products, published)),
        f"{cost.activations / 1e6:.2f}",
        "--" if seconds is None else f"{seconds:.3g}",
        "--" if memory is None else f"{memory / 2**20:.0f}",
    ]
    return " & ".join([escaped(name), *numbers]) + r" \\"
