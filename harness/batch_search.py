"""The largest batch that fits: which sizes are tried, and what becomes of a cell by them. Standard library only: the host counts the tries.

Each is tried in a process of its own: what an earlier one has left behind is nothing to the next. The ancestor (``--find-batch-sizes``)
begins at 1024, halves what does not run, whatever the reason, and takes the first that does; here only want of memory, and what a workload says it has
no batch of, makes it smaller, and the gap between what fits and what does not is halved too, a few times.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.files import write_table
from harness.journal import Journal
from harness.records import Status

EXPERIMENT, TRIES = "largest-batch", "tries.csv"
FIRST = 1024
"""The ancestor's."""
REFINEMENTS = 3
"""Halvings of the gap: the batch is at least 7/8 of the largest that would have fitted, where the first try did not and where what fits is the same
each time. On a CPU it is not: the pinned heap keeps what is freed, and its holes depend on which thread was first (seen: a factor of 1.6 at 2 GiB).
"""
COLUMNS = ("batch_size", "fits", "seconds", "peak_beyond_bytes", "status", "reason")
OF_SIZE = ("batch_size", "largest_batch_size", "eager_peak_beyond_bytes")
"""Columns that a size has which fits."""
TOO_LARGE = (Status.OOM, Status.UNSUPPORTED)
"""What a smaller batch may not end as."""


@dataclass(frozen=True, kw_only=True)
class Try:
    """What became of a cell in one process."""

    status: str
    reason: str
    wall_seconds: float
    journal: Journal

    @property
    def passed(self) -> bool:
        return self.status in Status.PASSED


def next_size(first: int, fitted: Mapping[int, bool]) -> int | None:
    """The size to try after these, in their order, of which each fitted or did not; None where the search is over. Pure."""
    if not fitted:
        return first
    fits = [size for size, fit in fitted.items() if fit]
    if not fits:
        last = min(fitted)
        return last // 2 if last > 1 else None
    refinements = len(fitted) - 1 - list(fitted.values()).index(True)
    largest = max(fits)
    beyond = min((size for size, fit in fitted.items() if not fit), default=largest)
    return (largest + beyond) // 2 if beyond - largest >= 2 and refinements < REFINEMENTS else None


def most_tries(first: int | None) -> int:
    return (first or FIRST).bit_length() + REFINEMENTS


def search(first: int | None, attempt: Callable[[int], Try], path: Path) -> Try:
    """What the cell's row is made of: the largest size that fits, or what ended the search. ``path``: the table of the tries."""
    first = first or FIRST
    tries: dict[int, Try] = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    while (size := next_size(first, {tried: each.passed for tried, each in tries.items()})) is not None:
        tries[size] = attempt(size)
        write_table(path, COLUMNS, itertools.starmap(_line, tries.items()))
        if not tries[size].passed and tries[size].status not in TOO_LARGE:
            break
    return dataclasses.replace(_ended(tries, first), wall_seconds=sum(each.wall_seconds for each in tries.values()))


def _ended(tries: Mapping[int, Try], first: int) -> Try:
    size, last = list(tries.items())[-1]
    largest = max((tried for tried, each in tries.items() if each.passed), default=None)
    if largest is None:
        if last.status == Status.UNSUPPORTED:
            return last
        said = f"a batch of {size} does not fit" if last.status == Status.OOM else f"at a batch of {size}"
        return dataclasses.replace(last, reason=f"{said}: {last.reason}")
    found = tries[largest]
    found.journal.fields |= {"batch_size": largest, "largest_batch_size": largest}
    if not last.passed and last.status not in TOO_LARGE:
        # What was found before stays.
        last.journal.fields |= {name: found.journal.fields.get(name) for name in OF_SIZE}
        return dataclasses.replace(last, reason=f"a batch of {largest} fits; at {size}: {last.reason}")
    if len(tries) == 1:
        return dataclasses.replace(
            found, reason=f"the first size that was tried, {first}, fits: a larger one may, too (--first-batch-size)"
        )
    return found


def _line(size: int, tried: Try) -> tuple[object, ...]:
    peak = tried.journal.fields.get("eager_peak_beyond_bytes")
    return size, int(tried.passed), tried.wall_seconds, peak, tried.status, tried.reason
