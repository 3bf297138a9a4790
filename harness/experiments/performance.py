"""Speedup over eager and accuracy against float64, of the same compiled callable in the same process."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils import _pytree as pytree

from harness.cell import Cell, Sampling
from harness.experiments.steps import Step, make_step
from harness.measure.accuracy import compare_groups, default_tolerance, relative_error
from harness.measure.sampling import interleave
from harness.protocols import Backend, Clock, Outputs, Report, Results, Subject, Unsupported
from harness.records import Status, Warn
from harness.workloads.subjects import cast_floating

EAGER, BACKEND = "eager", "backend"


class Performance:
    def run(
        self,
        *,
        subject: Subject,
        backend: Backend,
        clock: Clock,
        cell: Cell,
        sampling: Sampling,
        seed: int,
        report: Report,
    ) -> str:
        """Check, then time. What fails its check is not timed: the speed of a wrong result is not a result."""
        tolerance = subject.tolerance or default_tolerance(cell.mode, cell.precision)
        report.set(
            batch_size=subject.batch_size,
            flops=subject.flops,
            bytes_moved=subject.bytes_moved,
            tolerance=tolerance.absolute_and_relative,
        )

        report.phase("eager")
        pristine = _copy(subject)
        eager = _step(subject, cell)
        first = _seeded(eager, seed)
        if not any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(first["outputs"])):
            raise Unsupported("the workload returns no tensor: there is nothing to compare, and so nothing that could be right")
        second = _seeded(_step(_copy(pristine), cell), seed)
        repeated = compare_groups(first, second, None, tolerance)
        if not repeated.same:
            report.set(reason=f"two runs of eager differ: {repeated.reason}")
            return Status.EAGER_TWO_RUNS_DIFFER
        del second

        report.phase("reference")
        reference = _reference(pristine, cell, seed, report)

        report.phase("prepare")
        # From here on ``pristine`` is the backend's: its model is in the state that eager's was in before its first call.
        function = backend.prepare(pristine)
        step = _step(pristine, cell, function)
        report.phase("first call")
        started = time.perf_counter()
        result = _seeded(step, seed)
        clock.synchronize()
        first_call_seconds = time.perf_counter() - started
        report.set(first_call_seconds=first_call_seconds)

        report.phase("evidence")
        evidence = backend.evidence()
        report.set(**evidence.columns, evidence=json.dumps(evidence.details, sort_keys=True, default=str))
        if evidence.columns.get("graph_breaks"):
            report.warn(Warn.GRAPH_BREAKS)

        report.phase("check")
        report.set(eager_error=_error(first, reference), backend_error=_error(result, reference))
        checked = compare_groups(first, result, reference, tolerance)
        if not checked.same:
            report.set(reason=checked.reason)
            return Status.FAIL_ACCURACY
        del first, result, reference

        report.phase("time")
        # Both are timed on the same tensors: where a copy lies in memory makes it up to a third faster or slower.
        timed = _step(dataclasses.replace(pristine, inputs=subject.inputs), cell, function)
        measured = interleave({EAGER: eager.call, BACKEND: timed.call}, clock, sampling, random.Random(f"{seed} {cell.id}"))
        report.samples(measured.samples)
        eager_latency = statistics.median(measured.seconds(EAGER))
        backend_latency = statistics.median(measured.seconds(BACKEND))
        calls = {name: count for name, _, count in measured.samples}
        report.set(
            speedup=eager_latency / backend_latency,
            abs_latency=backend_latency * 1e3,
            compilation_latency=first_call_seconds - backend_latency if backend.compiles else None,
            eager_latency_seconds=eager_latency,
            backend_latency_seconds=backend_latency,
            samples=len(measured.seconds(BACKEND)),
            eager_calls_per_sample=calls[EAGER],
            backend_calls_per_sample=calls[BACKEND],
        )
        if not measured.complete:
            report.warn(Warn.SHORT_SAMPLES)
        if backend.evidence().columns != evidence.columns:
            report.warn(Warn.RECOMPILED)
        return Status.PASS


def _copy(subject: Subject) -> Subject:
    """A copy that shares no tensor: in-place work of one run must not reach the next."""
    inputs = pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.detach().clone(), subject.inputs)
    return dataclasses.replace(subject, model=copy.deepcopy(subject.model), inputs=inputs)


def _step(subject: Subject, cell: Cell, function: Callable[..., Outputs] | None = None) -> Step:
    """The cell's step of a subject, through ``function`` in place of its model."""
    return make_step(subject.model if function is None else function, subject, mode=cell.mode, precision=cell.precision, device=cell.device)


def _error(results: Results, reference: Results | None) -> float | None:
    """The largest relative error over all groups of results."""
    if reference is None:
        return None
    errors = [relative_error(results[group], reference[group]) for group in reference]
    return max((error for error in errors if error is not None), default=None)


def _seeded(step: Step, seed: int) -> Results:
    """Results of one call, with the same random numbers (dropout) whoever runs it."""
    torch.manual_seed(seed)
    return step.results()


def _reference(subject: Subject, cell: Cell, seed: int, report: Report) -> Results | None:
    """The results in float64, from the same (already rounded) weights and inputs; None, with a warning, where that does not run."""
    exact = _copy(subject)
    try:
        exact.model = exact.model.to(torch.float64)
        exact.inputs = cast_floating(exact.inputs, torch.float64)
        return _seeded(make_step(exact.model, exact, mode=cell.mode, precision="float64", device=cell.device), seed)
    except Exception as error:  # noqa: BLE001  # a workload may object to float64 in any way it likes
        report.warn(Warn.NO_FP64_REFERENCE)
        print(f"no float64 reference: {error}", flush=True)
        return None
