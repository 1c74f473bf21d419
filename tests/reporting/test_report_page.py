"""The report's page: its tables, themes and images, in Chromium, and how it is written."""

import re
import weakref

import numpy as np
import pytest

from support.reports import BLUE, GREEN, PSNR, RED, Stage, flat, report, scene, seen
from vmambair_arch.errors import InputError
from vmambair_arch.reporting.page import Scene, write_page

HOSTILE = "<img src=x onerror=alert(1)></script><!--&amp;$title\u2028'\".png"
NAMES = ["img10", "img2", "img1"]


@pytest.fixture
def page(tmp_path, open_page):
    """Three images; the second has no value of blue."""
    values = [(30.0, 31.0), (28.5, None), (33.25, 9.0)]
    scenes = [scene(name, *psnrs) for name, psnrs in zip(NAMES, values, strict=True)]
    return open_page(report(tmp_path, *scenes))


def column(page, number: int) -> list[str]:
    return page.locator(f".scores.is-chosen tbody tr > :nth-child({number})").all_inner_texts()


def head(page, name: str):
    return page.locator(".scores.is-chosen").get_by_role("columnheader", name=name)


def test_tables_sort_by_name_and_by_number_with_missing_values_last(page):
    head(page, "Image").get_by_role("button").click()
    assert column(page, 1) == ["img1", "img2", "img10"]
    assert head(page, "Image").get_attribute("aria-sort") == "ascending"
    head(page, "blue").get_by_role("button").click()
    assert column(page, 3) == ["9.00", "31.00", "–"]
    assert head(page, "Image").get_attribute("aria-sort") == "none"
    head(page, "blue").get_by_role("button").click()
    assert column(page, 3) == ["31.00", "9.00", "–"]
    assert head(page, "blue").get_attribute("aria-sort") == "descending"


def test_tables_sort_by_keyboard(page):
    head(page, "red").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert column(page, 2) == ["28.50", "30.00", "33.25"]
    page.keyboard.press("Space")
    assert column(page, 2) == ["33.25", "30.00", "28.50"]


def test_the_best_is_bold_where_two_or_more_were_measured(page):
    best = page.locator(".scores.is-chosen b").all_inner_texts()
    assert best == ["31.00", "33.25"]
    assert page.locator(".scores.is-chosen u").count() == 0  # of two values none is the second
    page.get_by_role("group", name="Metric").get_by_role(
        "button", name="LPIPS"
    ).click()  # lower is better
    assert page.locator(".scores.is-chosen b").all_inner_texts()[0] == "0.0323"
    means = page.locator(".means tbody tr").all_inner_texts()
    assert [row.split("\t")[:2] for row in means] == [["red", "30.58"], ["blue", "20.00 of 2"]]
    assert page.locator(".means b").count() == 0  # a mean over fewer images is not comparable


def test_images_are_chosen_by_buttons_keys_thumbnails_and_the_table(page):
    name = page.locator("#name")
    assert name.inner_text().startswith("img10")
    page.get_by_role("button", name="Next").click()
    assert name.inner_text().startswith("img2")
    page.keyboard.press("p")
    page.keyboard.press("p")
    assert name.inner_text().startswith("img1") and "3 of 3" in name.inner_text()
    page.locator(".thumbnails button").nth(1).click()
    assert name.inner_text().startswith("img2")
    page.locator(".scores.is-chosen tbody button").first.click()
    assert name.inner_text().startswith("img10")
    assert page.locator(".scores.is-chosen tr.is-chosen").inner_text().startswith("img10")


def test_only_images_on_the_screen_are_decoded(page):
    for _ in range(3):
        page.keyboard.press("n")
    page.locator(".is-right img").wait_for(state="attached")
    assert page.locator(".viewer-stage img").count() == 2
    assert page.locator("img").count() == 2 + 3 + 3  # close-ups of one scene, and thumbnails


def test_the_table_is_searched(page):
    page.get_by_label("Find an image").fill("MG1")
    rows = page.locator(".scores.is-chosen tbody tr:visible th")
    assert rows.all_inner_texts() == ["img10", "img1"]


def brightness(page) -> float:
    return seen(page.locator("header p")).mean()


