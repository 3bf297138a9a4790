"""Modes and drift: found where they are, and not in noise."""

from __future__ import annotations

import numpy as np
import pytest

from harness.measure.stability import drift, modes


def test_launches_that_fall_into_two_modes_are_found() -> None:
    found = modes([1.1, 2.6, 1.12, 1.11, 2.58, 1.13, 2.61, 1.1, 1.1, 2.6, 1.12, 1.11])
    assert found == pytest.approx((1.11, 2.6), rel=0.02)


@pytest.mark.parametrize("values", [[1.0, 1.01, 0.99, 1.02] * 3, [1.0, 2.0], [5.0] * 12, []])
def test_one_kind_has_no_modes(values: list[float]) -> None:
    assert modes(values) is None


def test_noise_has_no_modes() -> None:
    numbers = np.random.default_rng(1)
    for spread in (0.005, 0.05, 0.2):
        found = [modes(list(np.exp(spread * numbers.standard_normal(count)))) for count in (12, 30, 300) for _ in range(100)]
        assert sum(each is not None for each in found) <= 3


def test_a_few_outliers_are_no_mode() -> None:
    assert modes([1.0 + 0.001 * i for i in range(40)] + [3.0, 3.1]) is None


def test_a_level_that_moves_is_drift() -> None:
    numbers = np.random.default_rng(1)
    noise = np.exp(0.02 * numbers.standard_normal(60))
    assert drift(list(noise * np.linspace(1.0, 1.3, 60))) == pytest.approx(0.2, abs=0.05)
    assert drift(list(noise * np.linspace(1.3, 1.0, 60))) < -0.1


def test_noise_is_no_drift() -> None:
    numbers = np.random.default_rng(2)
    for spread in (0.01, 0.1, 0.3):
        assert sum(drift(list(np.exp(spread * numbers.standard_normal(45)))) != 0.0 for _ in range(200)) <= 4
    assert drift([1.0, 2.0, 3.0]) == 0.0
