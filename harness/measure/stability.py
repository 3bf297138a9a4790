"""Whether samples are of one kind: modes and drift. Pure; numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MODE_GAP = 0.1
"""Relative distance between two modes: what is closer is noise to whoever decides about a release."""
MODE_SEPARATION = 3.0
"""The gap is this many times as wide as what the values on either side spread over."""
MODE_SHARE = 0.1
"""Fewer values than this share are outliers and no mode."""
FEWEST_VALUES = 4
DRIFT = 0.05
"""Relative change of the level over a cell's samples that is worth a warning."""
DRIFT_NOISE = 4.0
"""... and that many times its own standard error."""


def modes(values: Sequence[float]) -> tuple[float, float] | None:
    """The medians of two modes that positive values fall into, in their unit; None where they are of one kind.

    The widest gap between neighbours in order divides them; it is one between modes where it is wide (``MODE_GAP``), where either side
    has its share of the values, and where neither side is nearly as wide itself.
    """
    if len(values) < FEWEST_VALUES:
        return None
    ordered = np.sort(np.log(np.asarray(values, dtype=np.float64)))
    least = max(1 if len(values) < 2 / MODE_SHARE else 2, round(MODE_SHARE * len(values)))
    gaps = np.diff(ordered)[least - 1 : len(ordered) - least]
    if not len(gaps):
        return None
    cut = int(np.argmax(gaps)) + least
    gap = float(ordered[cut] - ordered[cut - 1])
    sides = ordered[:cut], ordered[cut:]
    widest = max(float(np.quantile(side, 0.9) - np.quantile(side, 0.1)) for side in sides)
    if gap < np.log1p(MODE_GAP) or gap < MODE_SEPARATION * widest:
        return None
    low, high = (float(np.exp(np.median(side))) for side in sides)
    return low, high


def drift(values: Sequence[float]) -> float:
    """Relative change of the level from the first third of the samples to the last; 0 where noise alone can make it."""
    third = len(values) // 3
    if third < FEWEST_VALUES:
        return 0.0
    logs = np.log(np.asarray(values, dtype=np.float64))
    first, last = logs[:third], logs[-third:]
    # Means, not medians: of values that fall into two modes a median is either.
    change = float(np.mean(last) - np.mean(first))
    error = float(np.hypot(np.std(first, ddof=1), np.std(last, ddof=1)) / np.sqrt(third))
    return float(np.expm1(change)) if abs(change) > max(np.log1p(DRIFT), DRIFT_NOISE * error) else 0.0
