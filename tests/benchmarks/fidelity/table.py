"""Cells in some precisions over several launches: times by every clock, what they cost, and the same in a container beside no container.

Rows are added to DIR/table.csv, a cell that has its row in a launch is not measured again: the study can be made in parts, on one machine.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.cell import Cell
from harness.records import Row, Status
from tests.benchmarks.fidelity import options as common
from tests.benchmarks.fidelity.aa import warnings
from tests.benchmarks.fidelity.cells import LEFT_OUT, add_cells
from tests.benchmarks.fidelity.launches import Place
from tests.benchmarks.fidelity.ratios import compared
from tests.benchmarks.fidelity.series import Outcome, Planned, launched
from tests.benchmarks.fidelity.tables import Table, middle, number, percent, ratio, seconds, spread

PRECISIONS = ("float32", "bfloat16", "float16", "amp")
CACHES = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
KINDS = ("device", "host", "graph")
VARIANTS = ("eager", "backend")
TIMES = {
    ("eager", "device"): "eager_device_seconds",
    ("backend", "device"): "backend_device_seconds",
    ("eager", "host"): "eager_latency_seconds",
    ("backend", "host"): "backend_latency_seconds",
    ("eager", "graph"): "eager_graph_seconds",
    ("backend", "graph"): "backend_graph_seconds",
}
"""Columns of the record, by variant and clock."""
LABELS = {"eager": "eager", "backend": "inductor"}
COLUMNS = (
    "workload",
    "precision",
    "shapes",
    *(f"{LABELS[variant]} {kind}" for kind in KINDS for variant in VARIANTS),
    *(f"{kind} speedup" for kind in KINDS[:2]),
    *(f"{LABELS[variant]} J" for variant in VARIANTS),
    *(f"{LABELS[variant]} of limit" for variant in VARIANTS),
    "launches",
    "warnings",
    "without result",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    common.add_launching(parser, launches=5)
    add_cells(parser, 24)
    parser.add_argument("--precision", choices=PRECISIONS, action="append", help="repeatable (default: float32 and bfloat16)")
    parser.add_argument("--shapes", choices=("small", "large"), default="large")
    parser.add_argument("--launches-from", type=int, default=0, metavar="K", help="number of the first launch (default: %(default)s)")
    parser.add_argument(
        "--energy", type=float, default=1.0, metavar="SECONDS", help="for the energy of a call; 0: none (default: %(default)s)"
    )
    parser.add_argument("--container-only", action="store_true", help="with --container: make no launch outside of it")
    parser.add_argument("--no-warm-compile", action="store_true", help="do not compile again in a second process")
    parser.add_argument("--cache-dir", type=Path, metavar="DIR", help="of --keep-caches; give it to a container at the same path")
    parser.add_argument(
        "--keep-caches",
        action="store_true",
        help="later launches find what earlier ones compiled; a container needs '-e TORCHINDUCTOR_CACHE_DIR -e TRITON_CACHE_DIR'",
    )
    parser.set_defaults(check=lambda options: check(parser, options))


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.keep_caches != (options.cache_dir is not None):
        parser.error("--keep-caches and --cache-dir go together: what is kept needs a place")
    if options.container_only and not options.container:
        parser.error("--container-only goes with --container: there is no other place to launch in")
    if options.launches_from < 0:
        parser.error("--launches-from: launches are counted from 0")


def run(options: argparse.Namespace) -> Outcome:
    options.check(options)
    return launched(options, plan(options), tables, keep=True)


def plan(options: argparse.Namespace) -> Iterator[Planned]:
    cells = [
        Cell(workload=f"micro/{name}", backend="inductor", device=options.device, precision=precision, shapes=options.shapes)
        for name in options.cells
        for precision in options.precision or PRECISIONS[:2]
    ]
    places = _places(options)
    for launch in range(options.launches_from, options.launches_from + options.launches):
        for image in common.shuffled(tuple(places), options, launch):
            spec = common.specification(
                options,
                cells,
                launch=launch,
                image=image,
                fresh_caches=not options.keep_caches,
                warm_compile=not options.no_warm_compile,
                ceilings=True,
            )
            sampling = dataclasses.replace(spec.sampling, energy_seconds=options.energy)
            yield dataclasses.replace(spec, sampling=sampling), places[image]


def _places(options: argparse.Namespace) -> dict[str, Place]:
    variables = {}
    if options.cache_dir is not None:
        for variable, folder in CACHES.items():
            path = options.cache_dir.resolve() / folder
            path.mkdir(parents=True, exist_ok=True)
            variables[variable] = str(path)
    found = {} if options.container_only else {common.HOST: Place(prefix=(options.python,), variables=variables)}
    if options.container:
        found[common.CONTAINER] = Place(prefix=options.container, variables=variables)
    return found


def tables(rows: Sequence[Row]) -> tuple[Table, ...]:
    """From rows alone. Pure."""
    images = [image for image in (common.HOST, common.CONTAINER) if any(row.image == image for row in rows)]
    found = [_table(image, [row for row in rows if row.image == image], last=image == images[-1]) for image in images]
    if len(images) == 2:
        found.append(compared(rows))
    return tuple(found)


def _table(image: str, rows: Sequence[Row], *, last: bool) -> Table:
    keys = dict.fromkeys(cell_key(row) for row in rows)
    absent = [name for name in LEFT_OUT if not any(row.name == f"micro/{name}" for row in rows)]
    notes = ["Times are medians over launches of each launch's median; in parentheses their spread, (max - min) / median."]
    if absent:
        notes.append("Not in it: " + "; ".join(f"{name} ({LEFT_OUT[name]})" for name in absent) + ".")
    return Table(
        title="in a container" if image == common.CONTAINER else "outside of a container",
        columns=COLUMNS,
        rows=tuple(_line([row for row in rows if cell_key(row) == key]) for key in keys),
        notes=tuple(notes) if last else (),
    )


def cell_key(row: Row) -> tuple[str, str, str]:
    return row.name, row.precision, row.shapes


def _line(rows: Sequence[Row]) -> tuple[str, ...]:
    passed = [row for row in rows if row.status == Status.PASS]

    def median(column: str, text: Callable[[float | None], str]) -> str:
        return text(middle(getattr(row, column) for row in passed))

    return (
        rows[0].name.removeprefix("micro/"),
        rows[0].precision,
        rows[0].shapes,
        *(_time(passed, TIMES[variant, kind]) for kind in KINDS for variant in VARIANTS),
        median("device_speedup", ratio),
        median("speedup", ratio),
        *(median(f"{variant}_joules", number) for variant in VARIANTS),
        *(median(f"{variant}_limit_share", percent) for variant in VARIANTS),
        f"{len(passed)} of {len(rows)}",
        warnings(passed),
        "; ".join(dict.fromkeys(f"{row.status}: {row.reason[:120]}" for row in rows if row.status != Status.PASS)),
    )


def _time(rows: Sequence[Row], column: str) -> str:
    values = [getattr(row, column) for row in rows]
    apart = spread(values)
    return seconds(middle(values)) + (f" ({percent(apart, 1)})" if apart is not None else "")
