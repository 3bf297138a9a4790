"""How much of a workload dynamo captures: graphs, operators in them of all that run, breaks, and the share of time that is spent in graphs.

The ancestor (``--coverage``) reads all of it off one call under the profiler: outermost events are the operators, and the sum of their times is
the time. Here operators are counted by the dispatcher (a ``linear`` is the two that it calls), the workload's own number in eager, where no
compiler can leave one out; and the time is that of the graphs beside that of the whole call, sampled in turns as in ``performance``, without a
profiler in it. In training, backward and optimizer run outside of the graphs, here as there.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch._dynamo.utils import counters

from harness.backends.dynamo import Dynamo
from harness.cell import Cell
from harness.experiments.checking import check, report_subject
from harness.experiments.steps import surroundings
from harness.experiments.taking import take
from harness.experiments.timing import BACKEND
from harness.files import write_table
from harness.measure.operators import GraphRecorder, OperatorCount
from harness.measure.sampling import Measurement
from harness.protocols import Artifacts, Bench, Call, Evidence, NoEvidence, Outputs, Subject
from harness.records import Status, Warn

GRAPHS = "graphs"
"""Variant of the samples: what a call does in graphs, without what is between them."""


class Captured(Dynamo):
    """Dynamo, with graphs that are recorded and left as they are."""

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        super().__init__(cell, artifact)
        self.recorder = GraphRecorder()

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        compiled: Callable[..., Outputs] = torch.compile(subject.model, backend=self.recorder)
        return compiled

    def evidence(self) -> Evidence:
        """As of any backend of dynamo's; but that nothing could be captured is a finding here, where dynamo has tried."""
        if counters["stats"]["unique_graphs"] == 0 and counters["frames"]["total"] > 0:
            breaks = counters["graph_break"]
            return Evidence(
                columns={"calls_captured": 0, "unique_graphs": 0, "graph_breaks": sum(breaks.values()), "unique_graph_breaks": len(breaks)},
                details={"frames": dict(counters["frames"]), "graph_break_reasons": sorted(breaks)},
            )
        try:
            return super().evidence()
        except NoEvidence:
            raise NoEvidence("dynamo looked at no frame of the workload: nothing is known of what it could capture") from None


class Coverage:
    def run(self, bench: Bench) -> str:
        """The backend gives way to one that records what goes through it; its results are checked as any other's."""
        cell, report = bench.cell, bench.report
        report_subject(bench)
        captured = Captured(cell, report.artifact)
        checked = check(dataclasses.replace(bench, backend=captured))
        if isinstance(checked, str):
            return checked

        report.phase("operators")
        with surroundings(cell.mode):
            with OperatorCount() as eager:
                checked.eager.call()
            graphs = captured.recorder.record(checked.backend.call)
            inside, total = graphs.operators.total(), eager.counts.total()
            report.set(graph_calls=len(graphs.calls), captured_ops=inside, total_ops=total, pct_ops=inside / total if total else None)
            _write_operators(eager.counts, graphs.operators, report.artifact("operators.csv"))
            if not graphs.calls:
                report.set(pct_time=0.0)
                return Status.PASS

            report.phase("time")
            variants = {BACKEND: checked.backend.call, GRAPHS: _as_in_call(graphs.again, cell)}
            measured = take(variants, bench)
        _report_share(measured, bench)
        return Status.PASS


def _as_in_call(call: Call, cell: Cell) -> Call:
    """Autocast is entered by the call, outside of its graphs."""
    if cell.precision != "amp":
        return call

    def in_autocast() -> None:
        with torch.autocast(cell.device):
            call()

    return in_autocast


def _report_share(measured: Measurement, bench: Bench) -> None:
    report = bench.report
    share = measured.ratio(GRAPHS, BACKEND, bench.clock.gauges[0].name)
    report.set(pct_time=share.estimate, pct_time_low=share.low, pct_time_high=share.high)
    if len(measured.marks) < measured.minimum:
        report.warn(Warn.SHORT_SAMPLES)
    if share.width > bench.spec.sampling.width:
        report.warn(Warn.WIDE_INTERVAL)


def _write_operators(eager: Counter[str], captured: Counter[str], path: Path) -> None:
    """By operator, the most frequent first: how often it runs in eager, and in graphs."""
    counts = ((name, eager[name], captured[name]) for name, _ in (eager | captured).most_common())
    write_table(path, ("operator", "eager", "captured"), counts)
