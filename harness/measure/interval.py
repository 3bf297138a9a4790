"""How sure a ratio is: Hodges-Lehmann estimate and signed-rank interval of paired samples. Pure; numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z_95 = 1.959963984540054
"""Quantile 0.975 of the normal distribution."""
FEWEST = 6
"""Pairs without which there is no interval of 95 %: the signed-rank test of fewer cannot reach 5 %."""
EXACT_TO = 30
"""Pairs up to which the statistic's distribution is used itself, beyond them its normal approximation: with six, that has 94 %."""
MOST_AVERAGED = 2000
"""Pairs whose averages are all looked at (2 million); of more, evenly spaced ones."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with the bounds of its 95 % interval."""

    estimate: float
    low: float | None
    high: float | None
    """None where there are too few pairs for an interval."""

    @property
    def width(self) -> float:
        """Relative to the estimate; infinite where there is no interval."""
        return float("inf") if self.low is None or self.high is None else (self.high - self.low) / self.estimate


def ratio_interval(numerators: ArrayLike, denominators: ArrayLike) -> Interval:
    """Ratio of two latencies that were sampled in turn: ``numerators[i]`` and ``denominators[i]`` are of one round; shape (n,), seconds.

    The exponential of the interval of the logarithms' differences: what a round did to both cancels.
    """
    found = difference_interval(np.log(np.asarray(numerators, dtype=np.float64)), np.log(np.asarray(denominators, dtype=np.float64)))
    low, high = (None if bound is None else float(np.exp(bound)) for bound in (found.low, found.high))
    return Interval(estimate=float(np.exp(found.estimate)), low=low, high=high)


def difference_interval(minuends: ArrayLike, subtrahends: ArrayLike) -> Interval:
    """Difference of two values that were sampled in turn; shape (n,), paired as in ``ratio_interval``.

    Estimate: the median of the Walsh averages ``(d_i + d_j) / 2, i <= j`` of the paired differences ``d``. Bounds: the order statistics of
    these averages that the signed-rank test cannot reject at 5 %. Nothing is assumed of the noise but symmetry.

    Sources: Hodges and Lehmann 1963; Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3.3.
    """
    differences = np.asarray(minuends, dtype=np.float64) - np.asarray(subtrahends, dtype=np.float64)
    if len(differences) > MOST_AVERAGED:
        differences = differences[np.linspace(0, len(differences) - 1, MOST_AVERAGED).astype(int)]
    averages = walsh_averages(differences)
    n = len(differences)
    estimate = float(np.median(averages))
    if n < FEWEST:
        return Interval(estimate=estimate, low=None, high=None)
    rank = _rank(n)
    ordered = np.partition(averages, (rank, len(averages) - 1 - rank))
    return Interval(estimate=estimate, low=float(ordered[rank]), high=float(ordered[len(averages) - 1 - rank]))


def _rank(n: int) -> int:
    """How many of the smallest, and of the largest, Walsh averages of n values the interval of 95 % leaves out."""
    if n > EXACT_TO:
        spread = Z_95 * np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return int(np.floor(n * (n + 1) / 4 - spread))
    # The distribution of the signed-rank statistic: each rank is in its sum or is not.
    ways = np.ones(1)
    for each in range(1, n + 1):
        ways = np.pad(ways, (0, each)) + np.pad(ways, (each, 0))
    return int(np.searchsorted(np.cumsum(ways) / 2.0**n, 0.025, side="right")) - 1


def walsh_averages(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(v_i + v_j) / 2`` for all ``i <= j``; shape (n,) -> (n * (n + 1) / 2,)."""
    first, second = np.triu_indices(len(values))
    averages: NDArray[np.float64] = (values[first] + values[second]) / 2
    return averages
