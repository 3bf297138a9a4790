"""Changes of level: planted ones are found where they are, and noise alone has few."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from reports.steps import FEWEST_VALUES, LEVEL, find_steps


def noise(seed: int, series: int, points: int, deviation: float = 0.01) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(0, deviation, (series, points))


@pytest.mark.parametrize("place", [2, 5, 10])
def test_a_step_is_found_where_it_is(place: int) -> None:
    values = noise(1, 1, 12)
    values[0, place:] += math.log(1.2)
    (step,) = find_steps(values)
    assert (step.series, step.place, step.before) == (0, place, place - 1)
    assert math.exp(step.new - step.old) == pytest.approx(1.2, rel=0.03)
    assert step.old == pytest.approx(values[0, :place].mean())


def test_several_steps_are_told_apart_and_levels_are_between_neighbours() -> None:
    values = noise(2, 1, 24, 0.005)
    values[0, 8:] += 0.2
    values[0, 16:] -= 0.1
    first, second = find_steps(values)
    assert (first.place, second.place) == (8, 16)
    assert first.new == second.old == pytest.approx(values[0, 8:16].mean())


def test_noise_alone_has_few_steps() -> None:
    """Series by series, so that each has the level for itself."""
    values = noise(3, 2000, 15)
    false = sum(bool(find_steps(values[[series]] * 10)) for series in range(len(values)))
    low, _ = stats.binomtest(false, len(values)).proportion_ci(0.999)
    assert low <= LEVEL


def test_of_many_series_few_found_steps_are_false() -> None:
    values = noise(4, 1000, 12, 0.02)
    values[:100, 6:] += 0.15
    found = find_steps(values)
    true = {step.series for step in found if step.series < 100}
    assert len(true) > 95
    assert len({step.series for step in found} - true) <= 0.15 * len(found)


def test_a_single_value_that_is_off_is_no_level() -> None:
    values = noise(5, 1, 12)
    values[0, -1] += 1.0
    assert find_steps(values) == []


def test_small_changes_matter_to_nobody() -> None:
    values = noise(6, 1, 40, 0.0005)
    values[0, 20:] += math.log(1.01)
    assert find_steps(values) == []


def test_gaps_are_no_values() -> None:
    values = noise(7, 1, 12)
    values[0, 6:] += 0.3
    values[0, [1, 5, 6]] = np.nan
    (step,) = find_steps(values)
    assert (step.before, step.place) == (4, 7)


def test_exact_values_and_few_values() -> None:
    values = np.array([[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0], [1.0, np.nan, 2.0, np.nan]])
    (step,) = find_steps(values)
    assert (step.series, step.place, step.p) == (0, 2, 0.0)
    assert find_steps(np.zeros((0, 0))) == []
    assert find_steps(np.zeros((3, FEWEST_VALUES - 1))) == []


def test_p_is_bonferroni_s_of_the_largest_t() -> None:
    values = noise(8, 1, 10)
    values[0, 4:] += 0.2
    (step,) = find_steps(values)
    every = [stats.ttest_ind(values[0, :place], values[0, place:]).pvalue for place in range(2, 9)]
    assert step.p == pytest.approx(7 * min(every), rel=1e-6)
