"""Speedup over eager and accuracy against float64, of the same compiled callable in the same process; and what it costs."""

from __future__ import annotations

import dataclasses
import traceback

from harness.experiments.checking import (
    Checked,
    call_first,
    check,
    compare_calls,
    passed,
    reference_of,
    report_subject,
    seeded,
    step_of,
    tolerance_of,
    without_elements,
    write_diagnostics,
)
from harness.experiments.costs import report_costs
from harness.experiments.loss_scale import settled
from harness.experiments.minify import minify
from harness.experiments.steps import surroundings
from harness.experiments.taking import take
from harness.experiments.timing import BACKEND, EAGER, report_timing
from harness.protocols import Backend, Bench, Report
from harness.records import Status, Warn
from harness.workloads.loading import load_subject
from harness.workloads.subjects import copy_of


class Performance:
    def run(self, bench: Bench) -> str:
        """Check, then time. What fails its check is not timed: the speed of a wrong result is not a result."""
        report = bench.report
        report_subject(bench)
        checked = check(bench)
        if isinstance(checked, str):
            if checked == Status.FAIL_ACCURACY and bench.spec.minify:
                self._minify(bench)
            return checked
        report.set(first_result_seconds=bench.load_seconds + checked.prepare_seconds + checked.first_call_seconds)

        report.phase("time")
        with surroundings(bench.cell.mode):
            measured = take({EAGER: checked.eager.call, BACKEND: checked.backend.call}, bench)
            report_timing(measured, checked, bench)
            # Whatever fails from here on, the times are written down.
            report_costs(measured, checked, bench)
        self._report_changes(bench.backend, checked, report)
        return checked.status

    def _minify(self, bench: Bench) -> None:
        """After the row has all else that is known. The subject is loaded anew: calls may have changed it."""
        try:
            said = minify(load_subject(bench.cell, bench.spec), bench)
        except Exception as error:  # noqa: BLE001  # torch's minifier fails in many ways, and the row stands without it
            traceback.print_exc()
            said = f"torch's minifier failed: {type(error).__name__}"
        bench.report.set(minified=said)

    def _report_changes(self, backend: Backend, checked: Checked, report: Report) -> None:
        """What was compiled after the result was checked."""
        after = backend.evidence()
        if any(after.columns.get(name) != checked.evidence.columns.get(name) for name in ("unique_graphs", "recompiles")):
            report.set(recompiles=after.columns.get("recompiles"))
            write_diagnostics(after, report)
            report.warn(Warn.RECOMPILED)
        for warning in set(after.warnings) - set(checked.evidence.warnings):
            report.warn(warning)

    def again(self, bench: Bench) -> str:
        """The backend's first call in a process that finds the first one's compile caches; is its result still right?"""
        cell, spec, backend, report = bench.cell, bench.spec, bench.backend, bench.report
        report.phase("eager")
        subject = settled(bench.subject, cell, spec.seed)
        pristine = copy_of(subject)
        eager = seeded(step_of(copy_of(pristine), cell), spec.seed, cell.device)
        reference = reference_of(pristine, eager, cell, spec.seed, report)
        bench.clock.synchronize()
        found = call_first(dataclasses.replace(bench, subject=subject))
        report.set(
            warm_first_call_seconds=found.seconds,
            warm_compilation_seconds=found.prepare_seconds + found.seconds,
            warm_first_result_seconds=bench.load_seconds + found.prepare_seconds + found.seconds,
            warm_cache_hits=backend.evidence().columns.get("cache_hits"),
        )
        report.phase("check")
        tolerance = (backend.tolerance or tolerance_of(subject, cell)) if subject.repeats else None
        checked = compare_calls(eager, found, reference, tolerance, without_elements(reference, cell))
        report.set(reason=checked.reason)
        return passed(subject) if checked.same else Status.FAIL_ACCURACY
