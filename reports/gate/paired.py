"""Paired differences of many cells at once, each with as many blocks as it has. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.gate.procedure import Procedure
from reports.statistics import Floats, bound, hodges_lehmann, signed_rank_p


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Arrays are (cells,); NaN for cells without differences."""

    blocks: NDArray[np.int64]
    estimate: Floats
    """Of the logarithm of the ratio."""
    low: Floats
    """Bounds of the two-sided interval at ``1 - 2 alpha``."""
    high: Floats
    harmless_below: Floats
    """The bound by which a cell is equivalent."""
    p_slower: Floats
    """One-sided, not adjusted."""
    p_faster: Floats


def paired(differences: Floats, procedure: Procedure) -> Paired:
    """differences: shape (cells, blocks), NaN where there is none, in any place."""
    cells = len(differences)
    estimate, low, high, harmless, slower, faster = (np.full(cells, np.nan) for _ in range(6))
    for group, values in by_count(differences):
        estimate[group] = hodges_lehmann(values)
        low[group], high[group] = bound(values, procedure.alpha, "lower"), bound(values, procedure.alpha, "upper")
        harmless[group] = bound(values, procedure.bound_level, "upper")
        slower[group], faster[group] = signed_rank_p(values, "greater"), signed_rank_p(values, "less")
    return Paired(
        blocks=np.sum(np.isfinite(differences), axis=-1),
        estimate=estimate,
        low=low,
        high=high,
        harmless_below=harmless,
        p_slower=slower,
        p_faster=faster,
    )


def by_count(values: Floats, least: int = 1) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """Rows with equally many numbers together: (which rows, their numbers in order); shapes (k,) and (k, n), n >= ``least``."""
    there = np.isfinite(values)
    counts = np.sum(there, axis=-1)
    for count in np.unique(counts[counts >= least]):
        group = np.flatnonzero(counts == count)
        yield group, values[group][there[group]].reshape(len(group), count)


def medians(values: Floats) -> Floats:
    """Of the numbers of each row, NaN where it has none; shape (cells, blocks) -> (cells,)."""
    found = np.full(len(values), np.nan)
    for group, numbers in by_count(values):
        found[group] = np.median(numbers, axis=-1)
    return found


def deviations(values: Floats) -> Floats:
    """Standard deviation of the numbers of each row, NaN where it has fewer than two; shape (cells, blocks) -> (cells,)."""
    found = np.full(len(values), np.nan)
    for group, numbers in by_count(values, least=2):
        found[group] = np.std(numbers, axis=-1, ddof=1)
    return found


def exponential(logarithm: float) -> float | None:
    """The ratio of a logarithm; None where it is unknown or infinite."""
    return math.exp(logarithm) if math.isfinite(logarithm) else None
