"""What a browser does with a large page: 10 000 cells of 3 images, from a file, in Chromium.

python -m tests.benchmarks.page_browser [--cells N] [--images N] [--samples N] [--launches N] [--run RUN] [--page FILE]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from tests.benchmarks.page_data import Shape, write_run
from tests.browser.watched import made, watching

ROUNDS = 5
TYPED = ("workload_0012", "7 micro", "1", "39", "timm 2")
"""Words that leave all lines for long, and others that leave others with each character."""
WATCH = """() => {
    window.seen = {};
    const wanted = { ready: "html[data-ready]", matrix: ".tabulator-row a.entry" };
    const look = () => {
        for (const [name, selector] of Object.entries(wanted)) if (!(name in seen) && document.querySelector(selector)) seen[name] = performance.now();
        if (Object.keys(seen).length < 2) setTimeout(look, 1);
    };
    look();
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const { startTime, duration } of list.getEntries()) if (startTime >= (seen.ready ?? Infinity)) longest = Math.max(longest, duration);
    }).observe({ type: "longtask", buffered: true });
}"""
SHOWN = """view => new Promise((resolve) => {
    const before = performance.now();
    location.hash = view;
    requestAnimationFrame(function look() {
        if (!document.querySelector(".tabulator-row a.entry")) return requestAnimationFrame(look);
        requestAnimationFrame(() => resolve(performance.now() - before));
    });
})"""
TYPE = """text => new Promise((resolve) => {
    const field = document.getElementById("filter-q");
    const before = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - before)));
})"""
READ = "performance.getEntriesByType('navigation')[0].domContentLoadedEventStart"
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.page_browser", description="Times a large page in Chromium.")
    for name in ("cells", "images", "samples", "launches"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Shape(), name))
    parser.add_argument("--run", type=Path, help="a run directory, instead of one that is made")
    parser.add_argument("--page", type=Path, help="a page, instead of one that is made")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = vars(parser.parse_args(arguments))
    run, page, chromium = options.pop("run"), options.pop("page"), options.pop("chromium")
    with tempfile.TemporaryDirectory() as folder:
        file = page or made(run or write_run(Path(folder) / "run", Shape(**options)), output=Path(folder) / "report.html")
        print(f"{file.stat().st_size / 1e6:.1f} MB; medians of {ROUNDS}, in ms")
        for view in ("#compare", "#matrix"):
            measure(chromium, file, view)
    return 0


def measure(chromium: str, file: Path, view: str) -> None:
    found: dict[str, list[float]] = {}

    def told(what: str, milliseconds: float) -> None:
        found.setdefault(what, []).append(milliseconds)

    for _ in range(ROUNDS):
        with watching(chromium) as watched:
            # Looked at from within: a browser that is asked from outside answers when it has read the whole file.
            watched.page.add_init_script(f"({WATCH})()")
            page = watched.open(file, view)
            if view == "#matrix":
                page.wait_for_selector(".tabulator-row a.entry")
                told("opened until the matrix is there", page.evaluate("seen.matrix"))
            else:
                told("opened until Compare is painted", page.evaluate(PAINTED))
                told("opened until it answers", page.evaluate("seen.ready"))
            told(f"opened at {view} until the whole file is read", page.evaluate(READ))
            told(f"opened at {view}: the longest that it does not answer after that it did", page.evaluate("longest"))
            if view == "#matrix":
                keystrokes(page, told)
                cell(page, told)
            else:
                told("from Compare to the matrix", page.evaluate(SHOWN, "#matrix"))
    for what, values in found.items():
        print(f"{what}: {statistics.median(values):.0f} (most: {max(values):.0f})", flush=True)


def keystrokes(page: Page, told: Callable[[str, float], None]) -> None:
    for text in TYPED:
        for end in range(1, len(text) + 1):
            told(f"a keystroke of the search for {text!r}", page.evaluate(TYPE, text[:end]))
        told("a search taken back", page.evaluate(TYPE, ""))


def cell(page: Page, told: Callable[[str, float], None]) -> None:
    address = page.locator("a.entry:not(.wrong):not(.mild)").first.get_attribute("href")
    script = SHOWN.replace(".tabulator-row a.entry", "#cell .strip")
    told("a cell until its samples are there", page.evaluate(script, address))


if __name__ == "__main__":
    sys.exit(main())
