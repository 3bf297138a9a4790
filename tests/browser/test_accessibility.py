"""axe-core finds no violation of WCAG's levels A and AA, in any view, in light and in dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.watched import Watched

pytestmark = [pytest.mark.browser]
VIEWS = ("compare", "matrix", "cell", "totals", "history", "sources")
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("file", ["page_file", "gated_file"])
def test_no_violation(watched: Watched, request: pytest.FixtureRequest, file: str, scheme: str) -> None:
    watched.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = watched.open(request.getfixturevalue(file), "#matrix")
    address = page.locator("a.entry:not(.wrong):not(.mild)").first.get_attribute("href")
    found = []
    for view in VIEWS:
        watched.visit(f"#{view}" if view != "cell" else str(address))
        if view == "cell":
            expect(page.locator("#cell .strip")).to_be_visible()
        page.wait_for_timeout(100)
        for violation in Axe().run(page, options=RULES).response["violations"]:
            nodes = [f"{node['html'][:160]} {node.get('failureSummary', '')[:300]}" for node in violation["nodes"][:3]]
            found.append(f"{view}: {violation['id']} ({len(violation['nodes'])}): {nodes}")
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violation_where_no_line_is_left(watched: Watched, page_file: Path, scheme: str) -> None:
    watched.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = watched.open(page_file, "#matrix?q=nosuchworkload")
    expect(page.locator(".tabulator-placeholder")).to_contain_text("No line is left")
    found = [violation["id"] for violation in Axe().run(page, options=RULES).response["violations"]]
    assert found == []
    page.locator("#filter-q").fill("")
    expect(page.locator("a.entry").first).to_be_visible()
    page.locator("#filter-q").fill("nosuchworkload")
    expect(page.locator(".tabulator-placeholder")).to_be_visible()
    assert [violation["id"] for violation in Axe().run(page, options=RULES).response["violations"]] == []


def test_no_violation_on_a_narrow_screen(watched: Watched, page_file: Path) -> None:
    watched.page.set_viewport_size({"width": 380, "height": 700})
    page = watched.open(page_file, "#matrix")
    found = [violation["id"] for violation in Axe().run(page, options=RULES).response["violations"]]
    assert found == []
