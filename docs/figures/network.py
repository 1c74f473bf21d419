"""Draw the figure of the network into docs/pictures/network.svg."""

from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

OUTPUT = Path(__file__).parent.parent / "pictures" / "network.svg"
# Each box: column, row (a level of the U-Net), label.
BOXES = [
    (0, 0, "3x3 conv"),
    (1, 0, "level 1\nc"),
    (2, 1, "level 2\n2c"),
    (3, 2, "level 3\n4c"),
    (4, 3, "latent\n8c"),
    (5, 2, "level 3\n4c"),
    (6, 1, "level 2\n2c"),
    (7, 0, "level 1\n2c"),
    (8, 0, "refinement\n2c"),
    (9, 0, "tail"),
]
STEPS = [
    *((a, a + 1, "") for a in range(len(BOXES) - 1)),
    (1, 7, "joined, not reduced"),
    (2, 6, "joined, reduced"),
    (3, 5, "joined, reduced"),
]
WIDTH, HEIGHT = 0.74, 0.6


def draw() -> Figure:
    """The figure: boxes of OSS blocks, arrows between them, skips drawn dashed."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-0.6, 9.6)
    axes.set_ylim(-3.5, 0.6)
    for column, row, label in BOXES:
        corner = (column - WIDTH / 2, -row - HEIGHT / 2)
        blocks = label.startswith(("level", "latent", "refinement"))
        colour = "#cfe3f7" if blocks else "#eeeeee"
        style = "round,pad=0.02,rounding_size=0.08"
        box = FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle=style, fc=colour, ec="#335577")
        axes.add_patch(box)
        axes.text(column, -row, label, ha="center", va="center", fontsize=8)
    for first, last, label in STEPS:
        (x0, r0, _), (x1, r1, _) = BOXES[first], BOXES[last]
        skip = bool(label)
        start, end = (x0 + WIDTH / 2, -r0), (x1 - WIDTH / 2, -r1)
        line = {"arrowstyle": "->", "color": "#335577", "linestyle": "--" if skip else "-"}
        axes.annotate("", end, start, arrowprops=line)
        if skip:
            axes.text((x0 + x1) / 2, -r0 + 0.06, label, ha="center", fontsize=7, color="#335577")
    axes.text(
        4.5,
        -3.45,
        "blue: OSS blocks;  down: 3x3 conv, pixel-unshuffle 2;  up: 3x3 conv, pixel-shuffle 2",
        ha="center",
        fontsize=8,
    )
    return figure


if __name__ == "__main__":
    OUTPUT.parent.mkdir(exist_ok=True)
    rcParams["svg.hashsalt"] = OUTPUT.stem  # the same names in the file each time
    draw().savefig(OUTPUT, metadata={"Date": None})
