"""A page in a real Chromium without a network, and what it did there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

from reports.__main__ import main

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Watched:
    """A page, and what it asked for and complained of."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))

    def open(self, file: Path, view: str = "") -> Page:
        self.page.goto(file.as_uri() + view)
        self.page.wait_for_selector("html[data-ready]")
        return self.page

    def visit(self, view: str) -> Page:
        """Another view of the page that is open."""
        self.page.evaluate("view => { location.hash = view }", view)
        self.page.wait_for_selector(f"#{view.lstrip('#').partition('?')[0]}:visible")
        return self.page

    def assert_quiet(self) -> None:
        """It asked for nothing but itself, and has no complaint. Figures are saved by way of pictures that are written out in the page."""
        assert self.messages == []
        assert {url.partition("#")[0] for url in self.requests if not url.startswith("data:")} == {self.page.url.partition("#")[0]}


@contextlib.contextmanager
def watching(chromium: str, **options: object) -> Iterator[Watched]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)  # type: ignore[arg-type]
        context.set_offline(True)
        yield Watched(context)
        browser.close()


def made(*runs: Path, output: Path) -> Path:
    """The page of runs, by the command."""
    assert main([*map(str, runs), "--output", str(output)]) == 0
    return output
