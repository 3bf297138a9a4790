"""Samples of several variants, interleaved in random order, so that whatever the machine does meanwhile hits all alike."""

from __future__ import annotations

import itertools
import math
import operator
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
from harness.protocols import Call, Clock, Gauge, Slices
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
CHECKED_ROUNDS = 5
"""Rounds after which the length of samples is looked at once more."""
TOO_SHORT = 2
"""Times the calls of a sample that it would have taken, from which on it counts as too short."""
MOST_RECALIBRATIONS = 3
LOOKS_GROWTH = 1.25
"""Factor by which rounds grow between two looks at the interval: looking costs time, and more looks stop luckier."""


LEAD_SECONDS = 0.01
"""Of untimed calls before a slice. The threads of a parallel region spin for some milliseconds after its end, each on a processor of its own
(GOMP_SPINCOUNT of GNU's OpenMP): with slices that begin at once, a tenth of each was spent waiting for a processor."""


class Watch(Protocol):
    """Looks at the machine between rounds, outside of what is timed."""

    def begin(self) -> None:
        """Called before the first round."""
        ...

    def mark(self, seconds: float) -> str:
        """What disturbed the round that has just ended and took so many seconds; empty where nothing did."""
        ...

    def pause(self) -> None:
        """Called between two rounds, when others have their turn: what they do is not looked at."""
        ...

    def resume(self) -> None:
        """Called when they have had it."""
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
    slices: tuple[int, ...] = ()
    """Of each round; empty where no turns were taken."""

    def seconds(self, variant: str, clock: str) -> list[float]:
        """One value per round that counts."""
        values = [sample.seconds for sample in self.samples if (sample.variant, sample.clock) == (variant, clock)]
        return [values[index] for index in self.counted]

    def by_slice(self, variant: str, clock: str) -> list[list[float]]:
        """The seconds of every round, disturbed ones too, slice by slice: what disturbs one launch disturbs the others' slices beside it."""
        values = [sample.seconds for sample in self.samples if (sample.variant, sample.clock) == (variant, clock)]
        pairs = zip(self.slices, values, strict=True) if self.slices else ()
        return [[value for _, value in group] for _, group in itertools.groupby(pairs, key=operator.itemgetter(0))]

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
    slices: Slices | None = None,
) -> Measurement:
    """Warm up, calibrate, then sample in rounds: each variant once by each of the clock's gauges, in random order.

    Ends when the 95 % interval of the first two variants' ratio, by the clock's first gauge, is as narrow as ``sampling.width``, after
    ``sampling.samples`` rounds and ``sampling.least_seconds`` at least; or when the budget is spent. state: the cache's, as earlier launches had it. keep: is handed
    the samples as they come, between rounds. slices: turns with other launches, whose time is not that of this one.
    """
    if slices is not None:
        now = slices.now
    began = now()
    steady = [warm_up(call, clock.gauges[-1], WARMUP_SHARE * sampling.budget_seconds, now) for call in variants.values()]
    rough = _rough_seconds(variants, clock)
    cache = clock.settle(min(rough[name, clock.gauges[0].name] for name in variants), state)
    if cache == HOT:
        # The clock begins with a cold cache, where it can keep one at all.
        rough = _rough_seconds(variants, clock)
    rounds = _Rounds(variants, clock, sampling, order, watch, keep, now, rough, slices)
    warmed = now()
    with collected():
        if watch:
            watch.begin()
        spent = rounds.take()
        if watch:
            watch.end()
    return Measurement(
        samples=tuple(rounds.samples),
        marks=tuple(rounds.marks),
        steady=all(steady) and not rounds.too_short(),
        cache=cache,
        warmup_seconds=warmed - began,
        spent=spent,
        calls=rounds.calls,
        minimum=sampling.samples,
        started=rounds.started,
        slices=tuple(rounds.slices),
    )


Turn = tuple[str, str]
"""(variant, clock)."""


