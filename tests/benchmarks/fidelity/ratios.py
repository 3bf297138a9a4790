"""The same cells in a container and outside: ratios of their medians. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from harness.records import Row, Status
from tests.benchmarks.fidelity.options import CONTAINER, HOST
from tests.benchmarks.fidelity.tables import Table, middle, ratio

COMPARED: Mapping[str, str] = {
    "eager device": "eager_device_seconds",
    "inductor device": "backend_device_seconds",
    "eager host": "eager_latency_seconds",
    "inductor host": "backend_latency_seconds",
}
"""Columns of the table, and of the record."""


def compared(rows: Sequence[Row]) -> Table:
    """Per cell the median over launches in the container over the one outside; last the geometric means."""
    lines: list[tuple[str, ...]] = []
    found: dict[str, list[float]] = {label: [] for label in COMPARED}
    for name, precision, shapes in dict.fromkeys((row.name, row.precision, row.shapes) for row in rows):
        cell = [row for row in rows if (row.name, row.precision, row.shapes) == (name, precision, shapes)]
        quotients = {label: in_both(cell, column) for label, column in COMPARED.items()}
        for label, quotient in quotients.items():
            found[label] += [] if quotient is None else [quotient]
        lines.append((name.removeprefix("micro/"), precision, shapes, *map(ratio, quotients.values())))
    means = (ratio(statistics.geometric_mean(values) if values else None) for values in found.values())
    return Table(
        title="in a container over outside of it",
        columns=("workload", "precision", "shapes", *COMPARED),
        rows=(*lines, ("geometric mean", "", "", *means)),
    )


def in_both(rows: Sequence[Row], column: str) -> float | None:
    inside, outside = (
        middle(getattr(row, column) for row in rows if row.image == image and row.status == Status.PASS) for image in (CONTAINER, HOST)
    )
    return None if inside is None or not outside else inside / outside
