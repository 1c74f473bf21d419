"""Reports for tests of the page, and readings of the screen."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vmambair_arch.reporting.columns import METRICS
from vmambair_arch.reporting.page import Scene, write_page

PSNR = {"psnr": METRICS["psnr"]}
BOTH = {**PSNR, "lpips": METRICS["lpips"]}
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def flat(colour: tuple[int, ...], h: int = 48, w: int = 64) -> np.ndarray:
    return np.full((h, w, len(colour)), colour, np.uint8)


def places(blue: int, h: int = 48, w: int = 64) -> np.ndarray:
    """A picture whose red is a pixel's x (times 4), and whose green is its y."""
    y, x = np.indices((h, w))
    return np.stack([4 * x, 4 * y, np.full_like(x, blue)], axis=2).astype(np.uint8)


def scene(name: str, *psnrs: float | None, truth=None, results=None) -> Scene:
    """An image with results of "red" and "blue", and a PSNR of each; LPIPS is 1 / PSNR."""
    truth = flat(GREEN) if truth is None else truth
    results = results or {"red": flat(RED), "blue": flat(BLUE)}
    values = {
        method: {"psnr": psnr, "lpips": 1 / psnr if psnr else None}
        for method, psnr in zip(results, psnrs, strict=False)
    }
    return Scene(name, truth, results, values)


def report(folder: Path, *scenes: Scene) -> Path:
    """Write a page of scenes with the same methods."""
    path = folder / "report.html"
    write_page(
        path,
        title="Two colours",
        methods=list(scenes[0].results),
        columns=BOTH,
        scenes=scenes,
        details={"command": "compare"},
    )
    return path


def seen(locator) -> np.ndarray:
    """The screen's pixels, (h, w, 3)."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


class Stage:
    """A viewer's stage on a page, addressed by fractions of its fitted picture's sides."""

    def __init__(self, page):
        self.page = page
        self.stage = page.locator(".viewer-stage")
        self.slider = page.get_by_role("slider")
        page.locator(".is-right .viewer-picture > *").wait_for(state="attached")
        self.stage.scroll_into_view_if_needed()
        self.box = page.locator(".is-left .viewer-picture").bounding_box()

    def point(self, x: float, y: float = 0.3) -> tuple[float, float]:
        """The position in the window."""
        box = self.box
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def colours(self, *xs: float, y: float = 0.3) -> list[tuple[int, ...]]:
        """The colours on the screen at some fractions of the width."""
        box, pixels = self.stage.bounding_box(), seen(self.stage)
        scale = pixels.shape[1] / box["width"]
        points = [self.point(x, y) for x in xs]
        return [
            tuple(pixels[int((py - box["y"]) * scale), int((px - box["x"]) * scale)])
            for px, py in points
        ]

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.point(*start))
        mouse.down()
        mouse.move(*self.point(*end), steps=3)
        mouse.up()

    def fingers(self, *moments: Sequence[tuple[float, float]]) -> None:
        """Put fingers down at the first moment's points, move them to the others', lift them."""
        session = self.page.context.new_cdp_session(self.page)
        kinds = ["touchStart", *["touchMove"] * (len(moments) - 1)]
        for kind, points in zip(kinds, moments, strict=True):
            places = enumerate(self.point(*point) for point in points)
            touches = [{"x": x, "y": y, "id": i} for i, (x, y) in places]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    @property
    def zoom(self) -> int:
        """The zoom in percent."""
        return int(self.page.locator(".viewer-zoom").inner_text().rstrip("%"))
