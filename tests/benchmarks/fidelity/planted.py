"""The same work, and a known share more of it: is the difference found, and is its size inside of the interval?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from harness.cell import Cell
from harness.measure.interval import ratio_interval
from harness.records import Row, Status
from tests.benchmarks.fidelity import options as common
from tests.benchmarks.fidelity.aa import judged, warnings
from tests.benchmarks.fidelity.cells import instrument
from tests.benchmarks.fidelity.series import Outcome, Planned, launched
from tests.benchmarks.fidelity.tables import Table, between, how_many, middle, percent, yes

PERCENT = (0.0, 3.0, 10.0)
COLUMNS = (
    "planted",
    "found",
    "95 % interval over launches",
    "covers",
    "launches that cover",
    "median width of a launch",
    "warnings",
    "without result",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    common.add_launching(parser, launches=8)
    parser.add_argument("--percent", type=float, action="append", help="repeatable (default: 0, 3 and 10)")


def run(options: argparse.Namespace) -> Outcome:
    planted = tuple(options.percent or PERCENT)
    return launched(options, plan(options, planted), lambda rows: (table(rows, options.device, planted),))


def plan(options: argparse.Namespace, planted: Sequence[float]) -> Iterator[Planned]:
    place = common.place(options, module="tests.instruments")
    for launch in range(options.launches):
        yield common.specification(options, [cell(options.device, each) for each in planted], launch=launch), place


def cell(device: str, percent: float) -> Cell:
    return instrument("Repeated", "more_work", device, percent=percent)


def table(rows: Sequence[Row], device: str, planted: Sequence[float]) -> Table:
    return Table(
        columns=COLUMNS,
        rows=tuple(_line(1 + each / 100, [row for row in rows if row.cell == cell(device, each).id]) for each in planted),
        notes=(
            "Ratios are the time with more work over the time without. The interval over launches (of one ratio each) "
            "needs six launches; a launch has an interval of its own.",
        ),
    )


def _line(planted: float, rows: Sequence[Row]) -> tuple[str, ...]:
    passed = [row for row in rows if row.status == Status.PASS]
    found = [value for value in map(judged, passed) if value.speedup is not None]
    slowdowns = [1 / value.speedup for value in found if value.speedup]
    over = ratio_interval(slowdowns, [1.0] * len(slowdowns)) if slowdowns else None
    known = over is not None and over.low is not None and over.high is not None
    return (
        f"{planted:.3f}",
        f"{over.estimate:.4f}" if over else "",
        f"{over.low:.4f} to {over.high:.4f}" if over and known else "",
        yes(between(planted, over.low, over.high) if over and known else None),
        # The interval of the reciprocal.
        how_many(between(1 / planted, value.low, value.high) for value in found),
        percent(middle(value.width for value in found)),
        warnings(passed),
        "; ".join(f"{row.status}: {row.reason}" for row in rows if row.status != Status.PASS),
    )
