"""One compilation for many shapes: does it serve them, how often is it made anew, and what is it worth for each?

The ancestor (``--dynamic-shapes``, ``--dynamic-batch-only``) tells dynamo that sizes are symbols and measures one shape; over a list of shapes it
tells mean, median and variance of the speedups. Here the shapes are met one after another as a server meets them, every one is checked against
eager and float64, what each made dynamo compile is counted, and all of them are sampled in turns.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch._dynamo
from torch._dynamo.utils import counters
from torch.utils import _pytree as pytree

from harness import numerics
from harness.backends.dynamo import Dynamo
from harness.experiments.checking import Checked, Kept, check, reference_of, report_subject, seeded, step_of, tolerance_of, without_elements
from harness.experiments.compiling import compiled_by
from harness.experiments.sizes import at_batch_size, is_batch, sizes_of
from harness.experiments.steps import Step, surroundings
from harness.experiments.taking import take
from harness.experiments.timing import BACKEND, EAGER
from harness.files import write_table
from harness.measure.accuracy import compare_groups
from harness.measure.interval import Interval
from harness.measure.sampling import Measurement
from harness.protocols import Backend, Bench, Evidence, Outputs, Subject, Unsupported
from harness.records import Status, Warn
from harness.workloads.subjects import copy_of

WHOLE, UNBACKED = "whole", "unbacked"
"""Dimensions that are symbols: all of all inputs; or, as by default, the first of inputs that are as long as the batch, here without a value that dynamo
may look at."""
COLUMNS = ("batch_size", "graphs", "first_call_seconds", "eager_seconds", "backend_seconds", "speedup", "speedup_low", "speedup_high")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One batch size, ready to be timed."""

    batch_size: int | None
    """None: the workload has no batch dimension."""
    eager: Step
    backend: Step
    graphs: int
    """That its first call made dynamo compile."""
    first_call_seconds: float


class Marking(Backend):
    """Another backend, whose first inputs have the batch dimension marked: it is a symbol in what is compiled for them."""

    def __init__(self, backend: Dynamo, dimensions: str) -> None:
        self._backend = backend
        # Where the code needs the size, dynamo may take it for a number: what that costs is counted as what is compiled again.
        self._mark = torch._dynamo.decorators.mark_unbacked if dimensions == UNBACKED else torch._dynamo.maybe_mark_dynamic
        self.compiles = backend.compiles
        self.calls_until_final = backend.calls_until_final
        self.tolerance = backend.tolerance

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        for leaf in pytree.tree_leaves(subject.inputs):
            if isinstance(leaf, torch.Tensor) and is_batch(leaf, subject.batch_size):
                self._mark(leaf, 0)
        return self._backend.prepare(subject)

    def evidence(self) -> Evidence:
        return self._backend.evidence()


class DynamicShapes:
    def run(self, bench: Bench) -> str:
        """The cell's own batch size is compiled and checked as any; then come the others, in order."""
        if not isinstance(bench.backend, Dynamo):
            raise Unsupported(
                f"{bench.cell.backend} does not compile through dynamo, which symbolic sizes are of: choose inductor (--backend)"
            )
        report_subject(bench)
        # A workload that has one size only has symbols in it all the same, where all of its dimensions are.
        lone = bench.subject.batch_size is None and bench.spec.dynamic == WHOLE
        sizes = (None,) if lone else sizes_of(bench)
        # As ``torch.compile(dynamic=True)`` has it, for whatever backend; or as it is, where only what is marked is to be a symbol.
        with torch._dynamo.config.patch(assume_static_by_default=bench.spec.dynamic != WHOLE):
            marked = (
                bench if bench.spec.dynamic == WHOLE else dataclasses.replace(bench, backend=Marking(bench.backend, bench.spec.dynamic))
            )
            checked = check(marked)
            if isinstance(checked, str):
                return checked
            shapes = [
                Shape(
                    batch_size=sizes[0],
                    eager=checked.eager,
                    backend=checked.backend,
                    graphs=counters["stats"]["unique_graphs"],
                    first_call_seconds=checked.first_call_seconds,
                )
            ]
            for size in filter(None, sizes[1:]):
                bench.report.phase(f"batch size {size}")
                shape = _meet(size, checked, bench)
                if isinstance(shape, str):
                    bench.report.set(reason=f"batch size {size}: {shape}")
                    return Status.FAIL_ACCURACY
                shapes.append(shape)
            bench.report.phase("time")
            with surroundings(bench.cell.mode):
                measured = take(_variants(shapes), bench)
        _report(shapes, measured, bench)
        return Status.PASS


