"""The statistics of gate and page: pure functions over arrays of cells x blocks, for paired differences of logarithms, and for launches that are not paired.

A difference is one block's: the logarithm of the candidate's median sample minus that of the baseline's. Nothing is assumed of the noise but that
it is symmetric about the effect. All work on the last axis, and so on a hundred thousand cells as on one.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Alternative = Literal["greater", "less"]

SIGNED_RANK_EFFICIENCY = 3 / math.pi
"""Of the signed-rank test beside the t-test, for normal noise: it needs this many times fewer blocks' worth of information.

Source: Lehmann 1975, Nonparametrics, 4.3 (Pitman efficiency)."""
POWER = 0.8
"""Of what is called the smallest effect that could have been seen."""


def walsh_averages(differences: ArrayLike) -> Floats:
    """``(d_i + d_j) / 2`` for all ``i <= j``; shape (..., n) -> (..., n (n + 1) / 2)."""
    values = np.asarray(differences, dtype=np.float64)
    first, second = np.triu_indices(values.shape[-1])
    averages: Floats = (values[..., first] + values[..., second]) / 2
    return averages


def hodges_lehmann(differences: ArrayLike) -> Floats:
    """The median of the Walsh averages; shape (..., n) -> (...), in the unit of the differences. Source: Hodges and Lehmann 1963."""
    found: Floats = np.median(walsh_averages(differences), axis=-1)
    return found


@functools.cache
def signed_rank_distribution(n: int) -> Floats:
    """``P(T <= t)`` for t = 0 ... n (n + 1) / 2, of the sum T of the ranks of positive differences where there is no effect; shape (n (n + 1) / 2 + 1,).

    Each rank is in the sum or not, independently, with probability 1/2. Source: Wilcoxon 1945.
    """
    density = np.ones(1)
    for rank in range(1, n + 1):
        density = (np.pad(density, (0, rank)) + np.pad(density, (rank, 0))) / 2
    cumulative: Floats = np.cumsum(density)
    cumulative.flags.writeable = False
    return cumulative


def signed_rank_p(differences: ArrayLike, alternative: Alternative, shift: float | ArrayLike = 0.0) -> Floats:
    """Exact one-sided p-values of the signed-rank test against a centre of ``shift``; shape (..., n) -> (...).

    The statistic is the number of Walsh averages beyond the shift, which is the sum of ranks where there are no ties (Tukey 1949). Averages
    that equal the shift count for neither side: the p-value of tied or equal differences is too large, never too small.
    """
    averages = walsh_averages(differences)
    n = np.shape(differences)[-1]
    centre = np.asarray(shift, dtype=np.float64)[..., None]
    beyond = np.sum(averages > centre if alternative == "greater" else averages < centre, axis=-1)
    cumulative = signed_rank_distribution(n)
    # P(T >= t), by the symmetry of T.
    found: Floats = cumulative[len(cumulative) - 1 - beyond]
    return found


def bound(differences: ArrayLike, level: float, side: Literal["upper", "lower"]) -> Floats:
    """One-sided confidence bound of the centre at ``1 - level``; shape (..., n) -> (...). Infinite where n is too small for the level.

    What the signed-rank test does not reject: an order statistic of the Walsh averages. Source: Hollander, Wolfe and Chicken, Nonparametric Statistical
    Methods, 3.3.
    """
    averages = walsh_averages(differences)
    cumulative = signed_rank_distribution(np.shape(differences)[-1])
    # Of the largest k + 1 sums, k is the last that the test rejects.
    rejected = int(np.searchsorted(cumulative, level * (1 + 1e-12), side="right"))
    sign = 1.0 if side == "upper" else -1.0
    if rejected == 0:
        return np.full(averages.shape[:-1], sign * np.inf)
    position = averages.shape[-1] - rejected if side == "upper" else rejected - 1
    found: Floats = np.partition(averages, position, axis=-1)[..., position]
    return found


@functools.cache
def rank_sum_distribution(m: int, n: int) -> Floats:
    """``P(U <= u)`` for u = 0 ... m n, of the number U of pairs in which one of m values is below one of n, where there is no effect; shape (m n + 1,).

    Source: Mann and Whitney 1947, by the generating function of the Gaussian binomial coefficient.
    """
    ways = np.zeros(m * n + 1)
    ways[0] = 1.0
    for place in range(1, min(m, n) + 1):
        # Times (1 - q^(longer + place)), then over (1 - q^place).
        step = max(m, n) + place
        if step < len(ways):
            ways[step:] -= ways[:-step].copy()
        for first in range(place):
            ways[first::place] = np.cumsum(ways[first::place])
    cumulative: Floats = np.cumsum(ways) / math.comb(m + n, m)
    cumulative.flags.writeable = False
    return cumulative


def pairwise_differences(first: ArrayLike, second: ArrayLike) -> Floats:
    """``second_j - first_i`` for all i and j; shapes (..., m) and (..., n) -> (..., m n). Their median is the Hodges-Lehmann estimate of the shift."""
    before, after = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    differences: Floats = (after[..., None, :] - before[..., :, None]).reshape(*before.shape[:-1], -1)
    return differences


def shift_bound(first: ArrayLike, second: ArrayLike, level: float, side: Literal["upper", "lower"]) -> Floats:
    """One-sided confidence bound at ``1 - level`` of how far the second values lie beyond the first, which are not paired; shapes (..., m), (..., n)
    -> (...). Infinite where they are too few for the level.

    What the rank-sum test does not reject: an order statistic of the pairwise differences. Source: Hollander, Wolfe and Chicken, Nonparametric
    Statistical Methods, 4.3.
    """
    differences = pairwise_differences(first, second)
    cumulative = rank_sum_distribution(np.shape(first)[-1], np.shape(second)[-1])
    rejected = int(np.searchsorted(cumulative, level * (1 + 1e-12), side="right"))
    sign = 1.0 if side == "upper" else -1.0
    if rejected == 0:
        return np.full(differences.shape[:-1], sign * np.inf)
    position = differences.shape[-1] - rejected if side == "upper" else rejected - 1
    found: Floats = np.partition(differences, position, axis=-1)[..., position]
    return found


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values: the family's error stays below a level at which those below it are called significant; shape (k,) -> (k,).

    ``max over j <= i of min(1, (k - j) p_(j))`` for the i-th smallest, counted from 0. Source: Holm 1979.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.minimum(1.0, (len(values) - np.arange(len(values))) * values[order])
    found = np.empty_like(values)
    found[order] = np.maximum.accumulate(adjusted) if len(values) else adjusted
    return found


def fisher_p(failed: ArrayLike, trials: ArrayLike, other_failed: ArrayLike, other_trials: ArrayLike) -> Floats:
    """One-sided p-values of Fisher's exact test that the first share of failures is the larger one; shapes broadcast.

    ``P(X >= failed)`` where all failures of both fall on the trials of both by chance: X is hypergeometric. Source: Fisher 1935.
    """
    first, one, second, two = (np.asarray(values, dtype=np.int64) for values in (failed, trials, other_failed, other_trials))
    found: Floats = np.asarray(stats.hypergeom.sf(first - 1, one + two, first + second, one), dtype=np.float64)
    return found


def spread(differences: ArrayLike) -> Floats:
    """Standard deviation of the differences; shape (..., n) -> (...), n >= 2."""
    found: Floats = np.std(np.asarray(differences, dtype=np.float64), axis=-1, ddof=1)
    return found


def detectable_effect(deviation: ArrayLike, blocks: int, level: float, power: float = POWER) -> Floats:
    """The smallest centre that ``blocks`` differences with this standard deviation show at ``level`` with ``power``; infinite where no result of so
    few blocks could. Same shape and unit as ``deviation``.

    ``(z_level + z_power) deviation / sqrt(efficiency blocks)``. Source: Noether 1987, with the efficiency of normal noise.
    """
    if blocks < fewest_blocks(level):
        return np.full(np.shape(deviation), np.inf)
    quantiles = stats.norm.isf(level) + stats.norm.ppf(power)
    found: Floats = quantiles * np.asarray(deviation, dtype=np.float64) / math.sqrt(SIGNED_RANK_EFFICIENCY * blocks)
    return found


def blocks_needed(deviation: ArrayLike, effect: ArrayLike, level: float, power: float = POWER) -> NDArray[np.int64]:
    """How many blocks show ``effect`` at ``level`` with ``power``; the inverse of ``detectable_effect``. Shapes broadcast."""
    quantiles = stats.norm.isf(level) + stats.norm.ppf(power)
    ratio = quantiles * np.asarray(deviation, dtype=np.float64) / np.asarray(effect, dtype=np.float64)
    found: NDArray[np.int64] = np.maximum(np.ceil(ratio**2 / SIGNED_RANK_EFFICIENCY), fewest_blocks(level)).astype(np.int64)
    return found


def fewest_blocks(level: float) -> int:
    """Blocks without which no result is significant: ``2^-n <= level``."""
    return math.ceil(-math.log2(level) - 1e-12)


def share_interval(hits: int, trials: int, level: float = 0.05) -> tuple[float, float]:
    """Clopper-Pearson interval of a share, at ``1 - level``; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    found = stats.binomtest(hits, trials).proportion_ci(1 - level, method="exact")
    return float(found.low), float(found.high)
