"""One size of the search for the largest batch that fits into memory (``harness.batch_search``): what later runs measure a workload at.

What fits is what a row of ``performance`` needs in eager: the same check, with its reference in float64.
"""

from __future__ import annotations

from harness.experiments.checking import check, report_subject
from harness.experiments.sizes import own_size
from harness.measure.memory import peak_of
from harness.protocols import Bench


class LargestBatch:
    def run(self, bench: Bench) -> str:
        """The status is OOM where that size does not fit. Raises Unsupported for a workload without a batch dimension."""
        own_size(bench)
        report_subject(bench)
        checked = check(bench, reference_must_fit=True)
        if isinstance(checked, str):
            return checked
        bench.report.phase("peak")
        bench.report.set(eager_peak_beyond_bytes=peak_of(checked.eager.run, bench.cell.device).beyond_bytes)
        return checked.status
