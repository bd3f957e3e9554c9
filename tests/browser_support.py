"""A headless browser for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright


@contextmanager
def headless() -> Iterator[Browser]:
    """Start the system's Chromium; skip the test where there is none, but not in continuous integration."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        assert not os.environ.get("CI"), "continuous integration needs chromium; scripts/setup.sh installs it"
        pytest.skip("there is no chromium; make setup installs it where it may")
    with sync_playwright() as playwright:
        # Root has no sandbox; a container's shared memory is too small for a browser.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page that was opened, and everything that went wrong or out of it."""

    def __init__(self, browser: Browser, address: str, *, offline: bool = True) -> None:
        """Open ``address``; ``offline`` takes the network away first."""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context = browser.new_context(offline=offline, viewport={"width": 1200, "height": 900})
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url.partition(":")[0]))
        self.page.goto(address)

    def draw_all(self) -> int:
        """Scroll every figure into view, wait until all are drawn, and return how many there are."""
        figures = self.page.locator(".figure")
        for place in range(figures.count()):
            figures.nth(place).scroll_into_view_if_needed()
            figures.nth(place).locator(".main-svg").first.wait_for(state="attached")
        return figures.count()
