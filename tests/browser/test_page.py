"""The page in a real Chromium, from a file: it shows what the record says, runs nothing and asks for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from harness.records import Status
from reports.__main__ import main
from tests.unit.test_reports import row, write

pytestmark = [pytest.mark.browser]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = '<script>document.title = "hostile"</script><img src=x onerror="document.title = \'hostile\'">'


class Watched:
    """A page, and what it did."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.messages: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))


@pytest.fixture
def watched(chromium: str) -> Iterator[Watched]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield Watched(browser.new_page())
        browser.close()


def show(watched: Watched, folder: Path) -> Page:
    assert main([str(folder)]) == 0
    watched.page.goto((folder / "report.html").as_uri())
    return watched.page


def test_it_shows_the_matrix(watched: Watched, tmp_path: Path) -> None:
    write(
        tmp_path / "results.csv",
        row("micro/softmax", "inductor", speedup=1.25, abs_latency=0.5),
        row("micro/softmax", "eager", speedup=1.0, abs_latency=0.625),
        row("micro/sort", "inductor", status="crash:SIGSEGV", reason="killed by SIGSEGV", speedup=None, abs_latency=None),
    )
    page = show(watched, tmp_path)
    assert page.locator("thead th").all_inner_texts()[-2:] == ["cpu inductor", "cpu eager"]
    body = page.locator("section", has=page.locator("#matrix")).locator("tbody tr")
    assert re.sub(r"\s+", " ", body.nth(0).inner_text()) == "micro/softmax cpu inference float32 small 1.25x 500 us 1.00x 625 us"
    assert "crash:SIGSEGV" in body.nth(1).inner_text()
    assert "not planned" in body.nth(1).inner_text()
    assert watched.messages == []
    assert watched.requests == [page.url]


def test_hostile_text_is_text(watched: Watched, tmp_path: Path) -> None:
    fields = dict.fromkeys(("name", "image", "backend", "mode", "precision", "shapes", "options", "dev"), HOSTILE)
    write(tmp_path / "results.csv", row(**fields), row(**fields, cell="2", status=Status.FAIL_TO_RUN, reason=HOSTILE, launch=1))
    (tmp_path / "manifest.json").write_text('{"command": ["<script>document.title = 1</script>"]}')
    with (tmp_path / "results.csv").open("a") as file:
        file.write(HOSTILE + "\n")
    page = show(watched, tmp_path)
    page.wait_for_timeout(200)
    assert page.title() == f"benchmatrix: {tmp_path.name}"
    assert page.locator("script, img, iframe").count() == 0
    assert HOSTILE in page.locator("main").inner_text()
    assert watched.requests == [page.url]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_a_narrow_screen_in_both_schemes(watched: Watched, tmp_path: Path, scheme: str) -> None:
    write(tmp_path / "results.csv", *(row(f"micro/{name}", backend) for name in "abc" for backend in ("x" * 30, "y" * 30, "z" * 30)))
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    watched.page.set_viewport_size({"width": 380, "height": 700})
    page = show(watched, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways, not its tables"
