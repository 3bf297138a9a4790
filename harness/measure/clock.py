"""Clocks of the host: one protocol for every backend (``harness.protocols.Clock``)."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable

from harness.protocols import Call, Gauge

HOST, DEVICE, GRAPH = "host", "device", "graph"
COLD, HOT, AS_FOUND = "cold", "hot", ""
RESOLUTIONS = 1000
"""A sample is at least this many times as long as its clock can tell: 0.1 % of it is the clock's."""
LEAD_NANOSECONDS = 1_000_000
"""Of untimed calls before a waiting clock's sample; one at least. Without them a call of 0.2 ms on an H200 read 4 % too long."""
WAITED_CALLS = 8
"""What comes before a call that is waited for can take longer than the call: at most so many, where the clock itself needs fewer. Single
calls of 0.2 ms on an H200 had medians that differed by 25 % between rounds."""
EMPTY_CALLS = 20_000
MAXIMUM_CALLS = 1_000_000


class HostGauge:
    """Wall time of work that is done when the call returns."""

    name = HOST

    def __init__(self) -> None:
        self.resolution_seconds = resolution_seconds()
        self.empty: Call = nothing

    def time(self, call: Call, calls: int) -> float:
        # repeat(None, n) is the cheapest loop that Python has; timeit uses it for the same reason.
        repetitions = itertools.repeat(None, calls)
        start = time.perf_counter_ns()
        for _ in repetitions:
            call()
        return (time.perf_counter_ns() - start) * 1e-9 / calls

    def calls(self, one_call: float, minimum: float) -> int:
        return calls_for(max(minimum, RESOLUTIONS * self.resolution_seconds), one_call)


class WaitingGauge:
    """Wall time of work that goes on after the call has returned: each call is waited for, as somebody who needs its result does."""

    name = HOST

    def __init__(self, wait: Callable[[], None], before: Callable[[], None]) -> None:
        """wait: returns when the device has done what it was given; before: what is done before each call, unseen by the clock."""
        self.resolution_seconds = resolution_seconds()
        self.empty: Call = nothing
        self._wait = wait
        self._before = before

    def time(self, call: Call, calls: int) -> float:
        # Not timed: what ran before is another variant's or another clock's, and has left the processor's caches cold for this one.
        led = time.perf_counter_ns() + LEAD_NANOSECONDS
        self._nanoseconds(call)
        while time.perf_counter_ns() < led:
            self._nanoseconds(call)
        return sum(self._nanoseconds(call) for _ in range(calls)) * 1e-9 / calls

    def _nanoseconds(self, call: Call) -> int:
        wait = self._wait
        self._before()
        wait()
        start = time.perf_counter_ns()
        # Held until it has been waited for: XLA computes nothing that nobody holds. Freeing it is not timed.
        result = call()
        wait()
        taken = time.perf_counter_ns() - start
        del result
        return taken

    def calls(self, one_call: float, minimum: float) -> int:
        return max(calls_for(RESOLUTIONS * self.resolution_seconds, one_call), min(WAITED_CALLS, calls_for(minimum, one_call)))


class HostTimed:
    """What clocks without a clock of the device's own have in common: caches as they are, nothing held there, nothing to replay."""

    def synchronize(self) -> None:
        pass

    def run(self, call: Call, calls: int, one_call_seconds: float) -> None:
        for _ in range(calls):
            call()
        self.synchronize()

    def settle(self, shortest_call_seconds: float, state: str | None) -> str:
        return AS_FOUND

    def release(self) -> None:
        pass

    def replay(self, call: Call) -> None:
        return None


class CpuClock(HostTimed):
    """The device is the host: one gauge, and nothing to wait for."""

    device = "cpu"

    def __init__(self, cache: str = AS_FOUND) -> None:
        """cache: a processor's caches are left as they are found, whatever is wanted of a GPU's."""
        self.gauges: tuple[Gauge, ...] = (HostGauge(),)

    def transfer_seconds(self, inputs: object, outputs: object) -> None:
        return None


def resolution_seconds(reads: int = 1000) -> float:
    """The median step between two reads of the wall clock: its tick, or what it costs to read it, whichever is longer."""
    times = [time.perf_counter_ns() for _ in range(reads)]
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(times) if later > earlier)
    return steps[len(steps) // 2] * 1e-9 if steps else 1e-9


def calls_for(seconds: float, one_call: float) -> int:
    """How many calls of ``one_call`` seconds it takes to fill ``seconds``."""
    return max(1, min(MAXIMUM_CALLS, math.ceil(seconds / max(one_call, 1e-9) - 1e-6)))


def nothing() -> None:
    """The empty call: what is left of its time is the instrument's own."""
