"""The slider on a report's page, driven in Chromium by mouse, keys and fingers."""

import numpy as np
import pytest

from support import patience
from support.browser import until
from support.reports import BLUE, GREEN, RED, Stage, flat, places, report, scene, seen
from vmambair_arch.viewing import script, style


@pytest.fixture
def colours(tmp_path):
    """A page with one scene: red on the left, blue on the right, and green as the truth."""
    return report(tmp_path, scene("one", 30.0, 31.0))


@pytest.fixture
def maps(tmp_path):
    """A page with an image whose red and green are pixel coordinates, and different blues."""
    results = {"left": places(0), "right": places(255)}
    return report(tmp_path, scene("one", 30.0, 31.0, truth=places(128), results=results))


def same_place_on_both_sides(stage, x: float = 0.5) -> tuple[int, int]:
    """Uncover a point on each side in turn; returns its red and green, the coordinates."""
    found = []
    for key, blue in ("End", 0), ("Home", 255):
        stage.slider.press(key)
        (colour,) = stage.colours(x)
        assert colour[2] == blue
        found.append(colour[:2])
    assert found[0] == found[1]
    return found[0]


def test_the_divider_follows_the_mouse(colours, open_page):
    stage = Stage(open_page(colours))
    assert stage.colours(0.2, 0.8) == [RED, BLUE]
    stage.drag((0.5, 0.3), (0.9, 0.3))
    assert stage.colours(0.2, 0.8, 0.95) == [RED, RED, BLUE]
    stage.drag((0.9, 0.6), (0.1, 0.6))  # from beside its handle
    assert stage.colours(0.05, 0.2, 0.8) == [RED, BLUE, BLUE]
    assert stage.slider.get_attribute("aria-valuenow") == "10"


def test_the_divider_follows_the_keys(colours, open_page):
    stage = Stage(open_page(colours))
    assert stage.slider.get_attribute("aria-label") == "Divider between red and blue"
    for key, value in ("ArrowRight", 52), ("PageUp", 62), ("ArrowLeft", 60), ("End", 100):
        stage.slider.press(key)
        assert stage.slider.get_attribute("aria-valuenow") == str(value)
    assert stage.colours(0.95) == [RED]
    stage.slider.press("Home")
    assert stage.colours(0.05) == [BLUE]
    assert stage.slider.get_attribute("aria-valuetext") == "0% red"


def test_the_divider_follows_a_finger_and_two_fingers_zoom(maps, open_page):
    stage = Stage(open_page(maps, touch=True))
    stage.fingers([(0.5, 0.3)], [(0.6, 0.3)], [(0.8, 0.3)])
    assert stage.slider.get_attribute("aria-valuenow") == "80"
    before = stage.zoom
    stage.fingers([(0.4, 0.5), (0.6, 0.5)], [(0.35, 0.5), (0.65, 0.5)], [(0.3, 0.5), (0.7, 0.5)])
    assert stage.zoom == pytest.approx(2 * before, rel=0.05)
    across, _ = same_place_on_both_sides(stage)
    assert across / 4 == pytest.approx(32, abs=1)  # the centre has not moved


def test_a_swipe_over_the_slider_scrolls_the_page(colours, open_page):
    page = open_page(colours, touch=True)
    stage = Stage(page)
    page.evaluate("scrollTo(0, 0)")
    stage.box = page.locator(".is-left .viewer-picture").bounding_box()
    stage.fingers([(0.3, 0.9)], [(0.3, 0.6)], [(0.3, 0.1)], [(0.3, -0.2)])
    until(page, "scrollY > 0")
    assert stage.slider.get_attribute("aria-valuenow") == "50"


def test_the_wheel_zooms_both_sides_about_the_pointer(maps, open_page):
    page = open_page(maps)
    stage = Stage(page)
    before, fitting = same_place_on_both_sides(stage, 0.7), stage.zoom
    page.mouse.move(*stage.point(0.7))
    for _ in range(4):
        page.mouse.wheel(0, -100)
    until(page, f"parseInt(document.querySelector('.viewer-zoom').value) > {2 * fitting}")
    after = same_place_on_both_sides(stage, 0.7)
    assert np.abs(np.subtract(before, after)).max() <= 4  # one pixel


