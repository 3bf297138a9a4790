"""Seconds until the 95 % interval of eager over a backend is narrow: this harness, a fixed number of repeats, and torch.utils.benchmark.

All three on the same callables in one process, in random order, warm-up and calibration included. Compiling is in none. On a GPU this harness goes by device time, the others by host time.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.cell import Cell
from harness.experiments.steps import surroundings
from harness.experiments.timing import BACKEND, EAGER
from harness.measure.interval import ratio_interval
from harness.measure.sampling import interleave
from harness.protocols import Call, Clock
from tests.benchmarks.fidelity import in_process, others
from tests.benchmarks.fidelity import options as common
from tests.benchmarks.fidelity.cells import add_cells
from tests.benchmarks.fidelity.series import Outcome
from tests.benchmarks.fidelity.tables import Table, middle, percent, ratio

REPEATS, WARM_CALLS = 30, 10
"""Of the ancestor, by default."""
STEP_SECONDS = 0.2
"""Of ``blocked_autorange``, by default: how much is added to either side before the interval is looked at again."""
RESAMPLES = 1000
OURS, FIXED, TIMER = "this harness", "30 repeats", "blocked_autorange"
METHODS = (OURS, FIXED, TIMER)
COLUMNS = ("workload", "shapes", *(f"{method}, {what}" for method in METHODS for what in ("s", "width", "ratio")), "remarks")


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What one method spent on one cell, and what it got."""

    workload: str
    shapes: str
    method: str
    seconds: float | None
    width: float | None
    """Of the 95 % interval of the ratio, relative to it."""
    ratio: float | None
    """Eager's time over the backend's."""
    remark: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    common.add_common(parser)
    add_cells(parser, 12)
    parser.add_argument("--backend", choices=("inductor", "eager"), default="inductor")
    parser.add_argument("--shapes", choices=("small", "large"), default="small")
    parser.add_argument(
        "--cap", type=common.positive, default=30.0, metavar="SECONDS", help="for a method and a cell (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> Outcome:
    in_process.begin(options)
    efforts: list[Effort] = []
    for name in options.cells:
        print(f"  {name}", file=sys.stderr, flush=True)
        cell = Cell(workload=f"micro/{name}", backend=options.backend, device=options.device, shapes=options.shapes)
        efforts.extend(_of_cell(cell, options))
    return Outcome(about=in_process.line(options), tables=(table(efforts, common.sampling(options).width),), records=tuple(efforts))


def _of_cell(cell: Cell, options: argparse.Namespace) -> list[Effort]:
    clock = in_process.clock_of(options.device, common.sampling(options).cache)
    order = random.Random(f"{options.seed} {cell.id}")
    methods: dict[str, Callable[[], tuple[float, float, float]]] = {
        OURS: lambda: ours(calls, clock, order, options),
        FIXED: lambda: fixed(calls, clock),
        TIMER: lambda: unpaired(calls, common.sampling(options).width, options.cap),
    }
    named = {"workload": cell.workload, "shapes": cell.shapes}
    try:
        calls = in_process.calls_of(cell, clock, options.seed)
    except in_process.CellFailed as error:
        return [Effort(**named, method=method, seconds=None, width=None, ratio=None, remark=str(error)) for method in METHODS]
    found = []
    with surroundings(cell.mode):
        for method in common.shuffled(METHODS, options, sum(map(ord, cell.id))):
            seconds, width, quotient = methods[method]()
            found.append(Effort(**named, method=method, seconds=seconds, width=width, ratio=quotient))
    return found


def ours(calls: Mapping[str, Call], clock: Clock, order: random.Random, options: argparse.Namespace) -> tuple[float, float, float]:
    """Seconds, width and ratio, as for the other two. A budget of ``--cap``, where ``--budget`` says nothing else."""
    options = argparse.Namespace(**{**vars(options), "budget": options.budget or options.cap})
    began = time.perf_counter()
    measured = interleave(calls, clock, common.sampling(options), order)
    found = measured.ratio(EAGER, BACKEND, clock.gauges[0].name)
    return time.perf_counter() - began, found.width, found.estimate


def fixed(calls: Mapping[str, Call], clock: Clock) -> tuple[float, float, float]:
    """Single calls, each waited for, in turns; judged by this harness's own interval, which is the narrowest."""
    began = time.perf_counter()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(WARM_CALLS):
            call()
    for _ in range(REPEATS):
        for name, call in calls.items():
            clock.synchronize()
            started = time.perf_counter()
            call()
            clock.synchronize()
            taken[name].append(time.perf_counter() - started)
    took = time.perf_counter() - began
    found = ratio_interval(taken[EAGER], taken[BACKEND])
    return took, found.width, found.estimate


def unpaired(calls: Mapping[str, Call], width: float, cap: float) -> tuple[float, float, float]:
    """One side after the other, more of both until the interval is narrow. What the interval itself costs is not counted."""
    timers = {name: others.timer(call) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    spent = 0.0
    random_numbers = np.random.default_rng(0)
    while True:
        began = time.perf_counter()
        for name, each in timers.items():
            taken[name].extend(each.blocked_autorange(min_run_time=STEP_SECONDS).times)
        spent += time.perf_counter() - began
        eager, backend = np.asarray(taken[EAGER]), np.asarray(taken[BACKEND])
        low, high = bootstrapped(eager, backend, random_numbers)
        quotient = float(np.median(eager) / np.median(backend))
        if (high - low) / quotient <= width or spent >= cap:
            return spent, (high - low) / quotient, quotient


def bootstrapped(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64], random_numbers: np.random.Generator
) -> tuple[float, float]:
    """The 95 % percentile interval of the ratio of medians of samples that were not taken in pairs; shapes (n,) and (m,), n and m any."""
    first, second = (
        np.median(random_numbers.choice(values, size=(RESAMPLES, len(values))), axis=1) for values in (numerators, denominators)
    )
    low, high = np.quantile(first / second, (0.025, 0.975))
    return float(low), float(high)


def table(efforts: Sequence[Effort], width: float) -> Table:
    """Pure."""
    keys = dict.fromkeys((effort.workload, effort.shapes) for effort in efforts)
    notes = [f"- {method}: {_sum([each for each in efforts if each.method == method], width)}" for method in METHODS]
    return Table(
        columns=COLUMNS,
        rows=tuple(_line(*key, {each.method: each for each in efforts if (each.workload, each.shapes) == key}) for key in keys),
        notes=("\n".join(notes),),
    )


def _line(workload: str, shapes: str, by_method: Mapping[str, Effort]) -> tuple[str, ...]:
    fields: list[str] = []
    for method in METHODS:
        found = by_method[method]
        fields += ["" if found.seconds is None else f"{found.seconds:.2f}", percent(found.width), ratio(found.ratio)]
    return (workload, shapes, *fields, "; ".join(dict.fromkeys(each.remark for each in by_method.values() if each.remark)))


def _sum(efforts: Sequence[Effort], width: float) -> str:
    done = [effort for effort in efforts if effort.seconds is not None and effort.width is not None]
    total = sum(effort.seconds or 0.0 for effort in done)
    narrow = sum(1 for effort in done if effort.width is not None and effort.width <= width)
    return (
        f"{total:.1f} s in all, median width {percent(middle(effort.width for effort in done))}, "
        f"{narrow} of {len(done)} as narrow as {percent(width)}"
    )