class _Rounds:
    """The rounds of one cell: taken, marked, handed on."""

    def __init__(
        self,
        variants: Mapping[str, Call],
        clock: Clock,
        sampling: Sampling,
        order: random.Random,
        watch: Watch | None,
        keep: Callable[[Sequence[Taken]], None],
        now: Callable[[], float],
        rough_seconds: Mapping[Turn, float],
        slices: Slices | None,
    ) -> None:
        self._variants, self._sampling, self._order = variants, sampling, order
        self._watch, self._keep, self._now = watch, keep, now
        self._gauges = {gauge.name: gauge for gauge in clock.gauges}
        self._first = clock.gauges[0].name
        self._rough_seconds = rough_seconds
        self.calls = self._calls_for(rough_seconds)
        self.samples: list[Taken] = []
        self.marks: list[str] = []
        self.slices: list[int] = []
        self._kept = 0
        self._slices, self._slice, self._slice_began = slices, 0, -math.inf
        self.started = now()

    def take(self) -> bool:
        """Until they are enough; whether it was the budget that ended them."""
        sampling, look, recalibrations, kept_at = self._sampling, self._sampling.samples, 0, self._now()
        try:
            while True:
                self._take_turns()
                self._take_round()
                if len(self.marks) == CHECKED_ROUNDS and recalibrations < MOST_RECALIBRATIONS and not self._kept and self.too_short():
                    # What was calibrated was not yet what is sampled: a compiler, or something else that has gone since.
                    recalibrations += 1
                    self.calls = self._calls_for(self._median_seconds())
                    self.samples, self.marks, self.slices = [], [], []
                    continue
                if self._now() - kept_at >= KEEP_SECONDS:
                    self._hand_on()
                    kept_at = self._now()
                if _is_spent(len(self.marks), self._now() - self.started, sampling):
                    return True
                if self._now() - self.started < sampling.least_seconds:
                    continue
                if len(self.marks) >= look and _are_enough(self.marks, sampling.samples):
                    look = max(look + 1, int(len(self.marks) * LOOKS_GROWTH))
                    if self._is_narrow():
                        return False
        finally:
            self._hand_on()

    def too_short(self) -> bool:
        """Whether samples are much shorter than they were to be."""
        wanted = self._calls_for(self._median_seconds())
        return any(wanted[turn] > TOO_SHORT * calls for turn, calls in self.calls.items())

    def _take_turns(self) -> None:
        """Let others have theirs, where there are any and this slice is over."""
        if self._slices is None or self._now() - self._slice_began < self._slices.seconds:
            return
        if self._watch:
            self._watch.pause()
        self._slices.next()
        self._lead()
        if self._watch:
            self._watch.resume()
        self._slice += 1
        self._slice_began = self._now()

    def _lead(self) -> None:
        """Untimed calls until the processor's caches are this launch's again, and the last one's idle threads have gone to sleep."""
        short = {turn: calls for turn, calls in self.calls.items() if calls * self._rough_seconds[turn] < LEAD_SECONDS}
        began = self._now()
        while (left := began + LEAD_SECONDS - self._now()) > 0:
            for (variant, clock), calls in short.items():
                self._gauges[clock].time(self._variants[variant], calls)
            if not short:
                time.sleep(left)

    def _take_round(self) -> None:
        turns = list(self.calls.items())
        self._order.shuffle(turns)
        began = self._now()
        taken = [
            Taken(variant, clock, self._now() - self.started, self._gauges[clock].time(self._variants[variant], calls), calls)
            for (variant, clock), calls in turns
        ]
        mark = self._watch.mark(self._now() - began) if self._watch else ""
        self.samples.extend(sample._replace(mark=mark) for sample in taken)
        self.marks.append(mark)
        if self._slices is not None:
            self.slices.append(self._slice)

    def _hand_on(self) -> None:
        self._keep(self.samples[self._kept :])
        self._kept = len(self.samples)

    def _calls_for(self, seconds: Mapping[Turn, float]) -> dict[Turn, int]:
        minimum = self._sampling.minimum_sample_seconds
        return {(variant, clock): self._gauges[clock].calls(each, minimum) for (variant, clock), each in seconds.items()}

    def _seconds(self, turn: Turn) -> list[float]:
        return [sample.seconds for sample in self.samples if (sample.variant, sample.clock) == turn]

    def _median_seconds(self) -> dict[Turn, float]:
        return {turn: statistics.median(self._seconds(turn)) for turn in self.calls}

    def _is_narrow(self) -> bool:
        chosen = counted(self.marks, self._sampling.samples)
        values = [self._seconds((variant, self._first)) for variant in list(self._variants)[:2]]
        one, *others = ([each[index] for index in chosen] for each in values)
        return not others or ratio_interval(one, others[0]).width <= self._sampling.width


def _rough_seconds(variants: Mapping[str, Call], clock: Clock) -> dict[Turn, float]:
    return {(name, gauge.name): one_call_seconds(call, gauge) for name, call in variants.items() for gauge in clock.gauges}


def _is_spent(rounds: int, seconds: float, sampling: Sampling) -> bool:
    if rounds >= sampling.samples:
        return seconds >= sampling.budget_seconds
    return rounds >= sampling.minimum_samples and seconds >= PATIENCE * sampling.budget_seconds


def _are_enough(marks: Sequence[str], wanted: int) -> bool:
    """Enough rounds that nothing disturbed; or so many in all that waiting for better ones is vain."""
    return marks.count("") >= wanted or len(marks) >= HOPELESS * wanted
