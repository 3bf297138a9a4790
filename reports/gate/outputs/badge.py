"""``badge.svg`` and ``badge.json``: the decision at a glance. Pure.

The SVG needs nobody's service; the JSON is what shields.io draws a badge from (https://shields.io/badges/endpoint-badge).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from jinja2 import Environment, StrictUndefined

from reports.gate.outputs.tally import tally
from reports.gate.report import Decision, GateReport

LABEL = "gate"
LABEL_COLOUR = "#444"
COLOURS: Mapping[Decision, str] = {Decision.PASS: "#2e7d32", Decision.REGRESSED: "#c62828", Decision.INCONCLUSIVE: "#8a5a00"}
"""White text on each has a contrast of 4.5 at least (WCAG 2.2, 1.4.3); the decision is said in words too."""
CHARACTER = 6.5
"""Mean width of a character of Verdana at 11 px; ``textLength`` holds other fonts to it."""
PADDING = 6.0

TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{{ width }}" height="20" role="img" aria-labelledby="t">
 <title id="t">{{ title }}</title>
 <rect width="{{ width }}" height="20" rx="3" fill="{{ label_colour }}"/>
 <rect x="{{ left }}" width="{{ width - left }}" height="20" rx="3" fill="{{ colour }}"/>
 <g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" aria-hidden="true">
  <text x="{{ padding }}" y="14" textLength="{{ left - 2 * padding }}">{{ label }}</text>
  <text x="{{ left + padding }}" y="14" textLength="{{ width - left - 2 * padding }}">{{ message }}</text>
 </g>
</svg>
"""


def message(report: GateReport) -> str:
    """The decision, and how many cells it is of: "regressed (2 of 24)"."""
    found = tally(report)
    behind = {Decision.REGRESSED: found.regressed, Decision.INCONCLUSIVE: found.inconclusive}.get(report.decision)
    return f"{report.decision} ({len(behind)} of {len(report.cells)})" if behind else str(report.decision)


def svg(report: GateReport) -> str:
    """The picture, 20 px high."""
    shown = message(report)
    left, right = (len(text) * CHARACTER + 2 * PADDING for text in (LABEL, shown))
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(TEMPLATE).render(
        width=left + right,
        left=left,
        padding=PADDING,
        title=f"{LABEL}: {shown}",
        label=LABEL,
        label_colour=LABEL_COLOUR,
        message=shown,
        colour=COLOURS[report.decision],
    )


def endpoint(report: GateReport) -> str:
    """JSON for shields.io. A regression's colour cannot be overridden by who shows it."""
    content = {
        "schemaVersion": 1,
        "label": LABEL,
        "message": message(report),
        "color": COLOURS[report.decision].removeprefix("#"),
        "labelColor": LABEL_COLOUR.removeprefix("#"),
        "isError": report.decision == Decision.REGRESSED,
    }
    return json.dumps(content, indent=1) + "\n"
