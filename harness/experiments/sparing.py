"""What may fail without costing the cell more than itself."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

from harness.protocols import Report
from harness.records import Warn


@contextlib.contextmanager
def spared(phase: str, report: Report, *, said: str = "") -> Iterator[None]:
    """said: what the row's reason begins with where it fails; empty: that the phase could not be measured."""
    report.phase(phase)
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a workload, a driver or an allocator can raise
        traceback.print_exc()
        report.warn(Warn.COSTS_INCOMPLETE)
        report.set(reason=f"{said or f'{phase} could not be measured'}: {type(error).__name__}: {error}")
