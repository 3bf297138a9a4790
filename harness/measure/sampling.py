"""Samples of several variants, interleaved in random order, so that whatever the machine does meanwhile hits all alike."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.cell import Sampling
from harness.protocols import Call, Clock

CALIBRATION_GROWTH = 4
"""Factor by which the calls of a trial sample grow until it is long enough to be believed."""
CALIBRATION_TRIALS = 3
MAXIMUM_CALLS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Measurement:
    samples: tuple[tuple[str, float, int], ...]
    """(variant, seconds per call, calls) in the order taken."""
    complete: bool
    """False: the time budget ended before the wanted number of samples."""

    def seconds(self, variant: str) -> list[float]:
        return [seconds for name, seconds, _ in self.samples if name == variant]


def calls_per_sample(call: Call, clock: Clock, minimum_seconds: float) -> int:
    """How many calls make a sample of at least ``minimum_seconds``."""
    calls = 1
    while True:
        # The shortest of some trials: one that was disturbed must not pass for a call that takes long.
        total = min(clock.time(call, calls) for _ in range(CALIBRATION_TRIALS)) * calls
        if total >= minimum_seconds or calls >= MAXIMUM_CALLS:
            return calls
        # A trial of a tenth of the wanted length tells the call's duration well enough to jump to the end.
        if total >= minimum_seconds / 10:
            return min(MAXIMUM_CALLS, math.ceil(calls * minimum_seconds / total))
        calls *= CALIBRATION_GROWTH


def interleave(
    variants: Mapping[str, Call],
    clock: Clock,
    sampling: Sampling,
    order: random.Random,
    now: Callable[[], float] = time.monotonic,
) -> Measurement:
    """Take ``sampling.samples`` samples of each variant, one of each per round, in random order within the round.

    Ends early, after at least ``sampling.minimum_samples`` rounds, when the budget is spent. The garbage collector is off
    while samples are taken, as in ``timeit``.
    """
    deadline = now() + sampling.budget_seconds
    for call in variants.values():
        for _ in range(sampling.warmup_calls):
            call()
    clock.synchronize()
    calls = {name: calls_per_sample(call, clock, sampling.minimum_sample_seconds) for name, call in variants.items()}
    samples: list[tuple[str, float, int]] = []
    names = list(variants)
    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for done in range(sampling.samples):
            if done >= sampling.minimum_samples and now() >= deadline:
                return Measurement(samples=tuple(samples), complete=False)
            order.shuffle(names)
            for name in names:
                samples.append((name, clock.time(variants[name], calls[name]), calls[name]))
    finally:
        if collecting:
            gc.enable()
    return Measurement(samples=tuple(samples), complete=True)
