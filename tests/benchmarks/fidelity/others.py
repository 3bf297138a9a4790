"""Other instruments: those that people would use without this harness."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils import benchmark

from harness.measure.clock import DEVICE, HOST
from harness.protocols import Call, Clock

NAMES: Mapping[tuple[str, str], str] = {
    ("cpu", HOST): "torch.utils.benchmark Timer.adaptive_autorange",
    ("cuda", HOST): "a loop that waits after each call",
    ("cuda", DEVICE): "triton.testing.do_bench",
}
"""By device and clock."""
LOOP_CALLS = 200
WARM_CALLS = 10


def timer(call: Call) -> benchmark.Timer:
    """With as many threads as there are now: by itself it would take one."""
    return benchmark.Timer(stmt="call()", globals={"call": call}, num_threads=torch.get_num_threads())


def timer_seconds(call: Call) -> float:
    return float(timer(call).adaptive_autorange().median)


def do_bench_seconds(call: Call) -> float:
    """Device time, from a cold cache: it writes zeros before each call."""
    testing: Any = importlib.import_module("triton.testing")
    return float(testing.do_bench(call, return_mode="median")) * 1e-3


def loop_seconds(call: Call, *, cold: bool, flush_bytes: int, calls: int = LOOP_CALLS) -> float:
    """Host time: the median of single calls, each waited for."""
    zeros = torch.empty(flush_bytes, dtype=torch.uint8, device="cuda")
    for _ in range(WARM_CALLS):
        call()
    taken = []
    for _ in range(calls):
        if cold:
            zeros.zero_()
        torch.cuda.synchronize()
        started = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def flush_bytes(clock: Clock) -> int:
    """Of the buffer by which our clock flushes the cache."""
    zeros = getattr(clock, "_zeros", None)
    assert isinstance(zeros, torch.Tensor)
    return zeros.numel()
