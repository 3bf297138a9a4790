"""Samples of several variants, interleaved in random order, so that whatever the machine does meanwhile hits all alike."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.cell import Sampling
from harness.measure.clock import HOT
from harness.measure.garbage import collected
from harness.measure.interval import Interval, ratio_interval
from harness.protocols import Call, Clock, Gauge
from harness.records import Taken

CALIBRATION_TRIALS = 3
LONG_CALL_SECONDS = 0.1
"""Two trials of such calls are enough."""
KEEP_SECONDS = 1.0
"""Between two times that samples are handed on: they survive a timeout."""
CALIBRATION_GROWTH = 4
"""Factor by which the calls of a trial grow until it is long enough to be believed."""
STEADY_READINGS = 5
"""Readings on either side of the comparison that tells whether calls are still getting faster."""
STEADY_CHANGE = 0.02
WARMUP_READING_SECONDS = 1e-3
WARMUP_SHARE = 0.2
"""Of the budget; warming up is given up when it is spent."""
PATIENCE = 4
"""Budgets that the wanted number of rounds may take where calls are long."""
HOPELESS = 3
"""Times the wanted number of rounds, most of them disturbed, after which disturbed ones do."""
LOOKS_GROWTH = 1.25
"""Factor by which rounds grow between two looks at the interval: looking costs time, and more looks stop luckier."""


class Watch(Protocol):
    """Looks at the machine between rounds, outside of what is timed."""

    def begin(self) -> None:
        """Called before the first round."""
        ...

    def mark(self, seconds: float) -> str:
        """What disturbed the round that has just ended and took so many seconds; empty where nothing did."""
        ...

    def end(self) -> None:
        """Called after the last round."""
        ...


@dataclass(frozen=True, kw_only=True)
class Measurement:
    samples: tuple[Taken, ...]
    """In the order taken: rounds of one sample of each variant by each gauge."""
    marks: tuple[str, ...]
    """Of each round."""
    steady: bool
    cache: str
    warmup_seconds: float
    spent: bool
    """The budget ended the sampling."""
    calls: Mapping[tuple[str, str], int]
    """Calls per sample of each (variant, clock)."""
    minimum: int
    """Rounds that were wanted at least."""
    started: float
    """When the first sample was taken, by ``time.monotonic``: their origin of time."""

    def seconds(self, variant: str, clock: str) -> list[float]:
        """One value per round that counts."""
        values = [sample.seconds for sample in self.samples if (sample.variant, sample.clock) == (variant, clock)]
        return [values[index] for index in self.counted]

    @property
    def counted(self) -> list[int]:
        """Rounds that nothing disturbed, where they are enough; else all."""
        return counted(self.marks, self.minimum)

    def ratio(self, numerator: str, denominator: str, clock: str) -> Interval:
        return ratio_interval(self.seconds(numerator, clock), self.seconds(denominator, clock))


def counted(marks: Sequence[str], minimum: int) -> list[int]:
    clean = [index for index, mark in enumerate(marks) if not mark]
    return clean if len(clean) >= minimum else list(range(len(marks)))


def one_call_seconds(call: Call, gauge: Gauge) -> float:
    """How long a call takes, roughly, by a trial that is long enough to tell."""
    calls = 1
    while True:
        # The shortest of some trials: one that was disturbed must not pass for a call that takes long.
        seconds = min(gauge.time(call, calls) for _ in range(2))
        if seconds < LONG_CALL_SECONDS:
            seconds = min(seconds, *(gauge.time(call, calls) for _ in range(CALIBRATION_TRIALS - 2)))
        if calls >= gauge.calls(seconds, 0.0) / 10:
            return seconds
        calls = min(calls * CALIBRATION_GROWTH, gauge.calls(seconds, 0.0))


def warm_up(call: Call, gauge: Gauge, budget_seconds: float, now: Callable[[], float] = time.monotonic) -> bool:
    """Call until calls are not getting faster any more: compilers, autotuners, caches and clocks have done what they do.

    Returns whether that was reached. Calls at least twice; ends when the budget is spent.
    """
    deadline = now() + budget_seconds
    gauge.time(call, 1)
    readings: list[float] = []
    calls = 1
    while True:
        readings.append(gauge.time(call, calls))
        if calls * readings[-1] < WARMUP_READING_SECONDS / 2:
            # Readings of different lengths do not compare.
            calls, readings = calls * CALIBRATION_GROWTH, []
        if len(readings) >= 2 * STEADY_READINGS:
            before, last = readings[-2 * STEADY_READINGS : -STEADY_READINGS], readings[-STEADY_READINGS:]
            if statistics.median(last) >= (1 - STEADY_CHANGE) * statistics.median(before):
                return True
        if now() >= deadline:
            # Too few readings to tell are those of long calls: they are unsteady where the last is the fastest by far.
            return len(readings) < 3 or readings[-1] >= (1 - STEADY_CHANGE) * min(readings[:-1])


def interleave(
    variants: Mapping[str, Call],
    clock: Clock,
    sampling: Sampling,
    order: random.Random,
    *,
    watch: Watch | None = None,
    state: str | None = None,
    keep: Callable[[Sequence[Taken]], None] = lambda _: None,
    now: Callable[[], float] = time.monotonic,
) -> Measurement:
    """Warm up, calibrate, then sample in rounds: each variant once by each of the clock's gauges, in random order.

    Ends when the 95 % interval of the first two variants' ratio, by the clock's first gauge, is as narrow as ``sampling.width``, after
    ``sampling.samples`` rounds at least; or when the budget is spent. state: the cache's, as earlier launches had it. keep: is handed
    the samples as they come, between rounds.
    """
    names = list(variants)
    began = now()
    steady = [warm_up(variants[name], clock.gauges[-1], WARMUP_SHARE * sampling.budget_seconds, now) for name in names]
    rough = {(name, gauge.name): one_call_seconds(variants[name], gauge) for name in names for gauge in clock.gauges}
    first = clock.gauges[0]
    cache = clock.settle(min(rough[name, first.name] for name in names), state)
    if cache == HOT:
        # The clock begins with a cold cache, where it can keep one at all.
        rough = {(name, gauge.name): one_call_seconds(variants[name], gauge) for name in names for gauge in clock.gauges}
    calls = {
        (name, gauge.name): gauge.calls(rough[name, gauge.name], sampling.minimum_sample_seconds)
        for name in names
        for gauge in clock.gauges
    }
    warmed = now()
    samples: list[Taken] = []
    marks: list[str] = []
    spent = False
    kept = 0
    kept_at = now()
    look = sampling.samples
    turns = [(name, gauge) for name in names for gauge in clock.gauges]
    with collected():
        if watch:
            watch.begin()
        started = now()
        while True:
            order.shuffle(turns)
            round_started = now()
            taken = [
                Taken(name, gauge.name, now() - started, gauge.time(variants[name], calls[name, gauge.name]), calls[name, gauge.name])
                for name, gauge in turns
            ]
            mark = watch.mark(now() - round_started) if watch else ""
            samples.extend(sample._replace(mark=mark) for sample in taken)
            marks.append(mark)
            if now() - kept_at >= KEEP_SECONDS:
                keep(samples[kept:])
                kept, kept_at = len(samples), now()
            spent = _is_spent(len(marks), now() - started, sampling)
            if spent:
                break
            if len(marks) >= look and _are_enough(marks, sampling.samples):
                look = max(look + 1, int(len(marks) * LOOKS_GROWTH))
                if _is_narrow(samples, marks, names, first.name, sampling):
                    break
        if watch:
            watch.end()
    keep(samples[kept:])
    return Measurement(
        samples=tuple(samples),
        marks=tuple(marks),
        steady=all(steady),
        cache=cache,
        warmup_seconds=warmed - began,
        spent=spent,
        calls=calls,
        minimum=sampling.samples,
        started=started,
    )


def _is_spent(rounds: int, seconds: float, sampling: Sampling) -> bool:
    if rounds >= sampling.samples:
        return seconds >= sampling.budget_seconds
    return rounds >= sampling.minimum_samples and seconds >= PATIENCE * sampling.budget_seconds


def _are_enough(marks: Sequence[str], wanted: int) -> bool:
    """Enough rounds that nothing disturbed; or so many in all that waiting for better ones is vain."""
    return marks.count("") >= wanted or len(marks) >= HOPELESS * wanted


def _is_narrow(samples: Sequence[Taken], marks: Sequence[str], names: Sequence[str], clock: str, sampling: Sampling) -> bool:
    chosen = counted(marks, sampling.samples)
    values = {name: [sample.seconds for sample in samples if (sample.variant, sample.clock) == (name, clock)] for name in names[:2]}
    one, *others = ([values[name][index] for index in chosen] for name in names[:2])
    return not others or ratio_interval(one, others[0]).width <= sampling.width
