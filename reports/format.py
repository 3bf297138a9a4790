"""Numbers as people read them: with units, and with as many digits as mean something."""

from __future__ import annotations

import math

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
ABSENT = ""
"""What was not measured is shown as nothing, never as 0."""
LEAST_WRITTEN_OUT = 1e-3
"""Of a ratio: below, zeros alone would fill its cell."""


def rounded(value: float, digits: int = 3) -> str:
    """So many significant digits, and never an exponent for what is large: 1000, and not 1e+03."""
    return f"{value:.0f}" if abs(value) >= 10**digits - 0.5 else f"{value:.{digits}g}"


def ratio(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{error(value)}x" if 0 < value < LEAST_WRITTEN_OUT else f"{value:.{decimals(value)}f}x"


def decimals(value: float, least: int = 2) -> int:
    """So many that two digits of a ratio are seen, however small it is."""
    return max(least, 1 - math.floor(math.log10(value))) if value > 0 else least


def duration(seconds: float | None) -> str:
    """Three significant digits in the unit that fits."""
    if seconds is None:
        return ABSENT
    # What rounds up to 1000 of a unit is 1 of the next.
    scale, unit = next(((scale, unit) for scale, unit in UNITS if seconds >= 0.9995 * scale), UNITS[-1])
    return f"{rounded(seconds / scale)} {unit}"


def size(count: int | float | None) -> str:
    if count is None:
        return ABSENT
    value = float(count)
    for unit in SIZES:
        if value < 1024 or unit == SIZES[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable: the last unit always fits")


def percent(share: float | None) -> str:
    return ABSENT if share is None else f"{100 * share:.1f} %"


def error(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.1e}"


def span(seconds: float | None) -> str:
    """How long something took, for people: "42 s", "38 min", "2 h 05 min"."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
