"""The table that a run ends with, as plain text."""

from __future__ import annotations

from reports.compare import Comparison, Entry
from reports.format import duration, ratio


def summary(comparison: Comparison) -> str:
    """A line per workload, a column per image and backend: speedup and latency, or what became of it."""
    if not comparison.lines:
        return "no rows"
    headings = [column.label for column in comparison.columns]
    body = [[f"{line.workload} {line.detail}", *(_text(entry) for entry in line.entries)] for line in comparison.lines]
    widths = [max(len(row[index]) for row in [["", *headings], *body]) for index in range(len(headings) + 1)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in [["", *headings], *body]]
    for column in comparison.columns:
        statuses = ", ".join(f"{count} {status}" for status, count in column.statuses)
        mean = f"geomean {ratio(column.geomean)} over the {comparison.common} common cells" if column.geomean else "no common cells"
        lines.append(f"{column.label}: {statuses}; {mean}")
    return "\n".join(lines)


def _text(entry: Entry | None) -> str:
    if entry is None:
        return "-"
    if not entry.ok:
        return entry.status
    marks = f" ({', '.join(entry.warnings)})" if entry.warnings else ""
    return f"{ratio(entry.speedup)} {duration(entry.latency_seconds)}{marks}"
