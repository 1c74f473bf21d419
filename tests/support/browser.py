"""Pages opened in a real Chromium; without one the tests are skipped, with the reason."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.patience import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESK = {"viewport": {"width": 1280, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


def until(page, condition: str) -> None:
    """Wait for an expression to be true; playwright's own waits are stopped by a page's policy."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"this did not come true: {condition}"
        page.wait_for_timeout(20)


@pytest.fixture(scope="module")
def browser():
    """The machine's Chromium, or playwright's own."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    api.expect.set_options(timeout=PATIENCE * 1000)  # milliseconds
    with api.sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(found).exists():
            pytest.skip(
                "there is no Chromium: install chromium, or run playwright install chromium"
            )
        with playwright.chromium.launch(executable_path=found, args=ARGUMENTS) as chromium:
            yield chromium


@pytest.fixture
def open_page(browser) -> Callable:
    """A function that opens a file or an address, on a desk or on a phone (touch), light or dark.

    Nothing moves by itself. The test fails in the end if a page has logged an error, has thrown
    one, or has asked another host for anything.
    """
    contexts, faults = [], []

    def open_page(address, *, touch: bool = False, dark: bool = False):
        url = address.resolve().as_uri() if isinstance(address, Path) else address
        own = ("data", ""), ("blob", ""), urlsplit(url)[:2]

        def check(request):
            scheme, host = urlsplit(request.url)[:2]
            if (scheme, "" if scheme in ("data", "blob") else host) not in own:
                faults.append(f"a request to {request.url}")

        context = browser.new_context(
            **(PHONE if touch else DESK),
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE * 1000)  # milliseconds
        contexts.append(context)
        page = context.new_page()
        page.on("request", check)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: said.type == "error" and faults.append(said.text))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults, faults
