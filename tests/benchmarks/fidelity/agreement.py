"""Ours and other instruments, in turns on the same callable in one process.

CPU: host time beside ``torch.utils.benchmark``. GPU: device time beside triton's ``do_bench``, host time beside a plain loop that waits.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.cell import Cell
from harness.experiments.steps import surroundings
from harness.experiments.timing import EAGER
from harness.measure.clock import DEVICE, HOST
from harness.measure.interval import ratio_interval
from harness.measure.sampling import interleave
from harness.protocols import Call, Clock
from tests.benchmarks.fidelity import in_process, others
from tests.benchmarks.fidelity import options as common
from tests.benchmarks.fidelity.cells import add_cells
from tests.benchmarks.fidelity.series import Outcome
from tests.benchmarks.fidelity.tables import NOTHING, Table, between, middle, percent, ratio, seconds, spread, yes

LOW, HIGH = 0.97, 1.03
REST_SECONDS = 0.5
"""Before each instrument's turn on a GPU: after half a second of calls without a pause some of these run into its power limit, and are slower by
up to 25 %, whoever times them."""
SHORTEST_DEVICE_SECONDS = 20e-6
"""Below it this harness samples from a hot cache and ``do_bench`` from a cold one: there is nothing to compare."""
COLUMNS = (
    "workload",
    "shapes",
    "cache",
    "this harness",
    "spread",
    "the other",
    "spread of it",
    "ratio",
    "0.97 to 1.03",
    "by round",
    "its 95 % interval",
    "remarks",
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One round of one cell, by one clock of ours and the other instrument."""

    clock: str
    other: str
    workload: str
    shapes: str
    round: int
    cache: str
    ours_seconds: float | None
    """Medians, per call."""
    other_seconds: float | None
    remark: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    common.add_common(parser)
    add_cells(parser, 12)
    parser.add_argument("--rounds", type=common.count, default=5, help="of each instrument, in random order (default: %(default)s)")
    parser.add_argument("--shapes", choices=("small", "large"), action="append", help="repeatable (default: small; with cuda both)")


def run(options: argparse.Namespace) -> Outcome:
    in_process.begin(options)
    shapes = options.shapes or (("small", "large") if options.device == "cuda" else ("small",))
    readings: list[Reading] = []
    try:
        for name in options.cells:
            for each in shapes:
                print(f"  {name} {each}", file=sys.stderr, flush=True)
                readings.extend(_of_cell(Cell(workload=f"micro/{name}", backend="eager", device=options.device, shapes=each), options))
    except KeyboardInterrupt:
        print("fidelity: interrupted; these are the cells that were finished", file=sys.stderr)
    return Outcome(about=in_process.line(options), tables=tables(readings), records=tuple(readings))


def _of_cell(cell: Cell, options: argparse.Namespace) -> Iterator[Reading]:
    clock = in_process.clock_of(options.device, common.sampling(options).cache)
    try:
        call = in_process.calls_of(cell, clock, options.seed)[EAGER]
    except in_process.CellFailed as error:
        yield Reading(
            clock=clock.gauges[0].name,
            other="",
            workload=cell.workload,
            shapes=cell.shapes,
            round=0,
            cache="",
            ours_seconds=None,
            other_seconds=None,
            remark=str(error),
        )
        return
    state: str | None = None
    for number in range(options.rounds):
        order = random.Random(f"{options.seed} {cell.id} {number}")
        with surroundings(cell.mode):
            found = _in_turns(call, clock, state, order, options)
        state = found.state
        for gauge in clock.gauges:
            other = found.others.get(gauge.name)
            yield Reading(
                clock=gauge.name,
                other=others.NAMES[options.device, gauge.name],
                workload=cell.workload,
                shapes=cell.shapes,
                round=number,
                cache=found.state,
                ours_seconds=found.ours[gauge.name],
                other_seconds=other,
                remark="" if other is not None else "hot: too short for the other",
            )


