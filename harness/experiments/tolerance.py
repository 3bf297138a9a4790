"""How far each precision is from float64, output by output: which tolerance a workload can be held to.

The ancestor (``--tolerance``) tells maximum, mean and deviation of a backend's elements from eager's in one precision, each over 1 plus the
element. Here eager in every precision is held against float64 with the weights and inputs of float32, so that what rounding them costs is
counted, and an output is the measure of its own errors: its elements may all be small. A backend's error is a column of ``performance``.
"""

from __future__ import annotations

import dataclasses
import math
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils import _pytree as pytree

from harness.cell import Cell, LaunchSpec
from harness.experiments.checking import reference_of, seeded, step_of
from harness.experiments.loss_scale import settled
from harness.files import write_table
from harness.measure.deviation import error_of, largest_error, size_of
from harness.protocols import COMPUTED, Bench, Report, Results, Subject, Unsupported
from harness.records import Status, one_line
from harness.workloads.loading import load_subject
from harness.workloads.subjects import copy_of

PRECISIONS = ("float32", "bfloat16", "float16", "amp")
COLUMNS = ("precision", "output", "shape", "size", "error", "max_error", "status", "reason")
"""Of the table; ``size`` is the output's root mean square in float64, which both errors are over."""


@dataclass(frozen=True, kw_only=True)
class OutputError:
    """One output in one precision. Errors are relative to its size; infinite where it is not finite, and float64 is."""

    precision: str
    output: str
    shape: tuple[int, ...]
    size: float
    error: float
    max_error: float


class PrecisionErrors:
    def run(self, bench: Bench) -> str:
        """The backend has no part in it. A precision that does not run has a line in the table that says why; the cell's own must."""
        cell, spec, subject, report = bench.cell, bench.spec, bench.subject, bench.report
        report.set(batch_size=subject.batch_size)
        report.phase("eager")
        own = seeded(step_of(settled(copy_of(subject), cell, spec.seed), cell), spec.seed, cell.device)
        report.phase("reference")
        exact = _exact(subject, cell, spec, report)

        found: list[OutputError] = list(errors(cell.precision, own, exact))
        failures: dict[str, tuple[str, str]] = {}
        for precision in PRECISIONS:
            if precision != cell.precision:
                report.phase(precision)
                try:
                    found += errors(precision, _results(cell, spec, precision), exact)
                except Unsupported as error:
                    failures[precision] = Status.UNSUPPORTED, str(error)
                except Exception as error:  # noqa: BLE001  # whatever a workload raises in another precision than it was written for
                    traceback.print_exc()
                    failures[precision] = Status.EAGER_FAIL_TO_RUN, f"{type(error).__name__}: {error}"
        report.phase("table")
        write_table(report.artifact("tolerance.csv"), COLUMNS, _lines(found, failures))
        _report(found, cell.precision, report)
        return Status.PASS


def _results(cell: Cell, spec: LaunchSpec, precision: str) -> Results:
    other = dataclasses.replace(cell, precision=precision)
    subject = settled(load_subject(cell, spec, precision=precision), other, spec.seed)
    return seeded(step_of(subject, other), spec.seed, cell.device)


def _exact(subject: Subject, cell: Cell, spec: LaunchSpec, report: Report) -> Results:
    """In float64. Of float32's weights and inputs, which every other precision's are rounded from; of the cell's own where there are none."""
    finest = dataclasses.replace(cell, precision="float32")
    try:
        loaded = subject if cell.precision == finest.precision else load_subject(cell, spec, precision=finest.precision)
    except Unsupported:
        loaded, finest = subject, cell
    exact = reference_of(loaded, seeded(step_of(copy_of(loaded), finest), spec.seed, cell.device), finest, spec.seed, report)
    if exact is None:
        raise Unsupported("the workload has no results in float64 that errors could be measured against; the log says why")
    return exact


def errors(precision: str, results: Results, exact: Results) -> Iterator[OutputError]:
    """Of every output that is a floating-point tensor and anything but zero in float64."""
    for group in COMPUTED:
        if group not in exact:
            continue
        leaves = dict(pytree.tree_flatten_with_path(results[group])[0])
        for path, reference in pytree.tree_flatten_with_path(exact[group])[0]:
            found = leaves.get(path)
            if not isinstance(reference, torch.Tensor) or not isinstance(found, torch.Tensor) or not reference.is_floating_point():
                continue
            size = size_of(reference)
            if size == 0:
                continue
            yield OutputError(
                precision=precision,
                output=f"{group}{pytree.keystr(path)}",
                shape=tuple(reference.shape),
                size=size,
                **_relative(found, reference, size),
            )


def _relative(found: torch.Tensor, reference: torch.Tensor, size: float) -> dict[str, float]:
    if found.shape != reference.shape:
        return {"error": math.inf, "max_error": math.inf}
    pair = {"error": error_of(found, reference) / size, "max_error": largest_error(found, reference) / size}
    return {name: value if math.isfinite(value) else math.inf for name, value in pair.items()}


def _report(found: list[OutputError], precision: str, report: Report) -> None:
    mine = [each for each in found if each.precision == precision]
    if mine:
        report.set(eager_error=max(each.error for each in mine), eager_max_error=max(each.max_error for each in mine))
    if not found:
        return
    worst = max(found, key=lambda each: each.error)
    report.set(
        worst_precision=worst.precision,
        worst_output=worst.output,
        worst_error=worst.error,
        worst_max_error=worst.max_error,
    )
    if not math.isfinite(worst.error):
        report.set(reason=f"in {worst.precision}, {worst.output} is not finite where float64 is, or of another shape")


def _lines(found: list[OutputError], failures: dict[str, tuple[str, str]]) -> Iterator[tuple[object, ...]]:
    for each in found:
        shape = "x".join(map(str, each.shape))
        yield each.precision, each.output, shape, each.size, each.error, each.max_error, Status.PASS, ""
    for precision, (status, why) in failures.items():
        yield precision, "", "", "", "", "", status, one_line(why)
