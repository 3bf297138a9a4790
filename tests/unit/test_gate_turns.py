"""Launches that took turns are compared slice by slice, and by nothing else."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from harness.records import Status
from reports.gate.observe import Limits, observe, reason_apart, slice_differences
from reports.gate.steadiness import Steadiness, steadiness
from tests.unit.gate_blocks import Columns, block, row, setup_with


def test_the_median_of_the_ratios_of_slices() -> None:
    found = slice_differences(
        [
            ("1 2 4 8 1", "1.1 2.2 4.4 8.8 1.1"),
            ("1 1 1 1 1", "1 9 1 9 1"),
            ("1 1 1 1 1 7", "2 2 2 2 2"),
            ("", "1 1 1 1 1"),
            ("1 1 1 1 1", ""),
        ]
    )
    assert np.exp(found[:3]).tolist() == pytest.approx([1.1, 1.0, 2.0])
    assert np.isnan(found[3:]).all()


@pytest.mark.parametrize("text", ["1 x 1 x x", "nan nan nan nan nan", "0 0 0 0 0", "-1 -1 -1 -1 -1"])
def test_what_is_no_time_is_no_difference(text: str) -> None:
    found = slice_differences([(text, text), ("1 1 1 1 1", "1 1 1 1 1")])
    assert math.isnan(found[0]) or found[0] == 0.0
    assert found[1] == 0.0


def test_slices_count_and_levels_do_not() -> None:
    setup = setup_with("a", "b")

    def slices(number: int, candidate: bool) -> Columns:
        return {
            "backend_p05_seconds": 9.0 if candidate else 1.0,
            "backend_slice_seconds": "2e-3 4e-3 2e-3 2e-3 2e-3" if candidate else "1e-3 2e-3 1e-3 1e-3 1e-3",
        }

    def levels(number: int, candidate: bool) -> Columns:
        return {"backend_p05_seconds": 3.0 if candidate else 1.0}

    seen = observe(setup.ids, [True, True], block(setup, 0, [slices, levels]), {}, Limits())
    assert np.exp(seen.differences).tolist() == pytest.approx([2.0, 3.0])
    assert seen.in_turns.tolist() == [True, False]
    assert not seen.void.any()


def test_of_few_slices_one_may_be_disturbed_and_levels_compare() -> None:
    setup = setup_with("a")

    def few(number: int, candidate: bool) -> Columns:
        return {"backend_p05_seconds": 1.1 if candidate else 1.0, "backend_slice_seconds": "20 1.1" if candidate else "1"}

    seen = observe(setup.ids, [True], block(setup, 0, [few]), {}, Limits())
    assert np.exp(seen.differences).tolist() == pytest.approx([1.1])
    assert seen.in_turns.tolist() == [False]


def test_what_was_measured_alone_does_not_compare() -> None:
    one, other = row("a", {"backend_slice_seconds": "1 1"}), row("a", {"backend_slice_seconds": "1 1", "attempt": 1})
    assert reason_apart(one, one) == ""
    assert "measured alone" in reason_apart(one, other)
    assert "measured alone" in reason_apart(one, row("a", {}))
    assert reason_apart(row("a", {}), row("a", {})) == "", "no turns were taken"
    assert reason_apart(one, row("a", {"status": Status.OOM})) == "", "a status needs nobody beside it"
    assert reason_apart(one, None) == ""


def steady(differences: list[float], *, levels: float = 0.0) -> Steadiness:
    """Of one cell whose launches took turns; levels: standard deviation of their logarithms."""
    numbers = random.Random(1)
    baseline, candidate = (np.exp([[numbers.gauss(0, levels) for _ in differences]]) for _ in range(2))
    return steadiness(baseline, candidate, np.array([differences]), np.array([True]), np.array([math.log(1.02)]))


def test_levels_that_move_with_the_machine_make_nothing_unstable() -> None:
    numbers = random.Random(2)
    found = steady([numbers.gauss(0, 0.01) for _ in range(16)], levels=0.5)
    assert found.unstable == ("",)
    assert found.noise_floor[0] == pytest.approx(0.01 / math.sqrt(2), rel=0.5)


def test_ratios_in_two_modes_are_unstable() -> None:
    numbers = random.Random(3)
    found = steady([numbers.gauss(0.4 if index in {1, 4, 6, 9, 12} else 0.0, 0.005) for index in range(16)])
    assert "the ratios of the launches fall into two modes, at 1 and 1.5" in found.unstable[0]


def test_ratios_that_differ_from_themselves_are_unstable() -> None:
    numbers = random.Random(4)
    found = steady([numbers.gauss(0.06 * (index % 2), 0.01) for index in range(24)])
    assert "the ratio of the launches differs from itself" in found.unstable[0]
