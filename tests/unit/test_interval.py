"""The interval of a ratio: against scipy, by brute force, and by how often it covers what is true."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.measure import interval as module
from harness.measure.interval import ratio_interval, walsh_averages


def test_walsh_averages_are_all_pairs_once() -> None:
    assert sorted(walsh_averages(np.array([1.0, 3.0, 8.0]))) == [1.0, 2.0, 3.0, 4.5, 5.5, 8.0]


def test_the_estimate_is_the_ratio_where_nothing_varies() -> None:
    found = ratio_interval([3.0] * 10, [2.0] * 10)
    assert (found.estimate, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert found.width == pytest.approx(0.0)


def test_what_a_round_does_to_both_cancels() -> None:
    drift = np.linspace(1, 5, 50)
    assert ratio_interval(1.1 * drift, drift).width == pytest.approx(0.0, abs=1e-12)


def test_too_few_pairs_have_no_interval() -> None:
    found = ratio_interval([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
    assert found.estimate == pytest.approx(2.0, rel=0.1)
    assert (found.low, found.high) == (None, None)
    assert math.isinf(found.width)


def test_the_bounds_are_those_that_the_signed_rank_test_does_not_reject() -> None:
    numbers = np.random.default_rng(3)
    differences = 0.02 + 0.05 * numbers.standard_t(3, 40)
    found = ratio_interval(np.exp(differences), np.ones(40))
    for bound, outside in ((found.low, -1), (found.high, 1)):
        assert bound is not None
        inside_p = stats.wilcoxon(differences - (np.log(bound) - outside * 1e-4), method="approx").pvalue
        outside_p = stats.wilcoxon(differences - (np.log(bound) + outside * 1e-3), method="approx").pvalue
        assert outside_p < 0.06
        assert inside_p > outside_p
    assert abs(stats.wilcoxon(differences - np.log(found.low or 0.0), method="approx").pvalue - 0.05) < 0.01


@pytest.mark.parametrize("n", [6, 7, 8, 12, 20])
def test_few_pairs_have_the_exact_interval(n: int) -> None:
    """By brute force over all signs: as narrow as 95 % allow, and no narrower."""
    ranks = np.arange(1, n + 1)
    numbers = np.random.default_rng(n)
    signs = np.array([[bool(i >> bit & 1) for bit in range(n)] for i in range(2**n)]) if n <= 12 else numbers.random((200_000, n)) < 0.5
    sums = signs @ ranks
    rank = module._rank(n)
    slack = 0.0 if n <= 12 else 0.002
    assert np.mean(sums <= rank) <= 0.025 + slack
    assert np.mean(sums <= rank + 1) > 0.025 - slack


@pytest.mark.parametrize("noise", ["normal", "heavy tail"])
def test_it_covers_the_true_ratio_as_often_as_it_says(noise: str) -> None:
    numbers = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        both = 0.02 * (numbers.standard_normal((2, 30)) if noise == "normal" else numbers.standard_t(2, (2, 30)))
        found = ratio_interval(1.03 * np.exp(both[0]), np.exp(both[1]))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1.03 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_many_pairs_are_thinned_and_not_refused() -> None:
    numbers = np.random.default_rng(1)
    found = ratio_interval(np.exp(0.01 * numbers.standard_normal(20_000)), np.ones(20_000))
    assert found.estimate == pytest.approx(1.0, abs=1e-3)
