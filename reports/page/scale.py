"""Where a number is drawn: logarithmic axes, on which twice as fast is as far from 1 as half as fast. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RATIO_TICKS = (1.005, 1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Ratios that an axis may name, and their inverses."""
APART = 0.25
"""Of the way from 1 to an end: what the text of a tick needs."""
NARROWEST, WIDEST = 1.03, 100.0
"""Ends of an axis of ratios: noise of half a percent is not drawn as large as the page, and one absurd ratio does not hide all others."""
DIGITS = ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0), tuple(1 + step / 10 for step in range(90)))
"""Of ticks between two powers of ten, the roundest first."""
FEWEST_TICKS, MOST_TICKS = 3, 8
ROOM = 1.1
"""Of the logarithm of the farthest number, so that it is not at the very edge."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    low: float
    high: float
    start: float
    """Where ``low`` and ``high`` are, in the drawing's units; ``end`` is less than ``start`` on an axis that goes up."""
    end: float
    named: tuple[float, ...]
    """Numbers with a tick."""

    def place(self, value: float | None) -> float:
        """At the nearest end for what is beyond it; None is an interval without its lower end."""
        if value is None or not value > 0:
            return self.start
        share = (math.log(min(max(value, self.low), self.high)) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return round(self.start + share * (self.end - self.start), 1)

    def upper(self, value: float | None) -> float:
        """``place``, where None is an interval without its upper end."""
        return self.end if value is None else self.place(value)

    def holds(self, value: float | None) -> bool:
        return value is not None and self.low <= value <= self.high


def of_ratios(values: Iterable[float | None], start: float, end: float) -> Axis:
    """Symmetric about 1, and holding these ratios within reason."""
    farthest = max((abs(math.log(value)) for value in values if value is not None and 0 < value < math.inf), default=0.0)
    high = max(math.exp(min(farthest * ROOM, math.log(WIDEST))), NARROWEST)
    chosen = [1.0]
    # From the outside in: how far an axis goes is what a reader asks first.
    for tick in reversed(RATIO_TICKS):
        if tick <= high and all(abs(math.log(tick / other)) > APART * math.log(high) for other in chosen):
            chosen.append(tick)
    return Axis(low=1 / high, high=high, start=start, end=end, named=tuple(sorted({*chosen, *(1 / tick for tick in chosen)})))


def of_amounts(values: Iterable[float], start: float, end: float) -> Axis:
    """Holding these positive numbers, with ticks at 1, 2 and 5 times a power of ten, or at powers alone."""
    found = [value for value in values if 0 < value < math.inf] or [1.0]
    middle, reach = math.sqrt(min(found) * max(found)), max(math.sqrt(max(found) / min(found)), 1.2)
    low, high = middle / reach**ROOM, middle * reach**ROOM
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # The roundest numbers of which there are enough.
    for digits in DIGITS:
        named = [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]
        if len(named) >= FEWEST_TICKS:
            break
    return Axis(low=low, high=high, start=start, end=end, named=_spread(named, math.log(high / low) / MOST_TICKS))


def of_speedups(values: Iterable[float], start: float, end: float) -> Axis:
    """As ``of_amounts``, with 1 on it and with a tick there: what is on its one side is faster than eager, on the other slower."""
    axis = of_amounts([*values, 1.0], start, end)
    ticks = sorted({1.0, *RATIO_TICKS, *(1 / tick for tick in RATIO_TICKS)})
    apart = math.log(axis.high / axis.low) / MOST_TICKS
    above = _spread([tick for tick in ticks if 1 <= tick <= axis.high], apart)
    below = _spread([tick for tick in reversed(ticks) if axis.low <= tick <= 1], apart)
    return dataclasses.replace(axis, named=tuple(sorted({*above, *below})))


def _spread(ticks: Sequence[float], apart: float) -> tuple[float, ...]:
    """The first one, and each that is so far from the last one that was taken: ``apart`` is the logarithm of their ratio."""
    found: list[float] = []
    for tick in ticks:
        if not found or abs(math.log(tick / found[-1])) >= apart:
            found.append(tick)
    return tuple(found)
