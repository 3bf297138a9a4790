"""Windows and paper of any width: nothing is lost, and nothing is too small to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.watched import Watched

pytestmark = [pytest.mark.browser]
PAPER = {"width": 720, "height": 1000}
"""Of an upright sheet, in pixels of style sheets."""
TELEPHONE = {"width": 390, "height": 800}


def cut_off(page: Page, where: str) -> list[str]:
    """Regions that hold more than they show."""
    found: list[str] = page.evaluate(
        "where => [...document.querySelectorAll(where)].filter((node) => node.getClientRects().length && node.scrollWidth > node.clientWidth + 1)"
        ".map((node) => `${node.getAttribute('aria-labelledby') ?? node.id} ${node.scrollWidth} > ${node.clientWidth}`)",
        where,
    )
    return found


def first_cell(page: Page) -> str:
    return str(page.locator("a.entry:not(.wrong):not(.mild)").first.get_attribute("href"))


@pytest.mark.parametrize("file", ["page_file", "gated_file", "history_file"])
def test_paper_loses_nothing(watched: Watched, request: pytest.FixtureRequest, file: str) -> None:
    watched.page.set_viewport_size(PAPER)  # type: ignore[arg-type]
    page = watched.open(request.getfixturevalue(file), "#matrix")
    for view in ("#compare", "#totals", "#history", first_cell(page)):
        watched.visit(view)
        page.wait_for_timeout(150)
        page.emulate_media(media="print")
        assert cut_off(page, ".view:not([hidden]) .wide, html") == [], view
        # The page hears of paper with its next frame.
        expect(page.locator(".view:visible details:not([open])")).to_have_count(0)
        page.emulate_media(media="screen")
    watched.assert_quiet()


def test_the_matrix_on_paper_has_all_columns_and_lines(watched: Watched, wide_file: Path) -> None:
    watched.page.set_viewport_size(PAPER)  # type: ignore[arg-type]
    page = watched.open(wide_file, "#matrix")
    expect(page.locator("#matrix-count")).to_contain_text("24 columns")
    labels = page.evaluate("JSON.parse(document.getElementById('bm-page').textContent).columns.map((column) => column.label)")
    lines = int(page.locator("#matrix-count").inner_text().split()[0])
    page.emulate_media(media="print")
    expect(page.locator("#matrix-print table").first).to_be_visible()
    heads = page.locator("#matrix-print thead th:not(:first-child)").all_inner_texts()
    assert heads == labels
    assert page.locator("#matrix-print tbody tr").count() == lines * len(labels) // 4
    assert cut_off(page, "#matrix-print, #matrix-print td, html") == []
    page.emulate_media(media="screen")
    expect(page.locator("#matrix-print table")).to_have_count(0)
    watched.assert_quiet()


def test_tables_of_totals_have_room_in_a_window(watched: Watched, page_file: Path) -> None:
    watched.page.set_viewport_size({"width": 1400, "height": 900})
    page = watched.open(page_file, "#totals")
    assert cut_off(page, "#totals .wide") == []


def test_text_on_a_telephone_can_be_read(watched: Watched, page_file: Path) -> None:
    watched.page.set_viewport_size(TELEPHONE)  # type: ignore[arg-type]
    page = watched.open(page_file, "#matrix")
    names = page.locator(".line-name").all_inner_texts()
    assert len(set(names)) == len(names)
    assert page.evaluate(
        "[...document.querySelectorAll('.line-name')].every((node) => node.scrollHeight <= node.clientHeight && node.scrollWidth <= node.clientWidth)"
    ), "no name is cut off"
    nav = page.locator(".top nav")
    assert nav.evaluate("node => node.scrollWidth <= node.clientWidth"), "every view is in sight"
    watched.visit(first_cell(page))
    expect(page.locator("#cell .strip")).to_be_visible()
    heights = page.evaluate("[...document.querySelectorAll('#cell svg text')].map((node) => node.getBoundingClientRect().height)")
    assert min(heights) >= 10
    rows = page.evaluate("[...document.querySelectorAll('#cell tbody tr')].map((node) => node.getBoundingClientRect().height)")
    assert max(rows) < 80
    for mark in page.locator("#cell .warning-list .mark").all():
        assert mark.evaluate("node => node.getBoundingClientRect().height") < 30, "a word is not broken"
    watched.visit("#compare")
    change = page.locator(".forest tbody tr .number b").first
    assert change.evaluate("node => node.getBoundingClientRect().right <= innerWidth"), "a change is in sight"
    watched.assert_quiet()
