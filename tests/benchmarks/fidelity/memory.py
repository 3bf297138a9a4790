"""Blocks of known size that live for 2 ms: is the peak of a call reported? The resident set on a CPU, torch's allocator on a GPU."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from harness.cell import Cell
from harness.records import Row, Status
from tests.benchmarks.fidelity import options as common
from tests.benchmarks.fidelity.cells import instrument
from tests.benchmarks.fidelity.series import Outcome, Planned, launched
from tests.benchmarks.fidelity.tables import Table, middle, near, percent, spread, yes

MEBIBYTES = (4, 64, 256)
SHARE = 0.05
COLUMNS = ("block", "reported", "error", "within 5 %", "launches: spread", "launches", "without result")


def add_options(parser: argparse.ArgumentParser) -> None:
    common.add_launching(parser, launches=3)
    parser.add_argument("--mebibytes", type=int, choices=MEBIBYTES, action="append", help="repeatable (default: all)")


def run(options: argparse.Namespace) -> Outcome:
    sizes = tuple(options.mebibytes or MEBIBYTES)
    return launched(options, plan(options, sizes), lambda rows: (table(rows, options.device, sizes),))


def plan(options: argparse.Namespace, sizes: Sequence[int]) -> Iterator[Planned]:
    place = common.place(options, module="tests.instruments")
    for launch in range(options.launches):
        yield common.specification(options, [cell(options.device, size) for size in sizes], launch=launch), place


def cell(device: str, mebibytes: int) -> Cell:
    return instrument(f"ShortLived{mebibytes}", "eager", device)


def table(rows: Sequence[Row], device: str, sizes: Sequence[int]) -> Table:
    return Table(
        columns=COLUMNS,
        rows=tuple(_line(size, [row for row in rows if row.cell == cell(device, size).id]) for size in sizes),
        notes=("Reported: backend_peak_beyond_bytes, the median of the launches.",),
    )


def _line(mebibytes: int, rows: Sequence[Row]) -> tuple[str, ...]:
    block = mebibytes << 20
    peaks = [row.backend_peak_beyond_bytes for row in rows if row.status == Status.PASS]
    reported = middle(peaks)
    failed = [f"{row.status}: {row.reason}" for row in rows if row.status != Status.PASS]
    return (
        f"{mebibytes} MiB",
        "" if reported is None else f"{reported / (1 << 20):.3f} MiB",
        "" if reported is None else percent((reported - block) / block),
        yes(None if reported is None else near(block, reported, share=SHARE)),
        percent(spread(peaks)),
        str(len(peaks)),
        "; ".join(failed) or ("" if reported is not None else "no peak: the cell's log says why"),
    )
