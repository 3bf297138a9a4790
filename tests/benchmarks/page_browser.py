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
TYPED = "workload_0012"
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
            page = watched.open(file, view)
            if view == "#matrix":
                page.wait_for_selector(".tabulator-row a.entry")
                told("opened until the matrix is there", page.evaluate("performance.now()"))
                keystrokes(page, told)
                cell(page, told)
            else:
                told("opened until Compare is painted", page.evaluate(PAINTED))
                told("opened until it answers", page.evaluate("performance.now()"))
                told("from Compare to the matrix", page.evaluate(SHOWN, "#matrix"))
    for what, values in found.items():
        print(f"{what}: {statistics.median(values):.0f} (most: {max(values):.0f})", flush=True)


def keystrokes(page: Page, told: Callable[[str, float], None]) -> None:
    for end in range(1, len(TYPED) + 1):
        told("a keystroke of the search", page.evaluate(TYPE, TYPED[:end]))
    page.evaluate(TYPE, "")


def cell(page: Page, told: Callable[[str, float], None]) -> None:
    address = page.locator("a.entry:not(.wrong):not(.mild)").first.get_attribute("href")
    script = SHOWN.replace(".tabulator-row a.entry", "#cell .strip")
    told("a cell until its samples are there", page.evaluate(script, address))


if __name__ == "__main__":
    sys.exit(main())
