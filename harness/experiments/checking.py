"""Is the backend's result right? Checked on the very callable that is timed afterwards."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch.utils import _pytree as pytree

from harness import numerics
from harness.cell import Cell, Terms
from harness.experiments.kept_outputs import fingerprint, report_outputs, wants_outputs
from harness.experiments.loss_scale import settled
from harness.experiments.sparing import spared
from harness.experiments.steps import Step, as_it_is, make_step, results
from harness.failures import is_out_of_memory
from harness.measure.accuracy import COSINE_LIMIT, Comparison, compare_forms, compare_groups, default_tolerance, relative_error
from harness.protocols import Backend, Bench, Evidence, Outputs, Report, Results, RunsWholeCalls, Subject, Tolerance, Unsupported
from harness.records import BY_FORM, Status, Warn
from harness.workloads.subjects import cast_floating, copy_of

OTHER_NUMBERS = (
    "; the workload draws random numbers, and what compiles may draw others than eager: inductor draws eager's with "
    "--torch-config inductor.fallback_random=true"
)
IMPLAUSIBLE_ERROR = 0.3
"""Of an output of eager against float64, relative: no rounding makes it."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What passed, ready to be timed."""

    eager: Step
    backend: Step
    """Runs on eager's inputs."""
    function: Callable[..., Outputs]
    """What the backend has prepared."""
    subject: Subject
    """Whose model that is of, with eager's inputs."""
    evidence: Evidence
    prepare_seconds: float
    first_call_seconds: float
    status: str


def report_subject(bench: Bench) -> None:
    """What is known of the workload before it runs."""
    subject = bench.subject
    bench.report.set(
        batch_size=subject.batch_size,
        flops=subject.flops,
        bytes_moved=subject.bytes_moved,
        tokens=subject.tokens,
        recorded_calls=subject.recorded_calls,
    )


def check(bench: Bench, *, reference_must_fit: bool = False) -> Checked | str:
    """Eager twice, float64, the backend: what may be timed, or the status of what may not.

    reference_must_fit: where float64 does not fit into memory, that is raised; else results are then compared without it.
    """
    cell, seed, subject, backend, report = bench.cell, bench.spec.seed, bench.subject, bench.backend, bench.report
    tolerance = backend.tolerance or tolerance_of(subject, cell)
    _report_rule(bench, tolerance, cosine=tolerance.cosine)

    report.phase("eager")
    subject = settled(subject, cell, seed)
    report.set(loss_scale=subject.loss_scale)
    pristine = copy_of(subject)
    drawn = fingerprint(subject) if wants_outputs(bench.spec) else ""
    eager = step_of(subject, cell)
    first = seeded(eager, seed, cell.device)
    draws = numerics.has_drawn(seed, cell.device)
    if not any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(first["outputs"])):
        raise Unsupported("the workload returns no tensor: there is nothing to compare, and so nothing that could be right")
    second = seeded(step_of(copy_of(pristine), cell), seed, cell.device)
    repeated = compare_groups(first, second, None, tolerance_of(subject, cell))
    if subject.repeats and not repeated.same:
        report.set(reason=f"two runs of eager differ: {repeated.reason}")
        return Status.EAGER_TWO_RUNS_DIFFER
    del second

    report.phase("reference")
    reference = reference_of(pristine, first, cell, seed, report, must_fit=reference_must_fit)

    # From here on ``pristine`` is the backend's: its model is in the state that eager's was in before its first call.
    first_call = call_first(dataclasses.replace(bench, subject=pristine))
    report.set(first_call_seconds=first_call.seconds)

    report.phase("evidence")
    evidence = backend.evidence()
    report.set(**evidence.columns, evidence=json.dumps(evidence.details, sort_keys=True, default=str))
    write_diagnostics(evidence, report)
    for warning in evidence.warnings:
        report.warn(warning)
    if evidence.columns.get("graph_breaks"):
        report.warn(Warn.GRAPH_BREAKS)

    if drawn and (bench.ranks is None or bench.ranks.rank == 0):
        with spared("outputs", report):
            found = first_call.results if first_call.final_results is None else first_call.final_results
            report_outputs(found, reference, drawn, tolerance if subject.repeats else None, bench)

    report.phase("check")
    report.set(eager_error=_error(first, reference), backend_error=_error(first_call.results, reference))
    by_direction = without_elements(reference, cell)
    if by_direction:
        _report_rule(bench, tolerance, cosine=True)
    checked = compare_calls(first, first_call, reference, tolerance if subject.repeats else None, by_direction)
    if not checked.same:
        report.set(reason=checked.reason + (OTHER_NUMBERS if draws else ""))
        return Status.FAIL_ACCURACY
    # Both are timed on the same tensors: where a copy lies in memory makes it up to a third faster or slower. On an XLA device what one
    # of them changes in place moves, and leaves the other with memory that is freed.
    if not (cell.device == "xla" and cell.mode == "training"):
        share_tensors(pristine.model, subject.model)
    compiled = dataclasses.replace(pristine, inputs=subject.inputs)
    backend_step = step_of(compiled, cell, first_call.function, backend)
    if bench.ranks is not None:
        if bench.ranks.rank > 0:
            bench.ranks.follow((eager.call, backend_step.call))
        eager.call, backend_step.call = (bench.ranks.led(step.call, number) for number, step in enumerate((eager, backend_step)))
    return Checked(
        eager=eager,
        backend=backend_step,
        function=first_call.function,
        subject=compiled,
        evidence=evidence,
        prepare_seconds=first_call.prepare_seconds,
        first_call_seconds=first_call.seconds,
        status=passed(subject),
    )


