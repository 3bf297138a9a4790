"""Figures of the page as files of their own: SVG texts by name. Pure but for reading the template.

Colours are those of the light page, as plain values: what shows these files may know neither themes nor variables.
"""

from __future__ import annotations

import re

from reports.gate.wording import plain
from reports.page.forest import forest
from reports.page.model import Page
from reports.page.names import CUT, heads, middle
from reports.page.render import make_environment
from reports.page.totals_parts import parts

TEMPLATE = "figure.svg.j2"
ROWS = 60
"""Of a forest plot in a file."""
NAME_CHARACTERS, FULL_CHARACTERS = 58, 1000
"""Of a row's name: as it is written, and in its title."""
FILE_CHARACTERS = 80
"""Of a figure's name: a file system takes no more than 255."""


def figures(page: Page) -> dict[str, str]:
    template = make_environment().get_template(TEMPLATE)
    found = {}
    for number, comparison in enumerate(page.comparisons):
        made = forest(page, comparison)
        if made.rows:
            rows = made.rows[:ROWS]
            full = [plain(f"{row.workload} {row.detail}", FULL_CHARACTERS) for row in rows]
            # What they all end with is said once, above them: where names are cut, they still differ.
            apart = [plain(f"{row.workload} {row.detail.removesuffix(made.common)}".strip(), FULL_CHARACTERS) for row in rows]
            names = list(zip(full, heads(apart, NAME_CHARACTERS), strict=True))
            found[f"forest-{number}"] = template.render(kind="forest", forest=made, rows=rows, names=names)
    for part in parts(page):
        for figure in part.paretos:
            name = _new("-".join(word for word in ("pareto", _of_a_file(part.suite), figure.clock) if word), found)
            found[name] = template.render(kind="pareto", figure=figure, suite=part.suite)
    return found


def _of_a_file(suite: str) -> str:
    return middle(re.sub(r"[^A-Za-z0-9_.-]+", "_", suite), FILE_CHARACTERS).replace(CUT, "_")


def _new(name: str, taken: dict[str, str]) -> str:
    """Two suites may be one name to a file system that knows no capitals."""
    lower = {each.lower() for each in taken}
    number, found = 1, name
    while found.lower() in lower:
        number += 1
        found = f"{name}-{number}"
    return found
