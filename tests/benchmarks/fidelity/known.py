"""Calls that take a known time, from 1 us to 100 ms: does the harness report it? Host time on a CPU, device time on a GPU."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from harness.cell import Cell
from harness.records import Row, Status
from tests.benchmarks.fidelity import options as common
from tests.benchmarks.fidelity.cells import instrument
from tests.benchmarks.fidelity.series import Outcome, Planned, launched
from tests.benchmarks.fidelity.tables import Table, middle, near, percent, seconds, yes

MICROSECONDS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
SHARE, LEAST_SECONDS = 0.01, 200e-9
COLUMNS = ("wanted", "reported", "error", "error, ns", "within 1 % or 200 ns", "of an empty call", "cache", "launches", "remarks")


def add_options(parser: argparse.ArgumentParser) -> None:
    common.add_launching(parser, launches=1)
    parser.add_argument("--microseconds", type=common.positive, action="append", help="repeatable (default: 1 to 100000)")


def run(options: argparse.Namespace) -> Outcome:
    wanted = tuple(options.microseconds or MICROSECONDS)
    return launched(options, plan(options, wanted), lambda rows: (table(rows, options.device, wanted),))


def plan(options: argparse.Namespace, wanted: Sequence[float]) -> Iterator[Planned]:
    place = common.place(options, module="tests.instruments")
    for launch in range(options.launches):
        yield common.specification(options, [cell(options.device, each) for each in wanted], launch=launch), place


def cell(device: str, microseconds: float) -> Cell:
    return instrument("Tiny", "spin", device, microseconds=microseconds)


def table(rows: Sequence[Row], device: str, wanted: Sequence[float]) -> Table:
    lines = []
    for microseconds in wanted:
        found = [row for row in rows if row.cell == cell(device, microseconds).id]
        passed = [row for row in found if row.status == Status.PASS]
        reported = middle(reading(row, device) for row in passed)
        if reported is None:
            remarks = "; ".join(sorted({f"{row.status}: {row.reason}" for row in found})) or "no row"
            lines.append((seconds(microseconds * 1e-6), *[""] * (len(COLUMNS) - 2), remarks))
            continue
        lines.append(_line(microseconds * 1e-6, reported, passed, device))
    return Table(columns=COLUMNS, rows=tuple(lines))


def _line(wanted: float, reported: float, rows: Sequence[Row], device: str) -> tuple[str, ...]:
    empty = middle(row.empty_device_seconds if device == "cuda" else row.empty_call_seconds for row in rows)
    return (
        seconds(wanted),
        seconds(reported),
        percent((reported - wanted) / wanted),
        f"{(reported - wanted) * 1e9:+.0f}",
        yes(near(wanted, reported, share=SHARE, least=LEAST_SECONDS)),
        seconds(empty),
        "/".join(sorted({row.cache for row in rows})),
        str(len(rows)),
        "",
    )


def reading(row: Row, device: str) -> float | None:
    """On a GPU beyond an empty kernel, which takes microseconds itself: a kernel's own time is what was asked for."""
    if device != "cuda":
        return row.backend_latency_seconds
    if row.backend_device_seconds is None or row.empty_device_seconds is None:
        return None
    return row.backend_device_seconds - row.empty_device_seconds
