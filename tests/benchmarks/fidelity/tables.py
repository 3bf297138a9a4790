"""Tables of Markdown, the numbers in them, and when a number is near enough. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NOTHING = ""
"""What was not measured is an empty field."""
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


@dataclass(frozen=True, kw_only=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    """Sentences that follow the table: totals, and what was left out."""


def markdown(table: Table) -> str:
    """Columns that are empty in every row are left out."""
    kept = [index for index in range(len(table.columns)) if not table.rows or any(row[index] for row in table.rows)]
    lines = [f"### {table.title}", ""] if table.title else []
    lines.append(_line([table.columns[index] for index in kept]))
    lines.append(_line(["---"] * len(kept)))
    lines.extend(_line([row[index] for index in kept]) for row in table.rows)
    for note in table.notes:
        lines.extend(["", note])
    return "\n".join(lines) + "\n"


def _line(fields: Sequence[str]) -> str:
    return "| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |"


def seconds(value: float | None) -> str:
    """Four digits, in the unit that fits."""
    if value is None:
        return NOTHING
    factor, unit = next(((factor, unit) for factor, unit in UNITS if abs(value) >= factor), UNITS[-1])
    return f"{value / factor:.4g} {unit}"


def percent(share: float | None, digits: int = 2) -> str:
    """share: 1 is all."""
    return NOTHING if share is None else f"{100 * share:.{digits}f} %"


def ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}"


def yes(value: bool | None) -> str:
    """``NO`` is to be seen from afar; None: the question does not arise."""
    return NOTHING if value is None else "yes" if value else "**NO**"


def how_many(answers: Iterable[bool]) -> str:
    """``3 of 4``."""
    found = list(answers)
    return f"{sum(found)} of {len(found)}"


def near(wanted: float, reported: float, *, share: float, least: float = 0.0) -> bool:
    """Whether the error is within that share of what is wanted, or within ``least``, in its unit."""
    return abs(reported - wanted) <= max(share * wanted, least)


def between(value: float, low: float | None, high: float | None) -> bool:
    """Whether an interval covers a value; one that is not there covers nothing."""
    return low is not None and high is not None and low <= value <= high


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what is there."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def spread(values: Iterable[float | None]) -> float | None:
    """``(largest - smallest) / median``; None of fewer than two."""
    known = [value for value in values if value is not None]
    return (max(known) - min(known)) / statistics.median(known) if len(known) > 1 else None
