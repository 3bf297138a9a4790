"""Numbers as the page has them: sensible digits, a thin space before the unit, nothing for what was not measured. ``static/numbers.js`` says the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeGuard

from reports import format as formats
from reports.gate import wording

THIN = "\u202f"
TIMES = "\u00d7"
MINUS = "\u2212"
SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "\u00b5s"), (1e-9, "ns"))
JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "\u00b5J"), (1e-9, "nJ"))
SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
ABSENT = formats.ABSENT


def ratio(value: float | None, digits: int = 2) -> str:
    """1.95x; ratios of 10 and more have three digits, small ones two at least, as 7.6e-5x below a thousandth."""
    if not _known(value):
        return ABSENT
    if 0 < value < formats.LEAST_WRITTEN_OUT:
        return f"{error(value)}{TIMES}"
    return f"{value:.{formats.decimals(value, digits)}f}{TIMES}" if value < 9.995 else f"{_rounded(value)}{TIMES}"


def change(value: float | None) -> str:
    """Of a ratio, as a signed share: +3.1 %."""
    if not _known(value):
        return ABSENT
    if value >= 10:
        return f"{_rounded(value)}{TIMES}"
    share = 100 * (value - 1)
    text = f"{abs(share):.2f}" if abs(share) < 0.995 else f"{abs(share):.1f}"
    sign = "" if float(text) == 0 else "+" if share > 0 else MINUS
    return f"{sign}{text}{THIN}%"


def duration(value: float | None) -> str:
    """Of something that is timed: three digits in the unit that fits."""
    if not _known(value):
        return ABSENT
    return formats.span(value).replace(" ", THIN) if value >= 120 else _scaled(value, SECONDS)


def joules(value: float | None) -> str:
    return _scaled(value, JOULES) if _known(value) else ABSENT


def per_second(value: float | None) -> str:
    """Of tokens: three digits, and whole above."""
    return f"{_rounded(value) if value < 999.5 else count(value)}{THIN}/s" if _known(value) else ABSENT


def size(value: float | None) -> str:
    if not _known(value):
        return ABSENT
    unit = 0
    while value >= 1023.5 and unit < len(SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f}{THIN}B" if unit == 0 else f"{_rounded(value)}{THIN}{SIZES[unit]}"


def share(value: float | None) -> str:
    return f"{100 * value:.1f}{THIN}%" if _known(value) else ABSENT


def error(value: float | None) -> str:
    if not _known(value):
        return ABSENT
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    power = int(exponent)
    return mantissa if power == 0 else f"{mantissa}e{MINUS if power < 0 else ''}{abs(power)}"


def count(value: float | None) -> str:
    """Whole, in groups of three."""
    return f"{round(value):,}".replace(",", THIN) if _known(value) else ABSENT


def counted(number: int, one: str, many: str = "") -> str:
    """As "1 cell", "2 cells"."""
    return f"{count(number)}{wording.counted(number, one, many).removeprefix(str(number))}"


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _rounded(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if value == 0:
        return f"0{THIN}{units[0][1]}"
    # What rounds up to 1000 of a unit is 1 of the next.
    scale, unit = next(((scale, unit) for scale, unit in units if value >= 0.9995 * scale), units[-1])
    return f"{_rounded(value / scale)}{THIN}{unit}"


BY_UNIT: Mapping[str, Callable[[float | None], str]] = {
    "ratio": ratio,
    "seconds": duration,
    "per_second": per_second,
    "bytes": size,
    "joules": joules,
    "share": share,
    "error": error,
    "calls": count,
    "count": count,
}
"""By the units of ``model.Metric``."""
