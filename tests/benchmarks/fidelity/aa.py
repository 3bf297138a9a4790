"""Eager against eager: how often the 95 % interval of a launch covers 1, and how far launches are from one another."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.cell import Cell
from harness.records import Row, Status
from tests.benchmarks.fidelity import options as common
from tests.benchmarks.fidelity.cells import add_cells
from tests.benchmarks.fidelity.series import Outcome, Planned, launched
from tests.benchmarks.fidelity.tables import Table, between, how_many, middle, percent, ratio, seconds, spread

TARGET = 0.90
COLUMNS = (
    "workload",
    "shapes",
    "latency",
    "cover 1",
    "median speedup",
    "median width",
    "launches: latency",
    "launches: speedup",
    "warnings",
    "without result",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    common.add_launching(parser, launches=8)
    add_cells(parser, 24)
    parser.add_argument("--shapes", choices=("small", "large"), default="small")


def run(options: argparse.Namespace) -> Outcome:
    return launched(options, plan(options), lambda rows: (table(rows),))


def plan(options: argparse.Namespace) -> Iterator[Planned]:
    cells = [Cell(workload=f"micro/{name}", backend="eager", device=options.device, shapes=options.shapes) for name in options.cells]
    for launch in range(options.launches):
        yield common.specification(options, cells, launch=launch), common.place(options)


class Judged(NamedTuple):
    """By the clock that cells are compared by: the device's where there is one, else the host's."""

    speedup: float | None
    low: float | None
    high: float | None
    seconds: float | None
    """Of the backend."""

    @property
    def width(self) -> float | None:
        return (self.high - self.low) / self.speedup if self.speedup and self.low is not None and self.high is not None else None


def judged(row: Row) -> Judged:
    if row.dev == "cuda":
        return Judged(row.device_speedup, row.device_speedup_low, row.device_speedup_high, row.backend_device_seconds)
    return Judged(row.speedup, row.speedup_low, row.speedup_high, row.backend_latency_seconds)


def table(rows: Sequence[Row]) -> Table:
    passed = [row for row in rows if row.status == Status.PASS]
    covering = [_covers(row) for row in passed]
    return Table(
        columns=COLUMNS,
        rows=tuple(_line([row for row in rows if row.cell == cell]) for cell in dict.fromkeys(row.cell for row in rows)),
        title="by device time" if any(row.dev == "cuda" for row in rows) else "by host time",
        notes=(total(sum(covering), len(covering)),),
    )


def _covers(row: Row) -> bool:
    found = judged(row)
    return between(1.0, found.low, found.high)


def _line(rows: Sequence[Row]) -> tuple[str, ...]:
    passed = [row for row in rows if row.status == Status.PASS]
    values = [judged(row) for row in passed]
    return (
        rows[0].name,
        rows[0].shapes,
        seconds(middle(value.seconds for value in values)),
        how_many(_covers(row) for row in passed),
        ratio(middle(value.speedup for value in values)),
        percent(middle(value.width for value in values)),
        percent(spread(value.seconds for value in values)),
        percent(spread(value.speedup for value in values)),
        warnings(passed),
        "; ".join(f"{row.status}: {row.reason}" for row in rows if row.status != Status.PASS),
    )


def warnings(rows: Sequence[Row]) -> str:
    """Each with the number of rows that have it: ``contended 3, drift 1``."""
    seen = [warning for row in rows for warning in row.warnings.split(";") if warning]
    return ", ".join(f"{warning} {seen.count(warning)}" for warning in sorted(set(seen)))


def total(covering: int, trials: int) -> str:
    if trials == 0:
        return "No row passed: there is nothing to count."
    low, high = clopper_pearson(covering, trials)
    return (
        f"{covering} of {trials} intervals (cell x launch) cover 1: {percent(covering / trials, 1)}, "
        f"Clopper-Pearson 95 % interval {percent(low, 1)} to {percent(high, 1)}; target {percent(TARGET, 0)}."
    )


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share. Source: Clopper and Pearson 1934, as in scipy."""
    from scipy import stats

    found = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    return float(found.low), float(found.high)
