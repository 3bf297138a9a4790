"""Does the workload run at all? One call in eager, with nothing in between.

The ancestor (``--nothing``) times eager beside itself; here that is ``performance`` with the backend ``eager``.
"""

from __future__ import annotations

import json

from harness import numerics
from harness.cell import Cell, LaunchSpec
from harness.experiments.checking import step_of
from harness.protocols import Backend, Clock, Report, Slices, Subject
from harness.records import Status


class Nothing:
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
        """No time is told of one call: it has everything in it that happens once."""
        report.set(batch_size=subject.batch_size)
        report.phase("eager")
        step = step_of(subject, cell, backend.prepare(subject))
        numerics.seed(spec.seed, cell.device)
        step.run()
        clock.synchronize()
        report.phase("evidence")
        report.set(evidence=json.dumps(backend.evidence().details))
        return Status.PASS
