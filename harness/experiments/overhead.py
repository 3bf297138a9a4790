"""What dynamo costs by itself: a call through it beside the same call in eager, with a compiler that leaves the graphs as they are.

The ancestor (``--overhead``) takes the medians' ratio alone. Here the rounds stay paired, so that ratio and difference have intervals, and
the guards are counted; the result is checked first, as everything is that is timed.
"""

from __future__ import annotations

from harness.experiments.checking import check, report_subject
from harness.experiments.compiling import guards
from harness.experiments.steps import surroundings
from harness.experiments.taking import take
from harness.experiments.timing import BACKEND, EAGER, report_timing
from harness.measure.clock import HOST
from harness.measure.interval import difference_interval
from harness.protocols import Bench
from harness.records import Status


class Overhead:
    """Of dynamo's backend ``eager``."""

    def run(self, bench: Bench) -> str:
        """``speedup`` is below 1 by what dynamo costs; ``overhead_seconds`` is the same in seconds per call, on the host's clock."""
        report = bench.report
        report_subject(bench)
        checked = check(bench)
        if isinstance(checked, str):
            return checked
        report.set(guards=guards())

        report.phase("time")
        with surroundings(bench.cell.mode):
            measured = take({EAGER: checked.eager.call, BACKEND: checked.backend.call}, bench)
            report_timing(measured, checked, bench)
        # Of the host: guards are its work, and what a GPU does is the same with and without them.
        found = difference_interval(*(measured.seconds(variant, HOST) for variant in (BACKEND, EAGER)))
        report.set(overhead_seconds=found.estimate, overhead_seconds_low=found.low, overhead_seconds_high=found.high)
        return Status.PASS