def test_the_theme_follows_the_system_until_the_user_chooses_one(tmp_path, open_page):
    path = report(tmp_path, scene("one", 30.0, 31.0))
    page = open_page(path)
    assert brightness(page) > 200
    page.emulate_media(color_scheme="dark")
    assert brightness(page) < 60
    button = page.locator("#theme")
    button.click()
    assert button.inner_text() == "Theme: light"
    assert brightness(page) > 200
    page.reload()
    assert brightness(page) > 200  # it is remembered
    button.click()
    page.emulate_media(color_scheme="light")
    assert brightness(page) < 60
    assert brightness(open_page(path, dark=True)) < 60


def test_the_page_works_without_local_storage(tmp_path, open_page):
    path = report(tmp_path, scene("one", 30.0, 31.0))
    page = open_page("about:blank")
    page.set_content(path.read_text())  # such a page may not use localStorage
    page.locator("#theme").click()
    assert brightness(page) > 200
    assert Stage(page).colours(0.2, 0.8) == [RED, BLUE]


@pytest.mark.parametrize("touch", [False, True])
def test_narrow_windows_have_no_horizontal_scroll_bar(tmp_path, open_page, touch):
    long = "a" * 120
    results = {long: flat(RED), **{f"method {n}": flat(BLUE) for n in range(6)}}
    page = open_page(report(tmp_path, scene(long, *range(20, 27), results=results)), touch=touch)
    for width in (320, 390, 800):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_are_shown_as_text(tmp_path, open_page):
    path = tmp_path / "report.html"
    methods = [HOSTILE, "blue"]
    one = scene(
        HOSTILE, 30.0, 31.0, results=dict(zip(methods, (flat(RED), flat(BLUE)), strict=True))
    )
    made_by = {HOSTILE: HOSTILE}
    write_page(path, title=HOSTILE, methods=methods, columns=PSNR, scenes=[one], details=made_by)
    page = open_page(path)
    assert page.title() == HOSTILE
    assert page.locator("#name").inner_text().startswith(HOSTILE.replace("\u2028", "")[:20])
    assert page.locator("#name").evaluate("e => e.firstChild.data") == HOSTILE
    assert Stage(page).colours(0.2, 0.8) == [RED, BLUE]
    assert page.locator("[onerror]").count() == 0
    assert page.locator("option").all_text_contents()[1] == HOSTILE


def test_names_that_are_not_valid_text_are_written_all_the_same(tmp_path, open_page):
    page = open_page(report(tmp_path, scene("caf\udce9", 30.0, 31.0)))
    assert page.locator("#name").inner_text().startswith("caf\ufffd")


def test_the_page_forbids_every_other_script_and_every_request(page):
    policy = page.locator("meta[http-equiv]").get_attribute("content")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy


def test_all_but_the_images_is_small(tmp_path):
    path = report(tmp_path, *(scene(f"img{n}", 30.0, 31.0) for n in range(100)))
    text = re.sub(r"data:image/\w+;base64,[\w+/=]*", "", path.read_text())
    assert len(text.encode()) < 300_000


def test_the_printed_page_has_every_table_and_no_buttons(page):
    page.emulate_media(media="print")
    assert page.locator(".scores").count() == page.locator(".scores:visible").count() == 2
    assert not page.locator("#theme").is_visible()


def write(path, scenes):
    write_page(path, title="", methods=["red", "blue"], columns=PSNR, scenes=scenes, details={})


def test_scenes_are_taken_one_at_a_time(tmp_path):
    alive = []

    def scenes():
        for number in range(4):
            assert sum(made() is not None for made in alive) <= 1
            made = scene(str(number), 30.0, 31.0)
            alive.append(weakref.ref(made))
            yield made
            del made

    write(tmp_path / "report.html", scenes())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"truth": np.zeros((48, 64, 3))}, "one: truth is float64 in the shape"),
        ({"truth": np.zeros((48, 64), np.uint8)}, r"not uint8 in \(h, w, 1 or 3\)"),
        ({"results": {"red": flat(RED)}}, "one: results are of 'red', not of each method"),
        (
            {"results": {"red": flat(RED), "blue": flat(BLUE, 12, 16)}},
            r"one: blue gives uint8 in the shape \(12, 16, 3\)",
        ),
    ],
)
def test_a_scene_that_does_not_fit_leaves_the_old_page(tmp_path, wrong, message):
    path = report(tmp_path, scene("one", 30.0, 31.0))
    before = path.read_bytes()
    given = {"truth": flat(GREEN), "results": {"red": flat(RED), "blue": flat(BLUE)}, **wrong}
    with pytest.raises(ValueError, match=message):
        write(path, [Scene("one", values={}, **given)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="there are no images to compare"):
        write(tmp_path / "report.html", [])
    assert not list(tmp_path.iterdir())
