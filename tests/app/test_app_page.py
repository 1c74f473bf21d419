"""The page of vmambair app, in a real Chromium."""

import base64
import re
import threading
import zipfile

import pytest
from skimage import data

from support import picture_files as files
from support.app_servers import running
from vmambair_arch.app.jobs import Job
from vmambair_arch.restoring.files import writing

ASTRONAUT = files.encoded(data.astronaut()[40:72, 190:238].copy(), "PNG")  # 48 x 32 pixels
BRING = """([how, name, content]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], name));
    const options = { bubbles: true, cancelable: true };
    if (how === "paste") {
        const event = new ClipboardEvent("paste", { clipboardData: files, ...options });
        return document.body.dispatchEvent(event);
    }
    for (const kind of ["dragenter", "dragover", "drop"]) {
        document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: files, ...options }));
    }
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(files.saved_identity(tmp_path_factory.mktemp("networks"))) as server:
        yield server


@pytest.fixture
def page(server, open_page):  # noqa: F811
    """The page on a desktop, without the pictures of the previous test."""
    for job in server.routes.queue.jobs():
        server.routes.queue.remove(job)
    page = open_page(server.address)
    page.locator("#network").select_option("1")
    return page


@pytest.fixture
def halfway(monkeypatch):
    """An event; until it is set, pictures pause after some blocks of the network."""
    go, advance = threading.Event(), Job.advance

    def wait(job: Job, share: float) -> None:
        advance(job, share)
        if share > 0.3:
            while not go.wait(0.02):
                advance(job, share)

    monkeypatch.setattr(Job, "advance", wait)
    yield go
    go.set()


def expect(seen):
    """Playwright's assertions on a page or an element, which wait until they hold."""
    return pytest.importorskip("playwright.sync_api").expect(seen)


def bring(page, name: str, content: bytes, how: str = "drop") -> None:
    page.evaluate(BRING, [how, name, base64.b64encode(content).decode()])


def test_a_picture_is_dropped_restored_compared_and_downloaded(page, server, halfway):
    bring(page, "astronaut.png", ASTRONAUT)
    stage, line = page.locator("#stage"), page.locator("#pictures li")
    stage.get_by_text(re.compile(r"Restoring, [3-9]\d %")).wait_for()
    assert 0.3 < stage.get_by_role("progressbar").evaluate("(bar) => bar.value") < 1
    expect(page).to_have_title(re.compile("% astronaut.png$"))
    halfway.set()
    slider = stage.get_by_role("slider", name="Divider")
    slider.wait_for()
    stage.get_by_text("48 × 32 to 192 × 128 pixels").wait_for()
    expect(line).to_contain_text("192 × 128")
    expect(slider).to_have_attribute("aria-valuenow", "50")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "52")
    box = page.locator(".viewer-stage").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 5, middle)
    page.mouse.up()
    expect(slider).to_have_attribute("aria-valuenow", re.compile(r"^[1-4]\d$"))
    with page.expect_download() as download:
        stage.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "astronaut_x4.png"
    job = server.routes.queue.jobs()[0]
    assert download.value.path().read_bytes() == (job.folder / "result").read_bytes()


def test_a_failure_is_shown_and_the_next_picture_is_restored(page):
    bring(page, "notes.txt", b"not a picture")
    sentence = "notes.txt: is text, not a picture"
    page.locator("#stage").get_by_text(sentence).wait_for()
    expect(page.locator("#status")).to_have_text(sentence)
    bring(page, "image.png", ASTRONAUT, "paste")
    page.locator(".viewer-divider").wait_for()
    expect(page.locator("#pictures li")).to_have_count(2)
    page.get_by_role("button", name="Remove notes.txt").click()
    expect(page.locator("#pictures li")).to_have_count(1)


def test_a_results_losses_are_shown_at_its_line(page, monkeypatch):
    sentence = "its colour profile cannot be kept"
    monkeypatch.setattr(writing, "list_losses", lambda *_: (sentence,))
    bring(page, "image.png", ASTRONAUT)
    page.locator(".viewer-divider").wait_for()
    page.locator("#pictures li").get_by_text(sentence).wait_for()


