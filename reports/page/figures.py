"""Figures of the page as files of their own: SVG texts by name. Pure but for reading the template.

Colours are those of the light page, as plain values: what shows these files may know neither themes nor variables.
"""

from __future__ import annotations

import re

from reports.page.forest import forest
from reports.page.model import Page
from reports.page.render import make_environment
from reports.page.totals_parts import parts

TEMPLATE = "figure.svg.j2"
ROWS = 60
"""Of a forest plot in a file."""
NAME_CHARACTERS = 70


def figures(page: Page) -> dict[str, str]:
    template = make_environment().get_template(TEMPLATE)
    found = {}
    for number, comparison in enumerate(page.comparisons):
        made = forest(page, comparison)
        rows = [row for row in made.rows if row.time is not None and row.time.ratio is not None][:ROWS]
        if rows:
            found[f"forest-{number}"] = template.render(kind="forest", forest=made, rows=rows, characters=NAME_CHARACTERS)
    for part in parts(page):
        for figure in part.paretos:
            name = "-".join(word for word in ("pareto", re.sub(r"[^\w.-]+", "_", part.suite), figure.clock) if word)
            found[name] = template.render(kind="pareto", figure=figure, suite=part.suite, columns=page.matrix.columns)
    return found
