"""Clocks: one protocol for every backend (``harness.protocols.Clock``)."""

from __future__ import annotations

import itertools
import time

from harness.protocols import Call


class CpuClock:
    """Host time of work that is done when the call returns."""

    def time(self, call: Call, calls: int) -> float:
        # repeat(None, n) is the cheapest loop that Python has; timeit uses it for the same reason.
        repetitions = itertools.repeat(None, calls)
        start = time.perf_counter_ns()
        for _ in repetitions:
            call()
        return (time.perf_counter_ns() - start) * 1e-9 / calls

    def synchronize(self) -> None:
        pass
