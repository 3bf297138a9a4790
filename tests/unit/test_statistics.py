"""The gate's statistics beside scipy, beside brute force, and beside printed tables."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import (
    blocks_needed,
    bound,
    detectable_effect,
    fewest_blocks,
    hodges_lehmann,
    holm,
    pairwise_differences,
    rank_sum_distribution,
    share_interval,
    shift_bound,
    signed_rank_distribution,
    signed_rank_p,
    walsh_averages,
)

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Differences of heights of maize plants, in eighths of an inch: Darwin 1876, as Fisher 1935 and Hollander and Wolfe print them."""
TABLE = {(5, 0): 1 / 32, (6, 2): 3 / 64, (7, 3): 5 / 128, (10, 10): 43 / 1024, (15, 30): 1550 / 32768}
"""P(T <= t) by (n, t), as the tables of the signed-rank statistic have it."""


@pytest.mark.parametrize(("n", "t"), TABLE)
def test_the_distribution_is_the_printed_one(n: int, t: int) -> None:
    assert signed_rank_distribution(n)[t] == pytest.approx(TABLE[n, t], abs=1e-12)


def test_darwin_s_maize_has_its_known_p() -> None:
    # T+ = 96 of 120: two-sided p = 0.0413.
    assert 2 * float(signed_rank_p(DARWIN, "greater")) == pytest.approx(0.0413, abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_p_values_are_those_of_all_signs(n: int, alternative: str) -> None:
    """By brute force: every assignment of signs is as likely."""
    values = np.random.default_rng(n).normal(0.2, 1.0, n)
    ranks = stats.rankdata(np.abs(values))
    observed = ranks[values > 0].sum() if alternative == "greater" else ranks[values < 0].sum()
    sums = [sum(rank for rank, taken in zip(ranks, signs, strict=True) if taken) for signs in itertools.product((False, True), repeat=n)]
    assert float(signed_rank_p(values, alternative)) == pytest.approx(np.mean([each >= observed for each in sums]))  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [5, 6, 10, 16, 31, 50])
def test_p_values_are_scipy_s_for_every_cell(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1.0, (40, n))
    for alternative in ("greater", "less"):
        expected = stats.wilcoxon(values, axis=1, alternative=alternative, method="exact").pvalue
        np.testing.assert_allclose(signed_rank_p(values, alternative), expected, rtol=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=25))
def test_the_estimate_is_the_median_of_all_averages_of_two(values: list[float]) -> None:
    averages = [(one + other) / 2 for one, other in itertools.combinations_with_replacement(values, 2)]
    assert float(hodges_lehmann(values)) == pytest.approx(statistics.median(averages), abs=1e-9)


def test_equal_values_are_evidence_of_nothing() -> None:
    assert float(signed_rank_p(np.zeros(16), "greater")) == 1.0
    assert float(signed_rank_p(np.zeros(16), "less")) == 1.0
    assert float(hodges_lehmann(np.zeros(16))) == 0.0
    # A tie with the centre counts for neither side: at most as significant as if it fell on the other side.
    values = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert float(signed_rank_p(values, "greater")) >= float(signed_rank_p(values[1:], "greater"))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=24), st.sampled_from([0.05, 0.05 / 3, 0.005]))
def test_a_bound_is_where_the_test_stops_rejecting(values: list[float], level: float) -> None:
    upper, lower = float(bound(values, level, "upper")), float(bound(values, level, "lower"))
    if len(values) < fewest_blocks(level):
        assert (lower, upper) == (-math.inf, math.inf)
        return
    assert float(signed_rank_p(values, "less", upper + 1e-9)) <= level
    assert float(signed_rank_p(values, "less", upper - 1e-9)) > level or upper == lower
    assert upper == -float(bound([-each for each in values], level, "lower"))


def test_bounds_cover_as_often_as_they_say() -> None:
    values = np.random.default_rng(7).standard_t(3, (40_000, 10))
    missed = float(np.mean(bound(values, 0.05, "upper") < 0))
    # 43 of 1024 is the exact level that ten blocks can have.
    assert missed == pytest.approx(43 / 1024, abs=0.004)