def test_a_zoomed_picture_is_dragged_on_both_sides_and_cannot_leave_the_stage(maps, open_page):
    page = open_page(maps)
    stage = Stage(page)
    page.mouse.dblclick(*stage.point(0.5, 0.3))
    fitting = same_place_on_both_sides(stage, 0.75)
    stage.drag((0.75, 0.3), (0.65, 0.3))
    across, down = same_place_on_both_sides(stage, 0.75)
    assert across > fitting[0]
    assert down == fitting[1]
    for _ in range(6):
        stage.drag((0.9, 0.3), (0.1, 0.3))
    stage.slider.press("End")
    (corner,) = stage.colours(0.99)
    assert corner[0] > 4 * 58  # the last columns, and no empty stage
    stage.slider.press("Shift+ArrowLeft")
    stage.slider.press("0")
    assert same_place_on_both_sides(stage)[0] / 4 == pytest.approx(32, abs=1)


def test_keys_zoom_and_large_pixels_are_squares(maps, open_page):
    page = open_page(maps)
    stage = Stage(page)
    fitting = stage.zoom
    stage.slider.press("+")
    assert stage.zoom == pytest.approx(1.5 * fitting, rel=0.01)
    stage.slider.press("-")
    stage.slider.press("1")
    assert stage.zoom == 100
    assert "is-pixelated" not in stage.stage.get_attribute("class")
    for _ in range(20):
        stage.slider.press("+")
    assert stage.zoom == 3200
    pixels = np.unique(stage.colours(*np.linspace(0.6, 0.7, 100)), axis=0)
    assert np.all(pixels[:, 0] % 4 == 0)  # none is between two
    stage.slider.press("0")
    assert stage.zoom == fitting


def test_a_window_of_another_size_fits_the_picture_again(maps, open_page):
    page = open_page(maps)
    stage = Stage(page)
    fitting = stage.zoom
    page.set_viewport_size({"width": 700, "height": 500})
    until(page, f"parseInt(document.querySelector('.viewer-zoom').value) < {fitting}")
    both = page.locator(".is-left .viewer-picture"), stage.stage

    def fits() -> bool:
        picture, room = (locator.bounding_box()["height"] for locator in both)
        return abs(picture - room) <= 1

    patience.until(fits)  # the window may take its new size in steps


def test_any_two_images_are_on_the_two_sides(colours, open_page):
    page = open_page(colours)
    stage = Stage(page)
    page.get_by_label("Left").select_option("Ground truth")
    page.locator(".is-left img[alt='Ground truth']").wait_for(state="attached")
    assert stage.colours(0.2, 0.8) == [GREEN, BLUE]
    stage.slider.press("x")
    page.locator(".is-right img[alt='Ground truth']").wait_for(state="attached")
    assert stage.colours(0.2, 0.8) == [BLUE, GREEN]
    assert page.locator(".is-left .viewer-badge").inner_text() == "bluePSNR 31.00 dB, LPIPS 0.0323"


def drawn(page, side: str) -> np.ndarray:
    """(h, w, 3): the pixels of a side's canvas or image."""
    values = page.evaluate(
        """side => {
            const layer = document.querySelector(`.is-${side} .viewer-picture > *`);
            const size = {width: layer.naturalWidth ?? layer.width,
                          height: layer.naturalHeight ?? layer.height};
            return [size.height, size.width, [...Difference.pixels(layer, size).data]];
        }""",
        side,
    )
    return np.array(values[2]).reshape(values[0], values[1], 4)[..., :3]


def wait_for_pixels(page, side: str, expected: np.ndarray) -> None:
    patience.until(lambda: np.array_equal(drawn(page, side), expected))