def _report_rule(bench: Bench, tolerance: Tolerance, *, cosine: bool) -> None:
    """By which results are compared."""
    if not bench.subject.repeats:
        bench.report.set(compared_by=BY_FORM, reason=bench.spec.terms.get(bench.cell.id, Terms()).reason)
    elif cosine:
        bench.report.set(compared_by="cosine", tolerance=1 - COSINE_LIMIT)
    else:
        bench.report.set(compared_by="elements", tolerance=tolerance.absolute_and_relative)


def passed(subject: Subject) -> str:
    """The status of a result with which nothing is wrong that can be checked."""
    return Status.PASS if subject.repeats else Status.PASS_DUE_TO_SKIP


def tolerance_of(subject: Subject, cell: Cell) -> Tolerance:
    return subject.tolerance or default_tolerance(cell.mode, cell.precision)


def without_elements(reference: Results | None, cell: Cell) -> Collection[str]:
    """Groups that are compared by direction and size, as the ancestor does: without float64, of which two roundings of a million values are
    nearer to each other than to the truth nobody can tell, and some are always far apart.
    """
    return ("outputs",) if reference is None and cell.precision != "float32" else ()


def compare_calls(
    eager: Results, first: FirstCall, reference: Results | None, tolerance: Tolerance | None, by_direction: Collection[str] = ()
) -> Comparison:
    """The backend's first call, and the one from which on it runs what is timed. tolerance: None compares nothing but form."""

    def compared(found: Results) -> Comparison:
        return (
            compare_forms(eager, found)
            if tolerance is None
            else compare_groups(eager, found, reference, tolerance, by_direction=by_direction)
        )

    found = compared(first.results)
    if not found.same or first.final_results is None:
        return found
    final = compared(first.final_results)
    return final if final.same else Comparison(same=False, reason=f"not the first call, but a later one: {final.reason}")