def test_a_running_picture_is_cancelled_and_waiting_ones_continue(page, halfway):
    for name in ("one.png", "two.png"):
        bring(page, name, ASTRONAUT)
    one, two = (page.locator("#pictures li", has_text=name) for name in ("one.png", "two.png"))
    two.get_by_text("Waiting, 1 before it").wait_for()
    one.get_by_text(re.compile(r"Restoring, [3-9]\d %")).wait_for()
    one.get_by_role("button", name="Cancel").click()
    one.get_by_text("Cancelled").wait_for()
    halfway.set()
    two.get_by_text("192 × 128").wait_for()


def test_networks_are_compared_side_by_side_at_a_remembered_strength(page, server):
    page.get_by_text("Beside it, to compare").click()
    page.get_by_label("identity_x1.safetensors", exact=True).check()
    for name in ("one.png", "two.png"):
        bring(page, name, ASTRONAUT)
    expect(page.locator("#progress")).to_have_text("4 of 4 done")
    stage = page.locator("#stage")
    page.locator("#pictures li").last.locator(".select").click()
    right = stage.get_by_label("Right")
    expect(right.locator("option")).to_have_count(5)  # of both files, which are the same picture
    expect(right.locator("option").nth(1)).to_have_text("tiny_x4")
    expect(right.locator("option").nth(2)).to_have_text("identity_x1.safetensors")
    strength = stage.get_by_label("Strength")
    for number in ("29", "57", "60"):
        strength.fill(number)
        expect(stage.locator(".strength output")).to_have_text(f"{number} %")
    expect(stage.locator(".is-right .viewer-blend img").last).to_have_css("opacity", "0.6")
    expect(stage.get_by_role("link", name="Download")).to_have_attribute(
        "href", re.compile("=0.6$")
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == 4
    page.get_by_label("Then").select_option("1")
    page.get_by_label("Write as").select_option("WEBP")
    page.reload()
    expect(page.locator("#network")).to_have_value("1")
    expect(page.get_by_label("Then")).to_have_value("1")
    expect(page.get_by_label("Write as")).to_have_value("WEBP")
    expect(page.get_by_label("identity_x1.safetensors", exact=True)).to_be_checked()
    expect(stage.get_by_label("Strength")).to_have_value("60")


def test_a_folder_adds_its_pictures_and_reports_what_is_left_out(page, tmp_path):
    for name in ("album/a.png", "album/deep/b.JFIF", "album/.c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(ASTRONAUT)
    (tmp_path / "album/notes.txt").write_text("no picture")
    page.locator("#folder").set_input_files(tmp_path / "album")
    expect(page.locator("#progress")).to_have_text("2 of 2 done")
    expect(page.locator("#pictures li")).to_have_count(2)


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_has_no_accessibility_violations(server, open_page, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for job in server.routes.queue.jobs():
        server.routes.queue.remove(job)
    page = open_page(server.address, dark=dark)
    expect(page.locator("#network")).to_be_visible()
    empty = axe.run(page)
    bring(page, "one.png", ASTRONAUT)
    bring(page, "notes.txt", b"not a picture")
    expect(page.locator("#progress")).to_have_text("1 of 2 done")
    page.get_by_role("button", name="one.png").first.click()
    expect(page.get_by_role("slider").first).to_be_visible()
    for found in (empty, axe.run(page)):
        assert found.violations_count == 0, found.generate_report()


def test_nothing_is_cut_off_on_a_phone_in_dark_mode(server, open_page):  # noqa: F811
    page = open_page(server.address, touch=True, dark=True)
    page.locator("#files").set_input_files(
        {"name": "astronaut.png", "mimeType": "image/png", "buffer": ASTRONAUT}
    )
    page.locator(".viewer-divider").wait_for()
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


def test_the_page_can_be_used_with_a_keyboard_only(page):
    bring(page, "one.png", ASTRONAUT)
    page.locator(".viewer-divider").wait_for()
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText")
        )
    for name in ("Choose pictures", "Remove one.png", "Download"):
        assert name in reached
    page.get_by_role("button", name="Theme: auto").press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_the_page_says_that_the_server_does_not_answer(page):
    gone = page.get_by_text("The server does not answer")
    page.route("**/jobs", lambda route: route.fulfill(status=200, body=""))
    page.reload()
    gone.wait_for()
    page.unroute("**/jobs")
    gone.wait_for(state="hidden")