@dataclass(frozen=True, kw_only=True)
class Round:
    ours: Mapping[str, float | None]
    """Seconds by clock."""
    others: Mapping[str, float]
    state: str


def _in_turns(call: Call, clock: Clock, state: str | None, order: random.Random, options: argparse.Namespace) -> Round:
    ours: dict[str, float | None] = {}
    theirs: dict[str, float] = {}

    def rest() -> None:
        if options.device == "cuda":
            time.sleep(REST_SECONDS)

    def by_us() -> None:
        nonlocal state
        rest()
        # The path of a cell with both variants but for the second: rounds, gauges, calibration, state of the cache.
        measured = interleave({EAGER: call}, clock, common.sampling(options), order, state=state)
        state = measured.cache
        ours.update({gauge.name: middle(measured.seconds(EAGER, gauge.name)) for gauge in clock.gauges})

    def by_others() -> None:
        if options.device == "cpu":
            theirs[HOST] = others.timer_seconds(call)
            return
        assert state is not None
        rest()
        theirs[HOST] = others.loop_seconds(call, cold=state == "cold", flush_bytes=others.flush_bytes(clock))
        if state == "cold":
            rest()
            theirs[DEVICE] = others.do_bench_seconds(call)

    # The state of the cache is ours to choose: where it is not known yet, we begin.
    turns: list[Callable[[], None]] = [by_us, by_others]
    if state is not None or options.device == "cpu":
        order.shuffle(turns)
    for turn in turns:
        turn()
    assert state is not None
    device = ours.get(DEVICE)
    if device is not None and device < SHORTEST_DEVICE_SECONDS:
        theirs.pop(DEVICE, None)
    return Round(ours=ours, others=theirs, state=state)


def tables(readings: Sequence[Reading]) -> tuple[Table, ...]:
    """One of each clock. Pure."""
    return tuple(_table(clock, [each for each in readings if each.clock == clock]) for clock in dict.fromkeys(r.clock for r in readings))


def _table(clock: str, readings: Sequence[Reading]) -> Table:
    keys = dict.fromkeys((reading.workload, reading.shapes) for reading in readings)
    lines = [_line([reading for reading in readings if (reading.workload, reading.shapes) == key]) for key in keys]
    other = next((reading.other for reading in readings if reading.other), "")
    return Table(columns=COLUMNS, rows=tuple(lines), title=f"{clock} time: this harness beside {other}")


def _line(readings: Sequence[Reading]) -> tuple[str, ...]:
    ours, theirs = ([each for each in values if each is not None] for values in _columns(readings))
    our, their = middle(ours), middle(theirs)
    quotient = our / their if our is not None and their is not None else None
    return (
        readings[0].workload,
        readings[0].shapes,
        "/".join(sorted({reading.cache for reading in readings})),
        seconds(our),
        percent(spread(ours)),
        seconds(their),
        percent(spread(theirs)),
        ratio(quotient),
        yes(None if quotient is None else between(quotient, LOW, HIGH)),
        *_by_round(readings),
        "; ".join(sorted({reading.remark for reading in readings if reading.remark})),
    )


def _by_round(readings: Sequence[Reading]) -> tuple[str, str]:
    """The ratio of the two readings of a round, which what happens to the host from round to round leaves alone."""
    paired = [
        (each.ours_seconds, each.other_seconds) for each in readings if each.ours_seconds is not None and each.other_seconds is not None
    ]
    if not paired:
        return NOTHING, NOTHING
    found = ratio_interval([ours for ours, _ in paired], [theirs for _, theirs in paired])
    bounds = NOTHING if found.low is None or found.high is None else f"{found.low:.3f} to {found.high:.3f}"
    return ratio(found.estimate), bounds


def _columns(readings: Sequence[Reading]) -> tuple[list[float | None], list[float | None]]:
    return [reading.ours_seconds for reading in readings], [reading.other_seconds for reading in readings]