def write_diagnostics(evidence: Evidence, report: Report) -> None:
    if evidence.diagnostics:
        report.artifact("compile.json").write_text(json.dumps(evidence.diagnostics, indent=1, default=str), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class FirstCall:
    function: Callable[..., Outputs]
    results: Results
    prepare_seconds: float
    seconds: float
    final_results: Results | None
    """Of the call that is the backend's first one to run what all later ones run; None where that is the first call."""


def call_first(bench: Bench) -> FirstCall:
    """Prepare the backend and make its first call, and those that it takes until calls are what they will be."""
    cell, seed, subject, backend, report = bench.cell, bench.spec.seed, bench.subject, bench.backend, bench.report
    report.phase("prepare")
    began = time.perf_counter()
    function = backend.prepare(dataclasses.replace(subject, model=_spread(subject)))
    step = step_of(subject, cell, function, backend)
    report.phase("first call")
    before = Kept(subject) if backend.calls_until_final > 1 else None
    prepared = time.perf_counter()
    numerics.seed(seed, cell.device)
    started = time.perf_counter()
    outputs = step.run()
    bench.clock.synchronize()
    seconds = time.perf_counter() - started
    found = step.collect(outputs)
    del outputs
    final = _final_results(step, before, backend.calls_until_final - 1, seed, cell.device) if before is not None else None
    return FirstCall(function=function, results=found, prepare_seconds=prepared - began, seconds=seconds, final_results=final)


def _final_results(step: Step, before: Kept, calls: int, seed: int, device: str) -> Results:
    """Results of the last of so many further calls, each from the state and with the random numbers of the first."""
    for _ in range(calls - 1):
        before.restore()
        numerics.seed(seed, device)
        step.run()
    before.restore()
    return seeded(step, seed, device)


class Kept:
    """Values of all tensors that calls may change. They are restored in place: what has been captured knows the tensors by address."""

    def __init__(self, subject: Subject) -> None:
        leaves = [*pytree.tree_leaves(subject.inputs), *subject.model.parameters(), *subject.model.buffers()]
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        # An expanded tensor has elements that share memory: no call may write to it, nor can we.
        self._kept = [(tensor, tensor.detach().clone()) for tensor in tensors if torch._debug_has_internal_overlap(tensor) != 1]

    def restore(self) -> None:
        with torch.no_grad():
            for tensor, value in self._kept:
                tensor.copy_(value)


def step_of(subject: Subject, cell: Cell, function: Callable[..., Outputs] | None = None, backend: Backend | None = None) -> Step:
    """The cell's step of a subject, through ``function`` (which ``backend`` has prepared) in place of its model."""
    return make_step(
        _spread(subject) if function is None else function,
        subject,
        mode=cell.mode,
        precision=cell.precision,
        device=cell.device,
        whole=backend.whole if isinstance(backend, RunsWholeCalls) else as_it_is,
    )


def _spread(subject: Subject) -> torch.nn.Module:
    """The model, over ranks where it is one of several."""
    return subject.model if subject.wrap is None else subject.wrap(subject.model)


def seeded(step: Step, seed: int, device: str) -> Results:
    """Results of one call, with the same random numbers (dropout) whoever runs it."""
    numerics.seed(seed, device)
    return results(step)


def share_tensors(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Let ``target`` use the memory of ``source``'s parameters and buffers, where the backend has left them as they were laid out."""
    theirs = {**dict(source.named_parameters()), **dict(source.named_buffers())}
    for name, ours in (*target.named_parameters(), *target.named_buffers()):
        other = theirs.get(name)
        if other is not None and (ours.shape, ours.dtype, ours.device, ours.stride()) == (
            other.shape,
            other.dtype,
            other.device,
            other.stride(),
        ):
            ours.data = other.data


def _error(results: Results, reference: Results | None) -> float | None:
    """The largest relative error over all groups of results."""
    if reference is None:
        return None
    errors = [relative_error(results[group], reference[group]) for group in reference]
    return max((error for error in errors if error is not None), default=None)


def exact_results(subject: Subject, cell: Cell, seed: int) -> Results:
    """In float64, from the same (already rounded) weights and inputs. Raises whatever a workload raises that does not run in it."""
    exact = copy_of(subject)
    # Not every device of XLA has float64, and there is no reason to have a reference from what is to be checked.
    device = "cpu" if cell.device == "xla" else cell.device
    exact.model = exact.model.to(device, torch.float64)
    exact.inputs = cast_floating(pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), exact.inputs), torch.float64)
    return seeded(make_step(exact.model, exact, mode=cell.mode, precision="float64", device=device), seed, device)


def reference_of(subject: Subject, eager: Results, cell: Cell, seed: int, report: Report, *, must_fit: bool = False) -> Results | None:
    """The results in float64; None, with a warning, where there is no such thing.

    A workload may not run in float64, or draw other random numbers there: then eager is as far from it as anything wrong would be.
    """
    try:
        reference = exact_results(subject, cell, seed)
        error = relative_error(eager["outputs"], reference["outputs"])
    except Exception as failure:  # a workload may object to float64 in any way it likes
        if must_fit and is_out_of_memory(failure):
            raise
        report.warn(Warn.NO_FP64_REFERENCE)
        print(f"no float64 reference: {failure}", flush=True)
        return None
    if error is not None and error > IMPLAUSIBLE_ERROR:
        report.warn(Warn.NO_FP64_REFERENCE)
        print(f"no float64 reference: eager differs from it by {error:.2g} of its size, as by other random numbers", flush=True)
        return None
    # Of gradients it is rounding: of what autocast loses, or of sums that cancel.
    if (_error(eager, reference) or 0.0) > IMPLAUSIBLE_ERROR:
        report.warn(Warn.EAGER_INEXACT)
    return reference
