"""Launches of a block take turns: what the machine does is in none of their ratios, and what becomes of one is not the other's fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.records import Status
from harness.turns import Place
from matrix.config import parse_matrix
from matrix.engines.engine import LaunchEnd
from matrix.errors import EngineLost
from matrix.plan import PlannedImage, Selection
from matrix.runner import Settings
from matrix.together import run_together
from reports.gate.blocks import plan_block
from reports.gate.procedure import Verdict
from reports.gate.report import Decision
from reports.gate.setup import make_setup
from tests.fake_engine import Played
from tests.unit.gate_blocks import candidate_first
from tests.unit.gate_runs import TEXT, Gated, again, alike, go_on, matrix_with, new_run, planted, setup_of
from tests.unit.turning import SLICES, TurningEngine, own_sockets

__all__ = ["own_sockets"]

SETUP = setup_of(matrix=matrix_with("[gate]\nlooks = [6]\nconfirm = 6"))


@pytest.fixture(autouse=True)
def not_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    """That rows outlive a power cut is tested elsewhere; here they would cost seconds."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def gate(results: Path, engine: TurningEngine) -> Gated:
    with new_run(results, SETUP) as run:
        return go_on(run, SETUP, engine)


def test_a_machine_that_is_never_twice_the_same_hides_nothing(tmp_path: Path) -> None:
    engine = TurningEngine(planted(softmax=Played(seconds=1.1e-3)))
    found = gate(tmp_path, engine)
    assert found.judged.decision == Decision.REGRESSED
    assert [name for name, verdict in found.verdicts.items() if verdict == Verdict.REGRESSED] == ["softmax"]
    assert set(found.verdicts.values()) == {Verdict.REGRESSED, Verdict.EQUIVALENT}
    assert found.finding("softmax").ratio == pytest.approx(1.1, rel=0.02)
    assert found.progress.in_turns.all()
    floor = found.report("sort").noise_floor
    assert floor is not None
    assert floor < 0.03, "of the ratios, and not of the levels"


def test_cells_are_measured_slice_by_slice_in_turns(tmp_path: Path) -> None:
    engine = TurningEngine(alike)
    gate(tmp_path, engine)
    first = [entry for entry in engine.diary.entries if entry[0] in {"0", "1"}]
    places = [Place(cell, which) for cell in range(len(SETUP.cells)) for which in range(SLICES + 1)]
    for index, place in enumerate(places):
        pair = first[2 * index : 2 * index + 2]
        assert {name for name, _ in pair} == {"0", "1"}
        assert {where for _, where in pair} == {place}
    began = [first[index][0] for index in range(0, len(first), 2)]
    assert 0.3 < began.count("0") / len(began) < 0.7, "chance says who is first"


@pytest.mark.parametrize("measured", [0, 2, 4])
def test_where_one_dies_the_cells_that_are_left_are_measured_by_another_start_of_all(tmp_path: Path, measured: int) -> None:
    """Every launch of the candidate dies in the same cell: all others are decided in as many blocks as ever."""
    # Three blocks, after which the cell is measured no more.
    engine = TurningEngine(alike, dies={(launch, 0): measured for launch in range(6) if is_candidate(launch)})
    found = gate(tmp_path, engine)
    fatal = SETUP.ids[measured]
    verdicts = {report.cell: report.verdict for report in found.judged.cells}
    assert verdicts.pop(fatal) == Verdict.REGRESSED
    assert set(verdicts.values()) == {Verdict.EQUIVALENT}
    assert {item.cell for item in found.progress.voided} == {fatal}
    assert len(found.progress.blocks) == 6
    with again(tmp_path) as run:
        rows = [row for row in run.rows() if row.launch < 2]
    assert len(rows) == len({(row.launch, row.cell) for row in rows}) == 2 * len(SETUP.cells)
    for cell in SETUP.ids:
        attempts = {row.attempt for row in rows if row.cell == cell and row.status == Status.PASS}
        assert len(attempts) == 1, "together, or the one that is left"


def is_candidate(launch: int) -> bool:
    return candidate_first(SETUP, launch // 2) == (launch % 2 == 0)


def test_a_launch_that_dies_before_its_first_cell_leaves_the_other_all_of_its_cells(tmp_path: Path) -> None:
    end = LaunchEnd(exit_code=139, reason="exit code 139")
    engine = TurningEngine(alike, ends=lambda image, launch: end if image == SETUP.candidate else None)
    found = gate(tmp_path, engine)
    assert found.judged.decision == Decision.REGRESSED
    assert len(engine.requests) == 6, "nobody is started again for it"


@pytest.mark.parametrize("lost", [{(1, 0): 3}, {(0, 0): 0}, {(4, 0): 2, (5, 1): 1}, {(3, 0): 5, (13, 0): 0}], ids=str)
def test_an_engine_that_is_lost_ends_the_others_and_the_run_is_gone_on_with(tmp_path: Path, lost: dict[tuple[int, int], int]) -> None:
    script = planted(softmax=Played(seconds=1.1e-3), gather=Played(seconds=0.8e-3))
    whole = gate(tmp_path / "whole", TurningEngine(script))
    engine = TurningEngine(script, lost=dict(lost))
    with new_run(tmp_path / "cut", SETUP) as run, pytest.raises(EngineLost):
        go_on(run, SETUP, engine)
    first = next(iter(lost))[0]
    assert engine.stopped in ([], [first ^ 1]), "the other one of its block, unless it was done"
    for _ in range(len(lost)):
        with again(tmp_path / "cut") as run:
            measured = len(run.rows())
            try:
                found = go_on(run, SETUP, engine)
                break
            except EngineLost:
                assert len(run.rows()) >= measured
    else:
        with again(tmp_path / "cut") as run:
            found = go_on(run, SETUP, engine)
    assert found.verdicts == whole.verdicts
    assert found.judged.decision == whole.judged.decision == Decision.REGRESSED


@pytest.mark.parametrize("turns", [True, False])
def test_launches_on_a_gpu_and_of_engines_that_cannot_have_it_follow_each_other(tmp_path: Path, turns: bool) -> None:
    matrix = parse_matrix(TEXT.replace("versions = { new", 'device = "cuda"\nversions = { new') if turns else TEXT)
    setup = make_setup(
        matrix, PlannedImage(name="cpu", version="old"), PlannedImage(name="cpu", version="new"), Selection(filter=("^micro/",))
    )
    engine = TurningEngine(alike, takes_turns=turns)
    with new_run(tmp_path, setup, matrix) as run:
        launches = plan_block([setup], 0, [[True] * len(setup.cells)])  # type: ignore[list-item]
        environments = {image: engine.prepare(image) for image in (setup.baseline, setup.candidate)}
        run_together(launches, Settings(matrix=matrix, seed=1), engine, environments, run, lambda line: None)
        assert len(run.rows()) == 2 * len(setup.cells)
    assert [request.spec.turns for request in engine.requests] == [(), ()]