def _meet(size: int, checked: Checked, bench: Bench) -> Shape | str:
    """The first call with inputs of another size, checked; the text says what of its result is wrong."""
    cell, seed = bench.cell, bench.spec.seed
    inputs = at_batch_size(bench, size).inputs
    ours = dataclasses.replace(bench.subject, inputs=inputs, batch_size=size)
    theirs = dataclasses.replace(checked.subject, inputs=inputs, batch_size=size)
    kept = Kept(theirs)
    pristine = copy_of(ours)
    expected = seeded(step_of(copy_of(pristine), cell), seed, cell.device)
    reference = reference_of(pristine, expected, cell, seed, bench.report)
    kept.restore()

    backend = step_of(theirs, cell, checked.function, bench.backend)
    numerics.seed(seed, cell.device)
    first = compiled_by(backend.run, bench.clock)
    found = compare_groups(
        expected,
        backend.collect(first.outputs),
        reference,
        bench.backend.tolerance or tolerance_of(bench.subject, cell),
        by_direction=without_elements(reference, cell),
    )
    kept.restore()
    if not found.same:
        return found.reason
    return Shape(
        batch_size=size,
        eager=step_of(ours, cell),
        backend=backend,
        graphs=first.graphs,
        first_call_seconds=first.seconds,
    )


def _variants(shapes: list[Shape]) -> dict[str, Callable[[], object]]:
    """The cell's own size has the usual names, and its interval ends the sampling."""
    steps = (
        (_variant(name, shape, shapes[0]), step) for shape in shapes for name, step in ((EAGER, shape.eager), (BACKEND, shape.backend))
    )
    return {variant: step.call for variant, step in steps}


def _variant(name: str, shape: Shape, own: Shape) -> str:
    return name if shape is own else f"{name} {shape.batch_size}"


def _report(shapes: list[Shape], measured: Measurement, bench: Bench) -> None:
    clock, own, report = bench.clock.gauges[0].name, shapes[0], bench.report
    speedups: list[Interval] = [measured.ratio(_variant(EAGER, each, own), _variant(BACKEND, each, own), clock) for each in shapes]
    estimates = [each.estimate for each in speedups]
    again = sum(shape.graphs for shape in shapes[1:])
    report.set(
        dynamic=bench.spec.dynamic,
        shapes_measured=len(shapes),
        recompiles=again,
        speedup=estimates[0],
        speedup_low=speedups[0].low,
        speedup_high=speedups[0].high,
        speedup_mean=statistics.fmean(estimates),
        speedup_median=statistics.median(estimates),
        speedup_variance=statistics.variance(estimates) if len(estimates) > 1 else None,
    )
    if again:
        report.warn(Warn.RECOMPILED)
    if speedups[0].width > bench.spec.sampling.width:
        report.warn(Warn.WIDE_INTERVAL)
    write_table(report.artifact("shapes.csv"), COLUMNS, _lines(shapes, speedups, measured, clock))


def _lines(shapes: list[Shape], speedups: list[Interval], measured: Measurement, clock: str) -> Iterator[tuple[object, ...]]:
    for shape, speedup in zip(shapes, speedups, strict=True):
        seconds = (statistics.median(measured.seconds(_variant(name, shape, shapes[0]), clock)) for name in (EAGER, BACKEND))
        yield shape.batch_size, shape.graphs, shape.first_call_seconds, *seconds, speedup.estimate, speedup.low, speedup.high
