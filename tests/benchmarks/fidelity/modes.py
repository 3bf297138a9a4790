"""Convolutions by launch, with the C library's allocator pinned and not: do latencies of launches fall into modes?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from harness.cell import Cell
from harness.measure.stability import modes
from harness.records import Row, Status
from tests.benchmarks.fidelity import options as common
from tests.benchmarks.fidelity.aa import judged, warnings
from tests.benchmarks.fidelity.cells import names
from tests.benchmarks.fidelity.series import Outcome, Planned, launched
from tests.benchmarks.fidelity.tables import Table, middle, percent, seconds, spread

WORKLOADS = "conv2d_3x3,conv_bn_relu"
PINNED, NOT_PINNED = "pinned", "not pinned"
"""Images of rows."""
COLUMNS = ("workload", "shapes", "allocator", "median", "spread", "modes", "each launch, ms", "warnings", "without result")


def add_options(parser: argparse.ArgumentParser) -> None:
    common.add_launching(parser, launches=12)
    parser.add_argument("--cells", type=names, default=WORKLOADS, metavar="N|NAME,...", help="workloads of micro (default: %(default)s)")
    parser.add_argument("--batch-size", type=common.count, help="instead of what the shapes name")
    parser.add_argument("--shapes", choices=("small", "large"), action="append", help="repeatable (default: both)")


def run(options: argparse.Namespace) -> Outcome:
    return launched(options, plan(options), lambda rows: (table(rows),))


def plan(options: argparse.Namespace) -> Iterator[Planned]:
    cells = [
        Cell(workload=f"micro/{name}", backend="eager", device=options.device, shapes=shapes, batch_size=options.batch_size)
        for name in options.cells
        for shapes in options.shapes or ("small", "large")
    ]
    # What the environment sets of the allocator would be neither the one nor the other.
    place = common.place(options, without="MALLOC_")
    for launch in range(options.launches):
        for image in common.shuffled((PINNED, NOT_PINNED), options, launch):
            yield common.specification(options, cells, launch=launch, image=image, pin_allocator=image == PINNED), place


def table(rows: Sequence[Row]) -> Table:
    keys = sorted({(row.name, row.shapes, row.image) for row in rows}, key=lambda key: (key[0], key[1] != "small", key[2] != PINNED))
    return Table(
        columns=COLUMNS,
        rows=tuple(_line([row for row in rows if (row.name, row.shapes, row.image) == key]) for key in keys),
        notes=("Variables MALLOC_* were taken out of the environment of all launches. Modes are those of the launches' medians.",),
    )


def _line(rows: Sequence[Row]) -> tuple[str, ...]:
    passed = sorted((row for row in rows if row.status == Status.PASS), key=lambda row: row.launch)
    values = [value for row in passed if (value := judged(row).seconds) is not None]
    found = modes(values)
    return (
        rows[0].name,
        rows[0].shapes,
        rows[0].image,
        seconds(middle(values)),
        percent(spread(values)),
        "one" if found is None else " and ".join(seconds(mode) for mode in found),
        " ".join(f"{value * 1e3:.4g}" for value in values),
        warnings(passed),
        "; ".join(f"{row.status}: {row.reason}" for row in rows if row.status != Status.PASS),
    )
