"""Does the workload run at all? One call in eager, with nothing in between.

The ancestor (``--nothing``) times eager beside itself; here that is ``performance`` with the backend ``eager``.
"""

from __future__ import annotations

import json

from harness import numerics
from harness.experiments.checking import step_of
from harness.protocols import Bench
from harness.records import Status


class Nothing:
    def run(self, bench: Bench) -> str:
        """No time is told of one call: it has everything in it that happens once."""
        cell, spec, subject, backend, report = bench.cell, bench.spec, bench.subject, bench.backend, bench.report
        report.set(batch_size=subject.batch_size)
        report.phase("eager")
        step = step_of(subject, cell, backend.prepare(subject))
        numerics.seed(spec.seed, cell.device)
        step.run()
        bench.clock.synchronize()
        report.phase("evidence")
        report.set(evidence=json.dumps(backend.evidence().details))
        return Status.PASS
