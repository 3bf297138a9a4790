"""Names and numbers of any length: what differs is told apart, units are whole, and the page is as wide as its window."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.watched import Watched, made, watching
from tests.unit.page_runs import row, write_run

pytestmark = [pytest.mark.browser]
VIEWS = ("compare", "matrix", "totals", "history", "sources")

CUT_OFF = """() => [...document.querySelectorAll(".tabulator-row .entry:not(.wrong, .mild, .none)")].flatMap((entry) => {
  const box = entry.getBoundingClientRect();
  return [...entry.querySelectorAll("b, small")].filter((part) => {
    const place = part.getBoundingClientRect();
    return place.width && (place.left < box.left || place.right > box.right || place.bottom > box.bottom + 1 || part.scrollWidth > part.clientWidth + 1);
  }).map((part) => part.textContent);
})"""
"""Numbers that are not wholly in their cells."""

ONE_LINE = """() => [...document.querySelectorAll(".top nav a")].every((word) => {
  const range = document.createRange();
  range.selectNodeContents(word);
  return range.getBoundingClientRect().height < 30;
})"""
FITS = "document.documentElement.scrollWidth <= window.innerWidth"


def test_every_column_has_a_head_of_its_own_and_every_number_its_unit(watched: Watched, wide_file: Path) -> None:
    page = watched.open(wide_file, "#matrix")
    expect(page.locator(".tabulator-row").first).to_be_visible()
    heads = page.locator(".tabulator-col[tabulator-field^=c] .sorter")
    assert len(set(heads.all_inner_texts())) == heads.count() == 24
    assert all("2.1" in text for text in heads.all_inner_texts()), "the version is what tells the images apart"
    full = [head.get_attribute("aria-label") for head in heads.all()]
    assert len(set(full)) == 24
    assert [head.get_attribute("title") for head in heads.all()] == full
    assert all("registry.example.com/team/project/pytorch-nightly@2.1" in str(name) for name in full)
    for metric in page.locator("#filter-metric option").all():
        for over in ("", str(full[1])):
            page.select_option("#filter-metric", metric.get_attribute("value"))
            page.select_option("#filter-over", over)
            expect(page.locator(".tabulator-row").first).to_be_visible()
            assert page.evaluate(CUT_OFF) == [], (metric.inner_text(), over)
    watched.assert_quiet()


@pytest.mark.parametrize(
    ("metric", "good", "bad", "words"),
    [
        ("host_seconds", {"speedup": 3.0}, {"speedup": 0.3}, ("2\u00d7 slower", "2\u00d7 faster")),
        ("peak_bytes", {"compression_ratio": 3.0}, {"compression_ratio": 0.3}, ("2\u00d7 more memory", "2\u00d7 less memory")),
        ("joules", {"eager_joules": 3.0}, {"eager_joules": 0.3}, ("2\u00d7 more energy", "2\u00d7 less energy")),
        ("error", {"eager_error": 3.0}, {"eager_error": 0.3}, ("2\u00d7 larger error", "2\u00d7 smaller error")),
        ("limit_share", {"eager_limit_share": 0.3}, {"eager_limit_share": 3.0}, ("2\u00d7 lower", "2\u00d7 higher")),
        ("tokens_per_second", {"speedup": 3.0}, {"speedup": 0.3}, ("2\u00d7 slower", "2\u00d7 faster")),
        ("first_token_seconds", {"speedup": 3.0}, {"speedup": 0.3}, ("2\u00d7 slower", "2\u00d7 faster")),
    ],
)
def test_colours_mean_what_the_legend_says_of_the_metric(
    watched: Watched, tmp_path: Path, metric: str, good: dict[str, Any], bad: dict[str, Any], words: tuple[str, str]
) -> None:
    own: dict[str, Any] = {"dynamo_peak_mem": 1.0, "backend_joules": 1.0, "backend_error": 1.0, "backend_limit_share": 1.0}
    own |= {"tokens_per_second": 1234.0, "time_to_first_token_seconds": 1.0}
    run = write_run(tmp_path / "run", [row("micro/good", **own, **good), row("micro/worse", **own, **bad)])
    page = watched.open(made(run, output=tmp_path / "report.html"), f"#matrix?metric={metric}")
    first, second = (page.locator(".tabulator-row", has_text=name).locator("a.entry") for name in ("good", "worse"))
    expect(first).to_have_class(re.compile(r"\bup5\b"))
    expect(second).to_have_class(re.compile(r"\bdown5\b"))
    legend = page.locator("#matrix-colours li")
    assert (legend.first.inner_text(), legend.last.inner_text()) == words
    better = "higher" if metric in {"limit_share", "tokens_per_second"} else "lower"
    expect(page.locator("#matrix-meaning")).to_contain_text(f"{better} is better")
    watched.assert_quiet()


def test_without_anything_to_be_beside_there_are_no_colours_and_no_legend_of_them(watched: Watched, tmp_path: Path) -> None:
    rows = [row(image=image, launch=launch, graph_breaks=breaks) for launch, (image, breaks) in enumerate((("cpu@1", 3), ("cpu@2", 0)))]
    page = watched.open(made(write_run(tmp_path / "run", rows), output=tmp_path / "report.html"), "#matrix?metric=graph_breaks")
    expect(page.locator("#matrix-meaning")).to_contain_text("lower is better")
    expect(page.locator("#matrix-meaning")).to_contain_text("Eager has none of it")
    expect(page.locator("#matrix-colours")).to_be_hidden()
    assert page.locator(".entry[class*=up], .entry[class*=down]").count() == 0
    page.select_option("#filter-over", index=1)
    expect(page.locator("#matrix-colours li").last).to_have_text("2\u00d7 fewer breaks")
    expect(page.locator(".entry.up5")).to_have_text(re.compile("0"))
    watched.assert_quiet()


def opened(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true })")
    page.wait_for_timeout(100)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_name_makes_the_page_wider_than_its_window(watched: Watched, long_file: Path, width: int, scheme: str) -> None:
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    watched.page.set_viewport_size({"width": width, "height": 900})
    page = watched.open(long_file, "#matrix")
    cells = [str(entry.get_attribute("href")) for entry in (page.locator("a.entry.wrong").first, page.locator("a.entry:not(.wrong)").first)]
    for view in [*(f"#{view}" for view in VIEWS), *cells]:
        watched.visit(view)
        if "cell?" in view:
            expect(page.locator("#cell .panel").first).to_be_visible()
        opened(page)
        assert page.evaluate(FITS), f"{view.partition('?')[0]} scrolls sideways, not its tables"
        assert page.evaluate(ONE_LINE), "words of the bar at the top are not broken"
    watched.visit("#compare")
    for pair in range(page.locator("#pair option").count()):
        page.select_option("#pair", str(pair))
        opened(page)
        assert page.evaluate(FITS), f"pair {pair} scrolls sideways, not its tables"
    watched.assert_quiet()


def test_without_scripts_no_name_makes_the_page_wider_than_its_window(chromium: str, long_file: Path) -> None:
    with watching(chromium, java_script_enabled=False) as watched:
        watched.page.goto(long_file.as_uri())
        assert watched.page.evaluate(FITS)
