"""The table that a run ends with, as plain text."""

from __future__ import annotations

from harness.records import one_line
from reports.compare import Comparison, Entry
from reports.format import duration, percent, ratio, size

WIDTH = 100
"""Characters of a name that a terminal is shown; escape sequences in it are not."""


def summary(comparison: Comparison) -> str:
    """A line per workload, a column per image and backend: speedup and latency, or what became of it."""
    if not comparison.lines:
        return "no rows"
    headings = [one_line(column.label, WIDTH) for column in comparison.columns]
    body = [[one_line(f"{line.workload} {line.detail}", WIDTH), *(_text(entry) for entry in line.entries)] for line in comparison.lines]
    widths = [max(len(row[index]) for row in [["", *headings], *body]) for index in range(len(headings) + 1)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in [["", *headings], *body]]
    for column in comparison.columns:
        statuses = ", ".join(f"{count} {status}" for status, count in column.statuses)
        mean = f"geomean {ratio(column.geomean)} over the {comparison.common} common cells" if column.geomean else "no common cells"
        lines.append(f"{one_line(column.label, WIDTH)}: {statuses}; {mean}")
    if comparison.reference:
        lines.append(f"the reference is {one_line(comparison.reference, WIDTH)}: how many times as fast each column is")
    return "\n".join(lines)


def _text(entry: Entry | None) -> str:
    if entry is None:
        return "-"
    if not entry.ok:
        return one_line(entry.status, WIDTH)
    marks = f" ({one_line(', '.join(entry.warnings), WIDTH)})" if entry.warnings else ""
    device = f" (device {ratio(entry.device_speedup)})" if entry.device_speedup is not None else ""
    spread = f" within {percent(entry.spread)}" if entry.spread is not None else ""
    if entry.size_bytes is not None:
        return f"{size(entry.size_bytes)}, compressed {size(entry.compressed_bytes) or 'not known'}"
    beside = f", {ratio(entry.beside)} the reference" if entry.beside is not None else ""
    return f"{ratio(entry.speedup)}{device} {duration(entry.latency_seconds)}{beside}{spread}{marks}".strip()
