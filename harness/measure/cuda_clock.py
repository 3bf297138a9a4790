"""The clock of a CUDA device: device time by events, host time by a wall clock that waits, graph time by replays.

Device time is what the device works, not what Python needs to ask for it: the device is kept asleep until it has been given
the work of a call, so that it does not wait for the host within it. (The method of nvbench's blocking kernel.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch

from harness.measure.clock import COLD, DEVICE, HOT, RESOLUTIONS, WaitingGauge
from harness.measure.transfer import transfer_seconds
from harness.protocols import Call, Gauge, Replay

EVENT_RESOLUTION_SECONDS = 0.5e-6
"""CUDA documents cudaEventElapsedTime with a resolution of around half a microsecond."""
SHORT_CALL_SECONDS = 20e-6
"""Calls below this are timed in batches, and so from a hot cache: a pair of events around each costs 2 us itself, and these are in the
reading (as in that of ``do_bench``). Above it, one call per pair, averaged over as many pairs as it takes to be ``RESOLUTIONS`` times the
resolution."""
MOST_PAIRS = 32
MOST_BATCHED = 500
"""The driver queues about a thousand launches; a call that waits for room would be waited for by the device. A kernel takes a
microsecond at least, so that a batch of ``RESOLUTIONS`` times the resolution has no more launches than this either."""
FLUSHED_CACHES = 2
"""Caches' worth of zeros that are written to flush one."""
LEAST_FLUSH_BYTES = 64 << 20
SLEEP_CYCLES_PER_SECOND = 2e9
"""Cycles that ``torch.cuda._sleep`` counts: at most about this many pass in a second, so that it sleeps no shorter than asked."""
LONGEST_SLEEP_SECONDS = 0.2
SLEEP_FACTOR = 1.5
QUEUED_SECONDS = 0.005
"""Of work in each of the two pieces that ``run`` keeps in the device's queue."""
EventPair = tuple[torch.cuda.Event, torch.cuda.Event]


class DeviceGauge:
    """Device time by events."""

    name = DEVICE
    resolution_seconds = EVENT_RESOLUTION_SECONDS

    def __init__(self, flush: Callable[[], None]) -> None:
        self.cold = True
        self.empty: Call = empty_kernel
        self._flush = flush
        self._events = [(_event(), _event()) for _ in range(MOST_PAIRS)]
        self._enqueue_seconds: dict[Call, float] = {}
        """What the host needs to hand over a call: the least that was seen, since a call that waits for the device waits for its
        sleep too."""
        self._asleep = 0.0

    def time(self, call: Call, calls: int) -> float:
        """Cold: the mean over ``calls`` pairs of events, with a flush before each. Hot: one pair around all of them."""
        self._asleep = SLEEP_FACTOR * self._enqueue_seconds.get(call, 0.0) + 20e-6
        began = time.perf_counter()
        used = self._cold(call, calls) if self.cold else self._hot(call, calls)
        took = (time.perf_counter() - began) / calls
        self._enqueue_seconds[call] = min(took, self._enqueue_seconds.get(call, took))
        used[-1][1].synchronize()
        return float(sum(start.elapsed_time(end) for start, end in used)) * 1e-3 / calls

    def calls(self, one_call: float, minimum: float = 0.0) -> int:
        """``minimum`` is not for this clock: it resolves a sample's sum, however short the calls."""
        wanted = RESOLUTIONS * self.resolution_seconds / max(one_call, self.resolution_seconds)
        return max(1, min(MOST_PAIRS if self.cold else MOST_BATCHED, math.ceil(wanted)))

    def _cold(self, call: Call, calls: int) -> list[EventPair]:
        used = self._events[:calls]
        for start, end in used:
            self._sleep(1)
            self._flush()
            start.record()
            call()
            end.record()
        return used

    def _hot(self, call: Call, calls: int) -> list[EventPair]:
        start, end = self._events[0]
        self._sleep(calls)
        start.record()
        for _ in range(calls):
            call()
        end.record()
        return [(start, end)]

    def _sleep(self, calls: int) -> None:
        """Keep the device asleep while the host hands over the work of so many calls."""
        torch.cuda._sleep(int(min(LONGEST_SLEEP_SECONDS, calls * self._asleep) * SLEEP_CYCLES_PER_SECOND))  # type: ignore[no-untyped-call]


def empty_kernel() -> None:
    torch.cuda._sleep(0)  # type: ignore[no-untyped-call]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class CudaClock:
    device = "cuda"

    def __init__(self, cache: str = COLD) -> None:
        """cache: ``cold`` or ``hot``, the state that is wanted."""
        self._wanted = cache
        self._zeros: torch.Tensor | None = None
        self._device_gauge = DeviceGauge(self._flush)
        self.gauges: tuple[Gauge, ...] = (self._device_gauge, WaitingGauge(torch.cuda.synchronize, self._before))

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def run(self, call: Call, calls: int, one_call_seconds: float) -> None:
        # Two pieces in the queue: the device always has work, and the host waits for it in torch, where other threads may run. Were the
        # queue full, it would wait in a launch instead: inductor's launcher keeps the interpreter's lock there.
        piece = max(1, min(MOST_BATCHED, math.ceil(QUEUED_SECONDS / max(one_call_seconds, 1e-9))))
        earlier = None
        for first in range(0, calls, piece):
            for _ in range(min(piece, calls - first)):
                call()
            event = _event()
            event.record()
            if earlier is not None:
                earlier.synchronize()
            earlier = event
        torch.cuda.synchronize()

    def settle(self, shortest_call_seconds: float, state: str | None) -> str:
        chosen = state or (HOT if self._wanted == HOT or shortest_call_seconds < SHORT_CALL_SECONDS else COLD)
        self._device_gauge.cold = chosen == COLD
        return chosen

    def release(self) -> None:
        self._zeros = None

    def replay(self, call: Call) -> Replay:
        """A CUDA graph of so many calls that a replay is long enough to be timed; its own launch is a small share of it."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # Warm on the capturing stream: libraries take their workspaces per stream, and may not do so while capturing.
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        # From a cold cache only a single call is cold throughout.
        calls = 1 if self._device_gauge.cold else self._device_gauge.calls(self._device_gauge.time(call, 1))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(calls):
                call()
        replay = graph.replay
        replays = self._device_gauge.calls(self._device_gauge.time(replay, 1)) if self._device_gauge.cold else 1
        return Replay(seconds=lambda: self._device_gauge.time(replay, replays) / calls, calls=replays * calls)

    def transfer_seconds(self, inputs: object, outputs: object) -> float:
        return transfer_seconds(inputs, outputs, self.device, self.synchronize)

    def _before(self) -> None:
        if self._device_gauge.cold:
            self._flush()

    def _flush(self) -> None:
        if self._zeros is None:
            size = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
            self._zeros = torch.empty(max(LEAST_FLUSH_BYTES, FLUSHED_CACHES * size), dtype=torch.uint8, device="cuda")
        self._zeros.zero_()