def test_differences_are_those_of_numpy(tmp_path, open_page):
    rng = np.random.default_rng(0)
    truth, one, other = (rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(3))
    results = {"one": one, "other": other}
    page = open_page(report(tmp_path, scene("noise", 9.0, 9.0, truth=truth, results=results)))
    stage = Stage(page)
    assert np.array_equal(drawn(page, "left"), one)  # nothing was lost on the way
    page.get_by_role("button", name="Errors").click()
    page.get_by_label("Gain").select_option("\u00d716")
    for side, pixels in ("left", one), ("right", other):
        distance = np.abs(pixels.astype(int) - truth)
        page.locator(f".is-{side} canvas").wait_for(state="attached")
        wait_for_pixels(page, side, np.minimum(16 * distance, 255))
        badge = page.locator(f".is-{side} .viewer-badge")
        assert f"mean {distance.mean():.2f} of 255" in badge.inner_text()
    stage.slider.press("d")
    distance = np.abs(one.astype(int) - other)
    page.locator(".viewer-badge", has_text="|one \u2212 other|").wait_for()
    page.get_by_label("Gain").select_option("\u00d71")
    wait_for_pixels(page, "left", distance)
    assert not stage.slider.is_visible()


def test_the_pixel_under_the_pointer_is_read_out(maps, open_page):
    page = open_page(maps)
    stage = Stage(page)
    page.mouse.move(*stage.point(10.5 / 64, 20.5 / 48))
    readout = page.locator(".viewer-readout span").all_inner_texts()
    assert readout == ["x 10, y 20", "40 80 0", "40 80 255"]


def test_every_image_has_a_close_up_under_the_pointer(maps, open_page):
    page = open_page(maps)
    stage = Stage(page)
    page.mouse.move(*stage.point(20.5 / 64, 30.5 / 48))
    for number, blue in enumerate((128, 0, 255)):
        pixels = seen(page.locator(".viewer-window").nth(number))
        h, w = pixels.shape[:2]
        assert tuple(pixels[h // 2, w // 2]) == (4 * 20, 4 * 30, blue)
    page.get_by_title("Ground truth: put it on the right").click()
    page.locator(".is-right img[alt='Ground truth']").wait_for(state="attached")


def test_grey_images_are_shown_and_compared(tmp_path, open_page):
    grey = {"dark": flat((50,)), "bright": flat((200,))}
    page = open_page(report(tmp_path, scene("grey", 20.0, 21.0, truth=flat((60,)), results=grey)))
    stage = Stage(page)
    assert stage.colours(0.2, 0.8) == [(50, 50, 50), (200, 200, 200)]
    stage.slider.press("d")
    page.locator(".is-left canvas").wait_for()
    assert stage.colours(0.2) == [(40, 40, 40)]  # four times 10


@pytest.fixture
def alone(tmp_path, open_page):
    """Open a viewer on a page of its own; returns the page, and data URIs of small and large."""
    from vmambair_arch.reporting.page import pictures

    small, large = (pictures.lossless(flat(c, 12 * n, 16 * n)) for c, n in ((RED, 1), (BLUE, 4)))
    path = tmp_path / "viewer.html"
    path.write_text(
        f"<!doctype html><style>{style()}</style><div></div><script>{script()}\n"
        f"const images = [{{label: 'small', src: '{small}'}}, {{label: 'large', src: '{large}'}}];"
        "const viewer = new Viewer(document.querySelector('div'), {images});</script>"
    )
    return open_page(path)


def test_the_viewer_works_alone_and_enlarges_a_smaller_image_to_the_others_size(alone):
    stage = Stage(alone)
    assert stage.colours(0.2, 0.8, y=0.9) == [RED, BLUE]
    assert not alone.get_by_role("button", name="Errors").is_visible()  # without a truth
    alone.evaluate("viewer.setImages({images: [images[1], images[0]], left: 0, right: 1})")
    assert stage.colours(0.2, 0.8, y=0.9) == [BLUE, RED]


def test_an_image_that_cannot_be_shown_is_named(alone):
    bad = "[images[0], {label: 'broken', src: 'data:image/png;base64,AAAA'}]"
    alone.evaluate(f"viewer.setImages({{images: {bad}}})")
    assert alone.get_by_text("broken cannot be shown").is_visible()
