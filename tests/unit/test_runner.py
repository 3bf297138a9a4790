"""Every planned cell gets exactly one row per launch, whatever the engine does; nothing measured is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.cell import LaunchSpec
from harness.records import Status, Warn
from matrix.config import parse_matrix
from matrix.errors import EngineLost
from matrix.plan import PlannedImage, Selection, make_plan
from matrix.provenance import describe_run, plan_of
from matrix.runner import Known, Settings, launch_spec, run_plan
from matrix.store import Run, create_run, open_run
from tests.conftest import SOURCE
from tests.fake_engine import LOST, FakeEngine, Start
from tests.unit.test_config import GOOD

MATRIX = parse_matrix(GOOD)
CPU = PlannedImage(name="cpu")
PLAN = make_plan(MATRIX, (CPU,), Selection(filter=("norm|softmax|cross",), launches=2))
CELLS = [cell.id for cell in PLAN.launches[0].cells]
DONE = Start()


@contextmanager
def new_run(results: Path) -> Iterator[Run]:
    engine = FakeEngine(iter(()))
    manifest = describe_run(
        command=["test"], matrix=MATRIX, plan=PLAN, engine={"name": "fake"}, environments={CPU: engine.prepare(CPU)}, source=SOURCE
    )
    with create_run(results, "run", manifest) as run:
        yield run


def measure(run: Run, *script: Start) -> FakeEngine:
    engine = FakeEngine(iter(script))
    plan = plan_of(run.manifest())
    run_plan(plan, Settings(matrix=MATRIX, seed=plan.seed), engine, {CPU: engine.prepare(CPU)}, run, lambda line: None)
    return engine


def statuses(run: Run) -> dict[tuple[int, str], str]:
    rows = run.rows()
    found = {(row.launch, row.cell): row.status for row in rows}
    assert len(found) == len(rows), "a cell has two rows"
    return found


def test_a_quiet_run_has_a_row_for_every_planned_cell(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        measure(run, DONE, DONE)
        assert statuses(run) == {(launch, cell): Status.PASS for launch in (0, 1) for cell in CELLS}
        assert list((run.directory / "incoming").iterdir()) == []
        assert [start["machine"] for start in run.manifest()["starts"]] == [{"cpu": "fake"}] * 2


def test_a_launch_that_dies_costs_one_cell_and_the_rest_is_measured_by_another_start(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        engine = measure(run, Start(measures=2, dies_in_a_cell=True, exit_code=137, reason="killed"), DONE, DONE)
        found = statuses(run)
        assert [cell for (launch, cell), status in found.items() if status == Status.INFRA_ERROR] == [CELLS[2]]
        assert len(found) == PLAN.rows
        assert [[cell.id for cell in request.spec.cells] for request in engine.requests] == [CELLS, CELLS[3:], CELLS]
        assert [request.spec.attempt for request in engine.requests] == [0, 1, 0]


def test_a_first_cell_that_kills_its_launch_costs_only_itself(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        measure(run, Start(measures=0, dies_in_a_cell=True, exit_code=137), DONE, DONE)
        assert [cell for (_, cell), status in statuses(run).items() if status == Status.INFRA_ERROR] == [CELLS[0]]


def test_a_launch_that_never_starts_costs_its_cells_once_and_ends(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        measure(run, Start(measures=0, exit_code=None, reason="no python3 in the image"), DONE)
        rows = [row for row in run.rows() if row.status == Status.INFRA_ERROR]
        assert [row.cell for row in rows] == CELLS
        assert {row.launch for row in rows} == {0}
        assert all("no python3" in row.reason for row in rows)
        assert {row.warnings for row in rows} == {""}, "that is the engine's doing"


@pytest.mark.parametrize("code", [0, 139, -9])
def test_a_launch_that_was_up_and_ended_is_told_from_one_that_the_engine_lost(tmp_path: Path, code: int) -> None:
    with new_run(tmp_path) as run:
        measure(run, Start(measures=1, dies_in_a_cell=True, exit_code=code), DONE, DONE)
        assert {row.cell: row.warnings for row in run.rows() if row.status == Status.INFRA_ERROR} == {CELLS[1]: Warn.LAUNCH_DIED.value}


@pytest.mark.parametrize("exception", [EngineLost, KeyboardInterrupt])
def test_a_run_that_was_cut_short_is_resumed_with_the_rest_only(tmp_path: Path, exception: type[BaseException]) -> None:
    with new_run(tmp_path) as run, pytest.raises(exception):
        measure(run, Start(measures=2, raises=exception))
    with open_run(tmp_path / "run") as run:
        run.collect()
        assert len(run.rows()) == 2
        engine = measure(run, DONE, DONE)
        assert [len(request.spec.cells) for request in engine.requests] == [len(CELLS) - 2, len(CELLS)]
        assert set(statuses(run).values()) == {Status.PASS}
        assert len(run.rows()) == PLAN.rows


def test_rows_that_the_engine_cost_are_measured_again_on_resuming(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        measure(run, Start(measures=0, exit_code=1, reason="disk full"), DONE)
    with open_run(tmp_path / "run") as run:
        assert run.forget(Status.INFRA_ERROR) == len(CELLS)
        engine = measure(run, DONE)
        assert [request.spec.launch for request in engine.requests] == [0]
        assert set(statuses(run).values()) == {Status.PASS}


def test_the_plan_survives_the_manifest(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        assert plan_of(run.manifest()) == PLAN


def test_a_lost_engine_leaves_what_was_written_to_be_collected(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        with pytest.raises(EngineLost):
            measure(run, LOST)
        assert run.rows() == []
        assert list((run.directory / "incoming").iterdir())
        assert run.kept() == 2


def test_later_launches_go_by_what_earlier_ones_found(tmp_path: Path) -> None:
    """Ceilings are measured once per run; a cell that was too short for a cold cache is hot in every launch."""
    with new_run(tmp_path) as run:
        engine = measure(run, Start(facts={"ceilings": {"cpu": {"device": "cpu"}}}, caches=["hot", "cold"]), DONE)
        before, after = (request.spec for request in engine.requests)
        assert (before.ceilings, before.hot, before.cold) == (None, (), ())
        first, second = run.manifest()["starts"]
        assert first["ceilings"] == {"cpu": {"device": "cpu"}}
        assert "ceilings" not in second
        assert after.ceilings == {"cpu": {"device": "cpu"}}
        assert (after.hot, after.cold) == ((CELLS[0],), (CELLS[1],))


def test_how_cells_are_measured_is_what_the_configuration_says() -> None:
    text = GOOD.replace("[run]", "[run]\ntf32 = true\npin_allocator = false\ncache = 'hot'\ninterval_width = 0.5\nwarm_compile = false", 1)
    matrix = parse_matrix(text)
    spec = launch_spec(PLAN.launches[0], PLAN.launches[0].cells, Settings(matrix=matrix, seed=1), "run", 0, Known())
    assert spec.numerics.tf32
    assert not spec.numerics.deterministic
    assert (spec.sampling.cache, spec.sampling.width) == ("hot", 0.5)
    assert (spec.pin_allocator, spec.warm_compile) == (False, False)
    assert LaunchSpec.from_json(spec.to_json()) == spec
