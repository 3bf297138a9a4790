"""Ways through the page: from a cell and back, along the table as it is sorted, and addresses of what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.watched import Watched, watching

pytestmark = [pytest.mark.browser]
SORTED = "#matrix?q=0000&metric=compile_seconds&sort=cpu%402.10+eager+asc"


def test_who_comes_back_from_a_cell_is_where_they_left(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, SORTED)
    link = page.locator('.tabulator-row .tabulator-cell[tabulator-field="c2"] a.entry').nth(2)
    name = str(link.get_attribute("aria-label"))
    for way in ("Escape", "back", "button"):
        link.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#cell")).to_be_visible()
        if way == "Escape":
            page.keyboard.press("Escape")
        elif way == "back":
            page.go_back()
        else:
            page.locator("#cell-back").click()
        expect(page.locator("#matrix")).to_be_visible()
        expect(page.locator("#filter-q")).to_have_value("0000")
        page.wait_for_function("name => document.activeElement.getAttribute('aria-label') === name", arg=name)
        assert "sort=cpu" in page.url, way
    watched.assert_quiet()


def test_the_matrix_is_found_again_as_it_was_left(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, SORTED)
    for view in ("totals", "matrix"):
        page.locator(f"nav a[data-view-link={view}]").click()
        expect(page.locator(f"#{view}")).to_be_visible()
    expect(page.locator("#filter-q")).to_have_value("0000")
    expect(page.locator("#filter-metric")).to_have_value("compile_seconds")
    expect(page.locator('.tabulator-col[tabulator-field="c0"]')).to_have_attribute("aria-sort", "ascending")
    watched.assert_quiet()


def test_next_goes_by_the_table_as_it_is_sorted_and_filtered(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, SORTED)
    names = page.locator(".tabulator-row .line-name b").all_inner_texts()
    assert names != sorted(names)
    page.locator('.tabulator-row .tabulator-cell[tabulator-field="c0"] a.entry').first.click()
    for name in names[1:]:
        page.get_by_role("link", name="Next line").click()
        expect(page.locator("#cell-title")).to_have_text(name)
    expect(page.get_by_role("link", name="Next line")).to_have_count(0)
    watched.assert_quiet()


def test_the_tab_says_what_is_shown(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file)
    titles = [page.title()]
    for view in ("#matrix", "#totals", str(page.locator("a.cell-name").first.get_attribute("href"))):
        watched.visit(view)
        titles.append(page.title())
    assert [title.split(" - ")[0] for title in titles[:3]] == ["Compare", "Matrix", "Totals"]
    assert page.locator("#cell-title").inner_text() in titles[3]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("#matrix?backend=none&q=0", "backend \u201cnone\u201d"),
        ("#matrix?sort=c1+desc", "sort \u201cc1 desc\u201d"),
        ("#compare?only=nothing", "only \u201cnothing\u201d"),
        ("#compare?pair=9", "pair \u201c9\u201d"),
        ("#history?w=a&d=b", "cell \u201ca b\u201d"),
        ("#cell?w=none&d=of&c=these", "cell \u201cnone of\u201d, column \u201cthese\u201d"),
        ("#nowhere", "view \u201cnowhere\u201d"),
    ],
)
def test_what_an_address_names_and_is_not_here_is_said(
    watched: Watched, request: pytest.FixtureRequest, page_file: Path, address: str, says: str
) -> None:
    file = request.getfixturevalue("history_file") if address.startswith("#history") else page_file
    page = watched.open(file, address)
    expect(page.locator("#strange")).to_have_text(f"Not on this page, and so left out: {says}.")
    watched.visit("#totals")
    expect(page.locator("#strange")).to_be_hidden()
    watched.assert_quiet()


def test_an_order_by_a_column_that_is_filtered_out_is_no_mistake(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, f"{SORTED}&backend=inductor")
    expect(page.locator("#matrix-count")).to_contain_text("2 columns")
    expect(page.locator("#strange")).to_be_hidden()


def test_a_command_that_is_copied_twice_can_be_copied_again(watched: Watched, gated_file: Path) -> None:
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = watched.open(gated_file)
    page.locator("[data-kind-list=regressed] summary").first.click()
    button = page.locator("[data-kind-list=regressed] [data-copy]").first
    button.click()
    expect(button).to_have_text("Copied")
    button.click()
    expect(button).to_have_text("Copy")


def test_without_scripts_no_link_leads_nowhere(chromium: str, page_file: Path, history_file: Path) -> None:
    with watching(chromium, java_script_enabled=False) as watched:
        for file in (page_file, history_file):
            watched.page.goto(file.as_uri())
            links = [str(link.get_attribute("href")) for link in watched.page.locator("a[href^='#']").all() if link.is_visible()]
            assert links
            for target in links:
                assert watched.page.locator(f"[id='{target[1:]}']").is_visible(), target
