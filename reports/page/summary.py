"""The table that a run ends with, as plain text. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.records import Status, one_line
from reports.format import duration, percent, ratio, size
from reports.gate.wording import counted
from reports.page.experiments import found_of, sentence
from reports.page.layout import entry_table
from reports.page.model import Matrix, Page
from reports.page.totals import ALL_SUITES

WIDTH = 100
"""Characters of a name that a terminal is shown; escape sequences in it are not."""
VOID = "void"
"""What a cell says whose launches are all void: there is nothing to be said of its speed."""
MOST_LINES = 200
"""Workloads that a terminal is shown; the page has all."""


def summary(page: Page) -> str:
    """A line per workload, a column per image and backend: speedup and latency, or what became of it."""
    matrix = page.matrix
    if not matrix.lines:
        return "no rows"
    headings = ["", *(one_line(column.label, WIDTH) for column in matrix.columns)]
    rows = [headings, *_rows(page)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(headings))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(matrix.lines) > MOST_LINES:
        left = len(matrix.lines) - MOST_LINES
        lines.append(f"{counted(left, 'more workload')} {'is' if left == 1 else 'are'} on the page")
    if void := int(page.matrix.entries.is_void.sum()):
        lines.append(f"{VOID}: the gate set all launches of {counted(void, 'cell')} aside, as disturbed; the page says why")
    return "\n".join([*lines, *_totals(page)])


def _rows(page: Page) -> Iterator[list[str]]:
    places = entry_table(page.matrix.entries, len(page.matrix.lines), len(page.matrix.columns))
    for line, about in zip(places[:MOST_LINES].tolist(), page.matrix.lines, strict=False):
        reference = None if page.reference is None or line[page.reference] < 0 else line[page.reference]
        name = one_line(f"{about.workload} {about.detail}", WIDTH)
        cells = zip(line, page.matrix.columns, strict=True)
        yield [name, *("-" if entry < 0 else _text(page.matrix, entry, reference, column.experiment) for entry, column in cells)]


def _text(matrix: Matrix, entry: int, reference: int | None, experiment: str) -> str:
    entries = matrix.entries
    status = entries.status.words[int(entries.status.codes[entry])]
    found = sentence(experiment, found_of(matrix.rows, entry)) if experiment else ""
    if status not in Status.PASSED:
        return one_line(status, WIDTH) + (f": {found}" if found else "")
    if entries.is_void[entry]:
        return VOID
    if (image := _number(matrix, "image_bytes", entry)) is not None:
        return f"{size(image)}, compressed {size(_number(matrix, 'image_compressed_bytes', entry)) or 'not known'}"
    by_device, apart = _number(matrix, "device_speedup", entry), _number(matrix, "spread", entry)
    beside = None if reference is None else _beside(matrix, reference, entry)
    warnings = entries.warnings.words[int(entries.warnings.codes[entry])].replace(";", ", ")
    parts = (
        ratio(_number(matrix, "speedup", entry)),
        f"(device {ratio(by_device)})" if by_device is not None else "",
        found,
        duration(_number(matrix, "host_seconds", entry)) + (f", {ratio(beside)} the reference" if beside is not None else ""),
        f"within {percent(apart)}" if apart is not None else "",
        f"({one_line(warnings, WIDTH)})" if warnings else "",
    )
    said = " ".join(filter(None, parts))
    return said + (f" ({status})" if status != Status.PASS else "") if said else status


def _beside(matrix: Matrix, reference: int, entry: int) -> float | None:
    """How many times as fast as the reference: by the device's clock where both have it, else the host's. Two clocks are never mixed."""
    for name in ("device_seconds", "host_seconds"):
        one, other = _number(matrix, name, reference), _number(matrix, name, entry)
        if one is not None and other is not None:
            return one / other
    return None


def _number(matrix: Matrix, name: str, entry: int) -> float | None:
    value = float(matrix.entries.numbers[name][entry])
    return value if math.isfinite(value) else None


def _totals(page: Page) -> Iterator[str]:
    means = {total.column: total for total in page.totals if total.suite == ALL_SUITES and total.clock == "host"}
    for place, column in enumerate(page.matrix.columns):
        statuses = ", ".join(f"{count} {status}" for status, count in column.statuses)
        total = means.get(place)
        mean = (
            f"geomean {ratio(total.geomean)} over {counted(total.common, 'common line')}" if total and total.geomean else "no common lines"
        )
        # What is no speedup has no mean.
        means_nothing = bool(column.experiment) and total is None
        yield f"{one_line(column.label, WIDTH)}: {statuses}" + ("" if means_nothing else f"; {mean}")
    if page.reference is not None:
        label = page.matrix.columns[page.reference].label
        yield f"the reference is {one_line(label, WIDTH)}: how many times as fast each column is"
