"""What a gate of an image against itself says of the host."""

from __future__ import annotations

import pytest

from reports.gate.calibration import calibration, smallest_effect
from reports.gate.procedure import Verdict
from reports.gate.report import Placebo
from tests.unit.gate_samples import cell, finding, report


def test_cells_are_listed_noisiest_first_with_what_could_be_seen() -> None:
    text = calibration(report(cell("micro/quiet", noise_floor=0.002), cell("micro/loud", noise_floor=0.05), cell("micro/unknown")))
    head, *rows = text.splitlines()
    assert [row.split()[0] for row in rows[:3]] == ["micro/loud", "micro/quiet", "micro/unknown"]
    assert "seen after 6" in head
    assert "5.0 %" in rows[0]
    assert f"{100 * (smallest_effect(0.05, 6, 0.05) or 0):.1f} %" in rows[0]


def test_more_blocks_and_less_noise_see_less() -> None:
    effects = [smallest_effect(noise, blocks, 0.05) for noise, blocks in ((0.01, 16), (0.01, 6), (0.05, 6))]
    assert None not in effects
    assert sorted(effects) == effects  # type: ignore[type-var]
    # By the formula: (1.645 + 0.842) * sqrt(2) * 0.01 / sqrt(3 / pi * 16).
    assert effects[0] == pytest.approx(0.00904, abs=5e-5)
    assert smallest_effect(0.01, 4, 0.05) is None, "four blocks show nothing at this level"
    assert smallest_effect(None, 6, 0.05) is None


def test_false_alarms_are_counted_and_named() -> None:
    alarm = cell("micro/alarm", Verdict.REGRESSED, finding(Verdict.REGRESSED, reason="micro/alarm: it is slower than itself"))
    text = calibration(report(alarm, *[cell(f"micro/w{index}") for index in range(19)], cell("micro/dim", Verdict.INCONCLUSIVE)))
    assert "false alarms: 1 of 20 cells that were decided (0.1 % to 24.9 %, 95 % interval); 1 of 21 inconclusive" in text
    assert "slower than itself" in text


@pytest.mark.parametrize(("low", "says"), [(-0.01, "0 is within"), (0.001, "0 is not within")])
def test_the_placebo_is_judged(low: float, says: str) -> None:
    assert says in calibration(report(cell("micro/a"), placebo=Placebo(effect=0.002, low=low, high=0.01, differences=6)))
