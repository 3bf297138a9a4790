"""From the model to one self-contained HTML file. Jinja escapes every value; the policy in it lets the page ask for nothing."""

from __future__ import annotations

import functools
import os
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.gate.wording import plain
from reports.page import numbers
from reports.page.assets import assets, live_assets
from reports.page.forest import KINDS, ROWS, forest
from reports.page.model import Line, Page
from reports.page.names import heads, middle
from reports.page.payload import drawers, first_blocks
from reports.page.ticks import labelled
from reports.page.totals_parts import parts
from reports.steps import FEWEST_VALUES

TEMPLATES = Path(__file__).parent / "templates"
FILTERS = (
    *(numbers.ratio, numbers.change, numbers.duration, numbers.joules, numbers.size),
    *(numbers.share, numbers.error, numbers.count, numbers.counted),
    *(plain, middle, heads, labelled),
)
FAILED = "failed"
"""How statuses look that are no pass: red, with a cross and the word."""


def render(page: Page) -> Iterator[str]:
    """The page, piece by piece: it can be large. Pure but for reading templates, styles and scripts."""

    def cell_address(place: tuple[int, int]) -> str:
        """As ``static/state.js`` reads it."""
        line, column = page.matrix.lines[place[0]], page.matrix.columns[place[1]]
        return "#cell?" + urllib.parse.urlencode({"w": line.workload, "d": line.detail, "c": column.label})

    def history_address(line: Line) -> str:
        return "#history?" + urllib.parse.urlencode({"w": line.workload, "d": line.detail})

    return (
        make_environment()
        .get_template("page.html.j2")
        .generate(
            cell_address=cell_address,
            history_address=history_address,
            page=page,
            forests=[forest(page, comparison) for comparison in page.comparisons],
            totals=parts(page),
            first_blocks=first_blocks(page),
            drawers=drawers(page),
            assets=assets(),
            first_view="compare" if page.comparisons else "matrix",
            early=assets().early,
        )
    )


def render_live() -> str:
    """The frame around a page that is made anew."""
    style, script, allowed = live_assets()
    return make_environment().get_template("live.html.j2").render(style=style, script=script, policy=allowed)


def write_page(path: Path, pieces: Iterable[str]) -> None:
    """Replace it as a whole: a browser may be reading it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(pieces)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@functools.cache
def make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({function.__name__: function for function in FILTERS})
    environment.filters["status_look"] = status_look
    environment.globals.update(kinds=KINDS, forest_rows=ROWS, fewest_runs=FEWEST_VALUES)
    return environment


def status_look(status: str) -> str:
    """The class of a status's mark."""
    return "pass" if status == "pass" else FAILED
