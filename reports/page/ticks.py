"""What is written at the ticks of an axis: as many digits as tell each from its neighbours, and no two alike. Pure.

``static/ticks.js`` is for axes whose ticks are evenly spaced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from reports.page.numbers import SECONDS, THIN, TIMES

CLOSE = 0.05
"""Of a tick: as much may its text be off where the next tick is far away."""
LONG = ((3600.0, "h"), (60.0, "min"))
FROM = 2.0
"""Of a minute or an hour, in which a number is said in it: 90 s is said in seconds."""
Units = Sequence[tuple[float, str]]
UNITS: Mapping[str, Units] = {
    "number": ((1.0, ""),),
    "ratio": ((1.0, TIMES),),
    "seconds": (*((FROM * scale, unit) for scale, unit in LONG), *SECONDS),
}
"""(from where on, unit), largest first; by the units of ``model.Metric``."""
SCALES = {unit: scale for scale, unit in (*LONG, *SECONDS)}


def labelled(ticks: Sequence[float], unit: str = "number") -> list[tuple[float, str]]:
    """(tick, its text). ticks: positive, ascending. unit: of UNITS."""
    return [(tick, _text(tick, _step(ticks, place), UNITS[unit])) for place, tick in enumerate(ticks)]


def _step(ticks: Sequence[float], place: int) -> float:
    """How far it is to the nearest neighbour, and no farther than ``CLOSE``."""
    beside = [*ticks[max(place - 1, 0) : place], *ticks[place + 1 : place + 2]]
    return min([CLOSE * ticks[place], *(abs(other - ticks[place]) for other in beside)])


def _text(tick: float, step: float, units: Units) -> str:
    unit = next((unit for start, unit in units if tick >= start * (1 - 1e-9)), units[-1][1])
    scale = SCALES.get(unit, 1.0)
    # The last digit is less than the step: two that are rounded cannot meet.
    digits = max(0, math.floor(-math.log10(step / scale)) + 1)
    text = f"{tick / scale:.{digits}f}"
    shown = text.rstrip("0").rstrip(".") if digits else text
    return f"{shown}{THIN}{unit}" if unit not in ("", TIMES) else f"{shown}{unit}"
