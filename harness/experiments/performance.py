"""Speedup over eager and accuracy against float64, of the same compiled callable in the same process; and what it costs."""

from __future__ import annotations

from harness.cell import Cell, LaunchSpec
from harness.experiments.checking import (
    Checked,
    call_first,
    check,
    compare_calls,
    copy_of,
    reference_of,
    seeded,
    step_of,
    tolerance_of,
    write_diagnostics,
)
from harness.experiments.costs import report_costs
from harness.experiments.steps import surroundings
from harness.experiments.taking import take
from harness.experiments.timing import BACKEND, EAGER, report_timing
from harness.measure.watch import MachineWatch
from harness.protocols import Backend, Clock, Report, Slices, Subject
from harness.records import Status, Warn


class Performance:
    def run(
        self,
        *,
        subject: Subject,
        backend: Backend,
        clock: Clock,
        cell: Cell,
        spec: LaunchSpec,
        load_seconds: float,
        report: Report,
        slices: Slices | None = None,
    ) -> str:
        """Check, then time. What fails its check is not timed: the speed of a wrong result is not a result."""
        report.set(batch_size=subject.batch_size, flops=subject.flops, bytes_moved=subject.bytes_moved)
        checked = check(subject, backend, clock, cell, spec.seed, report)
        if isinstance(checked, str):
            return checked
        report.set(first_result_seconds=load_seconds + checked.prepare_seconds + checked.first_call_seconds)

        report.phase("time")
        watch = MachineWatch(clock.device)
        with surroundings(cell.mode):
            measured = take({EAGER: checked.eager.call, BACKEND: checked.backend.call}, clock, cell, spec, watch, report, slices)
            report_timing(measured, watch, clock, subject, backend, checked, cell, spec, report)
            # Whatever fails from here on, the times are written down.
            report_costs(checked, measured, subject, clock, cell, spec, report)
        self._report_changes(backend, checked, report)
        return Status.PASS

    def _report_changes(self, backend: Backend, checked: Checked, report: Report) -> None:
        """What was compiled after the result was checked."""
        after = backend.evidence()
        if any(after.columns.get(name) != checked.evidence.columns.get(name) for name in ("unique_graphs", "recompiles")):
            report.set(recompiles=after.columns.get("recompiles"))
            write_diagnostics(after, report)
            report.warn(Warn.RECOMPILED)
        for warning in set(after.warnings) - set(checked.evidence.warnings):
            report.warn(warning)

    def again(
        self,
        *,
        subject: Subject,
        backend: Backend,
        clock: Clock,
        cell: Cell,
        spec: LaunchSpec,
        load_seconds: float,
        report: Report,
        slices: Slices | None = None,
    ) -> str:
        """The backend's first call in a process that finds the first one's compile caches; is its result still right?"""
        report.phase("eager")
        pristine = copy_of(subject)
        eager = seeded(step_of(copy_of(pristine), cell), spec.seed, cell.device)
        reference = reference_of(pristine, eager, cell, spec.seed, report)
        clock.synchronize()
        found = call_first(subject, backend, clock, cell, spec.seed, report)
        report.set(
            warm_first_call_seconds=found.seconds,
            warm_compilation_seconds=found.prepare_seconds + found.seconds,
            warm_first_result_seconds=load_seconds + found.prepare_seconds + found.seconds,
            warm_cache_hits=backend.evidence().columns.get("cache_hits"),
        )
        report.phase("check")
        checked = compare_calls(eager, found, reference, backend.tolerance or tolerance_of(subject, cell))
        report.set(reason=checked.reason)
        return Status.PASS if checked.same else Status.FAIL_ACCURACY
