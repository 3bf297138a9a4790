"""What a gate of an image against itself says of the host."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from reports.gate.calibration import calibration, effects_found
from reports.gate.power import smallest_effect
from reports.gate.procedure import Procedure, Stage, Verdict, advance, begin
from reports.gate.report import CellReport, Placebo
from reports.statistics import hodges_lehmann, signed_rank_p
from tests.unit.gate_samples import cell, finding, report


def quiet(name: str, noise: float | None) -> CellReport:
    latency = dataclasses.replace(finding(Verdict.EQUIVALENT), delta=0.02, tolerable=0.05)
    return cell(name, Verdict.EQUIVALENT, latency, noise_floor=noise)


def test_cells_are_listed_noisiest_first_with_what_is_found() -> None:
    cells = [quiet("micro/quiet", 0.002), quiet("micro/loud", 0.05), quiet("micro/unknown", None)]
    text = calibration(report(*cells))
    head, *rows = text.splitlines()
    assert [row.split()[0] for row in rows[:3]] == ["micro/loud", "micro/quiet", "micro/unknown"]
    assert "found 80% of the time" in head
    loud, still, unknown = effects_found([cells[1], cells[0], cells[2]], Procedure())
    assert loud is not None
    assert still is not None
    assert unknown is None
    assert loud > 0.05 > still > 0.02
    assert f"{100 * loud:.1f} %" in rows[0]


@pytest.mark.parametrize("noise", [0.003, 0.01, 0.03, 0.1])
@pytest.mark.parametrize(
    "procedure", [Procedure(), Procedure(looks=(6,), confirm=6), Procedure(looks=(6, 10, 16, 24), confirm=20)], ids=str
)
def test_what_is_said_to_be_found_four_times_in_five_is(noise: float, procedure: Procedure) -> None:
    """By the procedure itself, block by block, with another seed."""
    effect = float(smallest_effect(noise, 0.02, 0.05, procedure)[0])
    assert effect >= 0.02
    cells, random = 2000, np.random.default_rng(7)
    state = begin(procedure, [0.02] * cells, [0.05] * cells)
    while state.wanted.any():
        differences = math.log1p(effect) + math.sqrt(2) * noise * random.standard_normal(cells)
        state = advance(state, differences, np.zeros(cells, dtype=bool))
    fresh = state.confirmed[state.flagged == Stage.SLOWER]
    found = (signed_rank_p(fresh, "greater") <= procedure.alpha) & (hodges_lehmann(fresh) >= math.log1p(0.02))
    assert found.sum() / cells == pytest.approx(0.8, abs=0.04)


def test_without_noise_what_matters_is_found_and_too_few_blocks_find_nothing() -> None:
    assert smallest_effect([0.0, 1e-9], 0.02, 0.05, Procedure()) == pytest.approx([0.02, 0.02], rel=1e-6)
    assert np.isinf(smallest_effect(0.01, 0.02, 0.05, Procedure(confirm=4))).all()


def test_false_alarms_are_counted_and_named() -> None:
    alarm = cell("micro/alarm", Verdict.REGRESSED, finding(Verdict.REGRESSED, reason="micro/alarm: it is slower than itself"))
    text = calibration(report(alarm, *[cell(f"micro/w{index}") for index in range(19)], cell("micro/dim", Verdict.INCONCLUSIVE)))
    assert "false alarms: 1 of 20 cells that were decided (0.1 % to 24.9 %, 95 % interval); 1 of 21 inconclusive" in text
    assert "slower than itself" in text


@pytest.mark.parametrize(("low", "says"), [(-0.01, "0 is within"), (0.001, "0 is not within")])
def test_the_placebo_is_judged(low: float, says: str) -> None:
    assert says in calibration(report(cell("micro/a"), placebo=Placebo(effect=0.002, low=low, high=0.01, differences=6)))