def test_walsh_averages_of_many_cells_are_those_of_each() -> None:
    values = np.random.default_rng(3).normal(size=(4, 5, 7))
    assert walsh_averages(values).shape == (4, 5, 28)
    np.testing.assert_array_equal(hodges_lehmann(values)[2, 3], hodges_lehmann(values[2, 3]))


def test_holm_s_adjustment_is_that_of_a_printed_example() -> None:
    # statsmodels.stats.multitest.multipletests([...], method="holm") and R's p.adjust say the same.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([]).shape == (0,)
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_rejects_what_stepping_down_rejects(p_values: list[float]) -> None:
    rejected = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] * (len(p_values) - step) > 0.05:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(holm(p_values)) if p <= 0.05} == rejected


def test_what_could_be_seen_is_seen_as_often_as_said() -> None:
    blocks, level = 16, 0.05
    effect = float(detectable_effect(1.0, blocks, level))
    values = np.random.default_rng(11).normal(effect, 1.0, (20_000, blocks))
    assert float(np.mean(signed_rank_p(values, "greater") <= level)) == pytest.approx(0.8, abs=0.06)
    assert int(blocks_needed(1.0, effect, level)) == blocks
    assert math.isinf(float(detectable_effect(1.0, 4, level)))


def test_shares_have_their_exact_interval() -> None:
    # Clopper and Pearson 1934; as R's binom.test(0, 20) prints it.
    low, high = share_interval(0, 20)
    assert low == 0.0
    assert high == pytest.approx(0.1684, abs=5e-5)
    assert share_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 4), (5, 5), (2, 9), (8, 6)])
def test_the_distribution_of_rank_sums_is_that_of_all_orders(m: int, n: int) -> None:
    counts = np.zeros(m * n + 1)
    for places in itertools.combinations(range(m + n), m):
        counts[sum(place - index for index, place in enumerate(places))] += 1
    np.testing.assert_allclose(rank_sum_distribution(m, n), np.cumsum(counts) / math.comb(m + n, m), rtol=1e-12)


def test_large_rank_sums_end_at_one() -> None:
    found = rank_sum_distribution(40, 35)
    assert found[-1] == pytest.approx(1.0)
    assert np.all(np.diff(found) >= -1e-12)


@pytest.mark.parametrize(("m", "n"), [(5, 5), (6, 4), (8, 12)])
def test_a_shift_s_bounds_are_what_the_rank_sum_test_does_not_reject(m: int, n: int) -> None:
    generator = np.random.default_rng(m * n)
    first, second = generator.normal(0, 1, m), generator.normal(0.7, 1, n)
    lower, upper = shift_bound(first, second, 0.05, "lower"), shift_bound(first, second, 0.05, "upper")
    for edge, alternative, touch in ((float(lower), "greater", 1e-9), (float(upper), "less", -1e-9)):
        inside, outside = (
            stats.mannwhitneyu(second - edge - sign * touch, first, alternative=alternative, method="exact").pvalue for sign in (1, -1)
        )
        assert inside > 0.05 >= outside


def test_a_shift_s_bounds_cover_it_as_often_as_they_say() -> None:
    generator = np.random.default_rng(9)
    first, second = generator.standard_t(3, (4000, 6)), generator.standard_t(3, (4000, 7)) + 0.5
    low, high = shift_bound(first, second, 0.05, "lower"), shift_bound(first, second, 0.05, "upper")
    assert np.mean(low > 0.5) <= 0.06
    assert np.mean(high < 0.5) <= 0.06


def test_a_shift_of_too_few_has_no_bounds() -> None:
    assert float(shift_bound([1.0, 2.0], [3.0, 4.0], 0.05, "lower")) == -math.inf
    assert float(shift_bound([1.0, 2.0], [3.0, 4.0], 0.05, "upper")) == math.inf


def test_pairwise_differences_of_many_cells() -> None:
    found = pairwise_differences([[1.0, 2.0], [0.0, 0.0]], [[5.0, 7.0, 9.0], [1.0, 1.0, 1.0]])
    assert found.tolist() == [[4.0, 6.0, 8.0, 3.0, 5.0, 7.0], [1.0] * 6]
