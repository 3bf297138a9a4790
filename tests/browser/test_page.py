"""The page as a reader has it: from a file, without a network. It shows what the record says, and asks for nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from harness.records import COLUMNS, Status
from reports.page import numbers
from reports.page.assets import STATIC
from tests.browser.watched import Watched, made, watching
from tests.unit.test_reports import row, write

pytestmark = [pytest.mark.browser]
VIEWS = ("compare", "matrix", "totals", "history", "sources")
HOSTILE = '<script>document.title = "hostile"</script><img src=x onerror="document.title = \'hostile\'">'


def options_of(watched: Watched) -> dict[str, str]:
    """What the address says of a view."""
    return {name: values[0] for name, values in parse_qs(watched.page.url.partition("?")[2]).items()}


def test_the_matrix_shows_numbers_statuses_and_what_was_not_planned(watched: Watched, tmp_path: Path) -> None:
    rows = write(
        tmp_path / "results.csv",
        row("micro/softmax", "inductor", speedup=1.25, abs_latency=0.5, backend_latency_seconds=5e-4),
        row("micro/softmax", "eager", speedup=1.0, abs_latency=0.625, backend_latency_seconds=6.25e-4),
        row("micro/sort", "inductor", status="crash:SIGSEGV", reason="killed by SIGSEGV", speedup=None, abs_latency=None),
    )
    page = watched.open(made(rows, output=tmp_path / "report.html"), "#matrix")
    expect(page.locator(".tabulator-row")).to_have_count(2)
    first = re.sub(r"\s+", " ", page.locator(".tabulator-row").nth(0).inner_text())
    assert "micro/softmax" in first
    assert "1.25\u00d7" in first
    assert "500\u202f\u00b5s" in page.locator(".tabulator-row").nth(0).inner_text()
    assert "crash:SIGSEGV" in page.locator(".tabulator-row").nth(1).inner_text()
    assert "not planned" in page.locator(".tabulator-row").nth(1).text_content()  # type: ignore[operator]
    watched.assert_quiet()


def test_every_view_is_there_and_says_which_it_is(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file)
    expect(page.locator("#compare")).to_be_visible()
    for view in ("matrix", "totals", "compare", "sources", "history"):
        page.locator(f"nav a[href='#{view}']").click()
        expect(page.locator(f"#{view}")).to_be_visible()
        expect(page.locator(f"#{view} h1")).to_be_focused()
        expect(page.locator("nav a[aria-current=page]")).to_have_attribute("href", f"#{view}")
        assert page.locator(".view:visible").count() == 1
    page.go_back()
    expect(page.locator("#sources")).to_be_visible()
    watched.assert_quiet()


def test_search_and_filters_leave_what_they_say_and_are_in_the_address(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#matrix")
    expect(page.locator("#matrix-count")).to_contain_text("12 lines")
    page.fill("#filter-q", "00003")
    expect(page.locator(".tabulator-row")).to_have_count(1)
    assert "workload_00003" in page.locator(".tabulator-row").inner_text()
    assert options_of(watched)["q"] == "00003"
    page.fill("#filter-q", "")
    page.select_option("#filter-suite", "timm")
    expect(page.locator("#matrix-count")).to_contain_text("3 of 12 lines")
    page.select_option("#filter-backend", "inductor")
    expect(page.locator("#matrix-count")).to_contain_text("2 columns")
    page.reload()
    expect(page.locator("#matrix-count")).to_contain_text("3 of 12 lines, 2 columns")
    expect(page.locator("#filter-suite")).to_have_value("timm")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#matrix-count")).to_contain_text("12 lines, 8 columns")
    page.select_option("#filter-status", "not pass")
    expect(page.locator(".tabulator-row").first).to_be_visible()
    for line in page.locator(".tabulator-row").all():
        assert line.locator(".entry.wrong, .entry.mild").count() >= 1
    watched.assert_quiet()


STATES = (
    *(
        "#compare",
        "#compare?only=slower",
        "#compare?pair=0&only=faster",
        "#compare?pair=9",
        "#totals",
        "#sources",
        "#history",
        "#history?w=a&d=b",
    ),
    *(
        "#matrix",
        "#matrix?q=00003",
        "#matrix?q=0000+inference",
        "#matrix?q=nothing+of+it",
        "#matrix?sort=cpu%402.10+inductor+desc",
        "#matrix?sort=workload+asc",
    ),
    *(
        "#matrix?sort=c99+desc",
        "#matrix?sort=cpu%402.10+inductor+sideways",
        "#matrix?metric=compile_seconds",
        "#matrix?metric=compile_seconds&q=00003",
    ),
    *(
        "#matrix?over=cpu%402.11+inductor&q=00003&sort=cpu%402.10+inductor+asc",
        "#matrix?backend=inductor&q=00003",
        "#matrix?image=cpu%402.11&sort=none+desc",
    ),
    *("#matrix?backend=inductor&image=cpu%402.10&suite=timm&status=not+pass&warning=drift&metric=host_seconds&q=0", "#matrix?status=OOM"),
    *("#matrix?metric=none&over=none&backend=none&image=none&suite=none&status=none&warning=none", "#cell", "#cell?w=none&d=none&c=none"),
    *("#cell?w=micro%2Fworkload_00000&d=cpu+inference+float32+small&c=cpu%402.10+inductor", "#nowhere", "#nowhere?q=1", "#?q=1"),
)


@pytest.mark.parametrize("address", STATES)
def test_a_link_with_any_state_opens_without_a_message(watched: Watched, page_file: Path, address: str) -> None:
    """As the first thing that a browser opens, from another view, and between two others, which the library has no time to build."""
    page = watched.open(page_file, address)
    page.wait_for_timeout(100)
    watched.visit("#totals")
    page.evaluate("address => { location.hash = address }", address)
    page.wait_for_timeout(100)
    for other in ("#matrix?metric=compile_seconds&q=1", address, "#matrix?backend=inductor", address):
        page.evaluate("address => { location.hash = address }", other)
    page.wait_for_timeout(200)
    watched.assert_quiet()


def test_links_that_follow_each_other_at_once_end_with_what_the_last_one_says(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#matrix?metric=compile_seconds&q=00001")
    for address in (
        "#matrix?backend=inductor&q=00002",
        "#matrix?sort=cpu%402.10+inductor+desc",
        "#matrix?metric=host_seconds&q=00003&sort=cpu%402.10+inductor+asc",
    ):
        page.evaluate("address => { location.hash = address }", address)
    expect(page.locator(".tabulator-row .line-name b")).to_have_text(["timm/workload_00003"])
    expect(page.locator('.tabulator-col[tabulator-field="c1"]')).to_have_attribute("aria-sort", "ascending")
    watched.visit("#matrix")
    expect(page.locator("#matrix-count")).to_contain_text("12 lines, 8 columns")
    expect(page.locator('.tabulator-col[tabulator-field="c1"]')).to_have_attribute("aria-sort", "none")
    watched.assert_quiet()


def test_a_table_that_was_built_unseen_has_its_lines_when_it_is_shown(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#totals")
    page.evaluate("location.hash = '#matrix'")
    page.evaluate("location.hash = '#totals'")
    page.wait_for_timeout(300)
    watched.visit("#matrix")
    expect(page.locator(".tabulator-row")).to_have_count(12)
    watched.assert_quiet()


def test_the_filter_by_warning_keeps_the_cells_that_have_it(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#matrix")
    warning = page.locator("#filter-warning option").nth(1).get_attribute("value")
    assert warning
    page.select_option("#filter-warning", warning)
    expect(page.locator(".tabulator-row").first).to_be_visible()
    for line in page.locator(".tabulator-row").all():
        assert line.locator(f'.entry[title*="{warning}"]').count() >= 1
    watched.assert_quiet()


def test_sorting_by_a_column_puts_what_has_no_number_last_and_survives_a_reload(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#matrix")

    def shown() -> list[float | None]:
        texts = page.locator('.tabulator-row .tabulator-cell[tabulator-field="c1"] b').all_inner_texts()
        return [float(text[:-1]) if text.endswith("\u00d7") else None for text in texts]

    for descending in (True, False):
        page.locator('.tabulator-col[tabulator-field="c1"] .sorter').click()
        expect(page.locator('.tabulator-col[tabulator-field="c1"]')).to_have_attribute(
            "aria-sort", "descending" if descending else "ascending"
        )
        found = shown()
        numbers = [value for value in found if value is not None]
        assert numbers == sorted(numbers, reverse=descending)
        assert found[: len(numbers)] == numbers
    page.reload()
    expect(page.locator('.tabulator-col[tabulator-field="c1"]')).to_have_attribute("aria-sort", "ascending")
    assert shown() == found
    watched.assert_quiet()


def test_another_metric_and_another_baseline_change_the_numbers(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#matrix")
    cell = page.locator('.tabulator-row .tabulator-cell[tabulator-field="c1"] .entry').first
    over_eager = cell.inner_text()
    page.select_option("#filter-over", index=2)
    expect(page.locator('.tabulator-row .tabulator-cell[tabulator-field="c1"] b').first).to_have_text("1.00\u00d7")
    for metric in page.locator("#filter-metric option").all():
        page.select_option("#filter-metric", metric.get_attribute("value"))
        expect(page.locator(".tabulator-row").first).to_be_visible()
    page.select_option("#filter-over", "")
    page.select_option("#filter-metric", "compile_seconds")
    expect(cell).not_to_have_text(over_eager)
    assert re.search(r"\u202fm?s", cell.inner_text())
    watched.assert_quiet()


def test_a_cell_opens_by_click_and_shows_its_samples(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#matrix")
    page.locator('.tabulator-cell[tabulator-field="c1"] a.entry:not(.wrong):not(.mild)').first.click()
    expect(page.locator("#cell")).to_be_visible()
    expect(page.locator("#cell .strip")).to_be_visible()
    assert page.locator("#cell .strip .eager").count() == 4
    assert page.locator("#cell .strip .backend").count() == 4
    assert page.locator("#cell .strip .backend >> css=.sample, .marked, .off").count() >= 4 * 12 - 4
    assert page.locator("#cell .ecdf .curve").count() == 2
    assert page.locator("#cell .launches .dot").count() == 4
    heading = page.locator("#cell-title").inner_text()
    page.reload()
    expect(page.locator("#cell .strip")).to_be_visible()
    assert page.locator("#cell-title").inner_text() == heading
    page.go_back()
    expect(page.locator("#matrix")).to_be_visible()
    watched.assert_quiet()


def test_a_cell_is_reached_by_keyboard(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#matrix")
    page.locator('.tabulator-row .tabulator-cell[tabulator-field="c0"] a.entry').first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    name = page.evaluate("document.activeElement.closest('.tabulator-row').querySelector('.line-name b').textContent")
    assert name == page.locator(".tabulator-row .line-name b").nth(1).inner_text()
    assert page.evaluate("document.activeElement.closest('.tabulator-cell').getAttribute('tabulator-field')") == "c1"
    page.keyboard.press("Enter")
    expect(page.locator("#cell-title")).to_have_text(name)
    watched.assert_quiet()


def test_what_failed_says_why_and_shows_the_end_of_its_log(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file, "#matrix?status=not+pass")
    page.locator("a.entry.wrong").first.click()
    expect(page.get_by_role("heading", name="What went wrong")).to_be_visible()
    assert page.locator("#cell .reason").first.inner_text()
    assert page.locator("#cell .log").count() >= 1
    watched.assert_quiet()


def test_a_command_is_copied(watched: Watched, gated_file: Path) -> None:
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = watched.open(gated_file)
    page.locator("[data-kind-list=regressed] summary").first.click()
    command = page.locator("[data-kind-list=regressed] .command").first
    command.get_by_role("button").click()
    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == command.locator("code").inner_text()
    watched.assert_quiet()


def test_the_verdict_is_the_gates_and_its_cells_are_listed(watched: Watched, gated_file: Path) -> None:
    page = watched.open(gated_file)
    assert page.locator(".decision").inner_text() == "Regressed"
    kinds = [line.get_attribute("data-kind") for line in page.locator(".forest tbody tr").all()]
    assert kinds == ["regressed", "lost", "inconclusive", "improved", "equivalent"]
    first = page.locator(".forest tbody tr").first
    assert "+4.1\u202f%" in first.inner_text()
    assert "+3.2\u202f% to +5.0\u202f%" in first.inner_text()
    assert "4.1 % slower, and that is sure" in page.locator("[data-kind-list=regressed]").inner_text()
    assert "2.13" in page.locator("#compare .changed").first.inner_text()
    page.locator(".chip.improved").click()
    assert page.locator(".forest tbody tr:visible").count() == 1
    page.reload()
    expect(page.locator(".chip.improved")).to_have_attribute("aria-pressed", "true")
    assert page.locator(".forest tbody tr:visible").count() == 1
    watched.assert_quiet()


def test_colours_follow_the_system_until_a_reader_chooses(watched: Watched, page_file: Path) -> None:
    watched.page.emulate_media(color_scheme="dark")
    page = watched.open(page_file)

    def lightness() -> int:
        return sum(int(part) for part in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3])

    assert lightness() < 200
    page.locator("#theme").click()
    assert lightness() > 600
    # Another process may read what was kept: it has to have been written.
    page.wait_for_timeout(500)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert lightness() > 600
    page.evaluate("localStorage.clear()")
    watched.assert_quiet()


def test_the_history_has_lines_steps_and_numbers(watched: Watched, history_file: Path) -> None:
    page = watched.open(history_file, "#history")
    expect(page.locator("#history-chart canvas")).to_be_visible()
    assert page.locator("#history tbody tr", has_text="slower").count() >= 1
    page.locator("#history table a").first.click()
    expect(page.locator("#history-about")).to_contain_text("step")
    page.locator(".values summary").click()
    assert page.locator("#history-values tbody tr").count() == 6
    assert page.locator("#history-values .mark").count() >= 1
    page.fill("#history-q", "00001")
    expect(page.locator("#history-about")).to_contain_text("workload_00001")
    page.reload()
    expect(page.locator("#history-about")).to_contain_text("workload_00001")
    watched.assert_quiet()


def test_figures_and_the_matrix_are_saved(watched: Watched, page_file: Path) -> None:
    page = watched.open(page_file)
    for kind, begin in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"as {kind}").first.click()
        assert Path(download.value.path()).read_bytes().startswith(begin)
    watched.visit("#matrix?q=00003")
    expect(page.locator(".tabulator-row")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 2
    assert watched.messages == []


def test_a_saved_forest_plot_has_the_cells_without_a_ratio_too(watched: Watched, gated_file: Path) -> None:
    page = watched.open(gated_file)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save forest-0 as SVG").click()
    figure = xml.fromstring(Path(download.value.path()).read_text())
    texts = [text.text for text in figure.iter("{http://www.w3.org/2000/svg}text")]
    for name in page.locator(".forest tbody th b").all_inner_texts():
        assert any(str(text).startswith(name) for text in texts), name
    assert page.locator("[data-instead]").all_inner_texts() == [text for text in texts if text == "no ratio"] == ["no ratio"]
    parts = list(figure.findall("{http://www.w3.org/2000/svg}svg"))
    assert len(parts) == 5, "the axis, and four rows under it"
    for part in parts:
        assert [part.get("width"), part.get("height")] == str(part.get("viewBox")).split()[2:], "none is scaled: a ratio is under its tick"
    watched.assert_quiet()


def test_without_scripts_what_is_not_pass_is_a_table(chromium: str, page_file: Path) -> None:
    with watching(chromium, java_script_enabled=False) as watched:
        watched.page.goto(page_file.as_uri())
        text = watched.page.locator("main").inner_text()
        assert "What is not pass" in text
        assert "workload_0" in text
        for view in ("compare", "totals"):
            assert watched.page.locator(f"#{view}").is_visible()


def test_hostile_text_is_text(watched: Watched, tmp_path: Path) -> None:
    fields = dict.fromkeys(("name", "image", "backend", "mode", "precision", "shapes", "options", "dev"), HOSTILE)
    rows = tmp_path / "run"
    rows.mkdir()
    write(
        rows / "results.csv",
        row(**fields),
        row(**fields, cell="2", status=Status.FAIL_TO_RUN, reason=HOSTILE, warnings=HOSTILE, launch=1, evidence=HOSTILE, log=HOSTILE),
        row(**{**fields, "image": "other"}),
    )
    (rows / "manifest.json").write_text('{"command": ["<script>document.title = 1</script>"]}')
    with (rows / "results.csv").open("a") as file:
        file.write(HOSTILE + "\n")
    page = watched.open(made(rows, output=tmp_path / "report.html"))
    for view in VIEWS:
        watched.visit(f"#{view}")
        page.wait_for_timeout(100)
    watched.visit("#matrix")
    for sorter in page.locator(".sorter").all():
        sorter.click()
    page.locator("a.entry").first.click()
    expect(page.locator("#cell")).to_be_visible()
    page.wait_for_timeout(200)
    assert page.title() not in {"hostile", "1"}
    assert page.locator("img, iframe, body script:not([type]):not(:is(body > script))").count() == 0
    assert HOSTILE in page.locator("#cell").inner_text()
    watched.assert_quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_a_narrow_screen_in_both_schemes(watched: Watched, page_file: Path, scheme: str) -> None:
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    watched.page.set_viewport_size({"width": 380, "height": 700})
    page = watched.open(page_file)
    for view in VIEWS:
        watched.visit(f"#{view}")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{view} scrolls sideways, not its tables"


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one_row_are_pages_too(watched: Watched, tmp_path: Path, rows: int) -> None:
    path = tmp_path / "results.csv"
    write(path, *[row()] * rows)
    if not rows:
        path.write_text(",".join(COLUMNS) + "\n")
    page = watched.open(made(path, output=tmp_path / "report.html"))
    for view in VIEWS:
        watched.visit(f"#{view}")
        page.wait_for_timeout(50)
        assert page.locator(f"#{view}").inner_text()
    watched.assert_quiet()


def test_numbers_of_the_script_are_those_of_the_page(watched: Watched, page_file: Path) -> None:
    """Both have one set of rules for digits and units."""
    source = re.sub(r"^export ", "", (STATIC / "numbers.js").read_text(), flags=re.MULTILINE)
    values = [
        0.0,
        1e-12,
        3.2e-9,
        9.996e-4,
        0.0011,
        0.01,
        0.0999,
        0.1,
        0.5,
        0.9949,
        1.0,
        1.0049,
        9.994,
        9.996,
        99.94,
        99.96,
        1023.0,
        1536.0,
        123456.0,
        7e9,
    ]
    watched.page.goto("about:blank")
    for name in ("ratio", "change", "duration", "joules", "share", "error", "size", "count"):
        # Sizes and counts are whole.
        values = [round(value) for value in values] if name in {"size", "count"} else values
        found = watched.page.evaluate(f"values => {{ {source}\nreturn values.map((value) => {name}(value)); }}", values)
        assert found == [getattr(numbers, name)(value) for value in values], name


def test_no_two_ticks_of_the_script_s_axes_read_the_same(watched: Watched) -> None:
    modules = [(STATIC / name).read_text() for name in ("numbers.js", "scale.js", "ticks.js")]
    source = "\n".join(re.sub(r"^export |^import .*$", "", text, flags=re.MULTILINE) for text in modules)
    watched.page.goto("about:blank")
    ranges: list[list[float]] = [
        [1, 1],
        [1, 1.00001],
        [1, 1.01],
        [0.999, 1.001],
        [0.5, 3],
        [0, 0],
        [1e-9, 1.1e-9],
        [1e-3, 1.0001e-3],
        [118, 125],
        [130, 140],
        [7100, 7300],
        [1, 9e9],
    ]
    for unit in ("seconds", "ratio"):
        for low, high in ranges:
            script = f"(values) => {{ {source}\nreturn texts(linear(...range(values), 0, 100).ticks(6), '{unit}'); }}"
            found = watched.page.evaluate(script, [low, high])
            assert len(set(found)) == len(found) >= 3, (low, high, found)
    assert watched.page.evaluate(f"() => {{ {source}\nreturn texts([1, 1.005, 1.01], 'ratio'); }}") == [
        "1.000\u00d7",
        "1.005\u00d7",
        "1.010\u00d7",
    ]
