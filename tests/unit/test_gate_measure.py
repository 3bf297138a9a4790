"""The loop: what is measured is what the procedure wants, nothing that was measured is lost, and a gate that was cut short ends as it would have."""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.cell import Cell
from harness.records import Status
from matrix.engines.engine import LaunchEnd
from matrix.errors import EngineLost, SelectionError
from matrix.plan import PlannedImage, Selection
from matrix.provenance import plan_of
from reports.gate.observe import Block
from reports.gate.procedure import Verdict
from reports.gate.progress import replay
from reports.gate.report import Decision
from reports.gate.rows import AnyRow, Record, read_records
from reports.load import load
from tests.fake_engine import Played, PlayedEngine
from tests.unit.gate_blocks import candidate_first
from tests.unit.gate_runs import MICRO, NEW, OLD, Gated, again, alike, gate, go_on, matrix_with, new_run, planted, rows_of, setup_of

SLOWER = planted(softmax=Played(seconds=1.1e-3), sort=Played(status="crash:SIGSEGV", reason="signal 11"))


@pytest.fixture(autouse=True)
def not_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    """That rows outlive a power cut is tested elsewhere; here they would cost seconds."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_an_image_beside_itself_passes(tmp_path: Path) -> None:
    found = gate(tmp_path, alike, setup_of(baseline=NEW, candidate=NEW))
    assert found.judged.decision == Decision.PASS, found.judged.why
    assert set(found.verdicts.values()) == {Verdict.EQUIVALENT}
    assert {image for _, image, _ in found.launches} == {"cpu@new"}


@pytest.mark.parametrize("seed", range(10))
def test_what_does_not_differ_is_never_called(tmp_path: Path, seed: int) -> None:
    found = gate(tmp_path, alike, seed=seed)
    assert found.judged.decision != Decision.REGRESSED, found.judged.why


@pytest.mark.parametrize("seed", range(5))
def test_exactly_what_is_slower_is_named(tmp_path: Path, seed: int) -> None:
    found = gate(tmp_path, planted(softmax=Played(seconds=1.1e-3)), seed=seed)
    assert found.judged.decision == Decision.REGRESSED
    assert [name for name, verdict in found.verdicts.items() if verdict == Verdict.REGRESSED] == ["softmax"]
    slower = found.finding("softmax")
    assert slower.ratio == pytest.approx(1.1, rel=0.02)
    assert slower.low is not None
    assert slower.high is not None
    assert 1.05 < slower.low < slower.high < 1.15
    assert (slower.blocks, slower.clock) == (15, "host")
    assert slower.reason.endswith(": regressed")


def test_what_is_faster_is_improved_and_passes(tmp_path: Path) -> None:
    found = gate(tmp_path, planted(softmax=Played(seconds=0.8e-3)))
    assert found.judged.decision == Decision.PASS
    assert found.verdicts["softmax"] == Verdict.IMPROVED


def test_what_crashes_is_measured_until_that_is_no_chance(tmp_path: Path) -> None:
    found = gate(tmp_path, SLOWER)
    assert found.verdicts["sort"] == Verdict.REGRESSED
    report = found.report("sort")
    assert (report.baseline_status, report.candidate_status) == (Status.PASS, "crash:SIGSEGV")
    assert [finding.metric for finding in report.findings] == ["status"]
    assert "6 of 6 launches: crash:SIGSEGV: signal 11" in report.findings[0].reason
    assert [sum(any("sort" in cell for cell in cells) for _, image, cells in found.launches if image == side) for side in LABELS] == [6, 6]


DIED = LaunchEnd(exit_code=139, reason="the container ended with exit code 139; its last lines: import torch")
ENGINE = LaunchEnd(exit_code=None, reason="the engine could not make the container: no space left")
HANGS = LaunchEnd(exit_code=None, overdue=True, reason="the launch was not done after 600 s and was ended")
LEAVES = LaunchEnd(exit_code=0)


def ending(baseline: LaunchEnd | None = None, candidate: LaunchEnd | None = None) -> Callable[[PlannedImage, int], LaunchEnd | None]:
    return lambda image, launch: candidate if image == NEW else baseline


@pytest.mark.parametrize("end", [DIED, HANGS, LEAVES], ids=["dies", "hangs", "leaves"])
def test_a_candidate_whose_launches_always_die_is_regressed(tmp_path: Path, end: LaunchEnd) -> None:
    found = gate(tmp_path, alike, ends=ending(candidate=end))
    assert found.judged.decision == Decision.REGRESSED
    assert set(found.verdicts.values()) == {Verdict.REGRESSED}
    assert len(found.launches) == 6, "as often as voids are repeated"
    finding = found.finding("sort", "status")
    assert finding.reason.startswith("the candidate's launch died in 3 launches of 3, of the baseline's in none: ")
    assert finding.reason.endswith(end.reason)


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [(DIED, DIED), (DIED, None), (None, ENGINE), (ENGINE, None), (ENGINE, DIED)],
    ids=["both die", "the baseline dies", "the engine has no candidate", "the engine has no baseline", "neither has a row"],
)
def test_what_no_launch_has_measured_is_no_verdict_and_no_pass(
    tmp_path: Path, baseline: LaunchEnd | None, candidate: LaunchEnd | None
) -> None:
    found = gate(tmp_path, alike, ends=ending(baseline, candidate))
    assert found.judged.decision == Decision.INCONCLUSIVE
    assert set(found.verdicts.values()) == {Verdict.INCONCLUSIVE}
    assert all(report.is_unmeasured for report in found.judged.cells)


def test_a_candidate_that_dies_now_and_then_is_measured_again(tmp_path: Path) -> None:
    found = gate(tmp_path, alike, ends=lambda image, launch: DIED if image == NEW and launch < 4 else None)
    assert found.judged.decision == Decision.PASS
    assert len(found.progress.voided) == 2 * 6


def test_a_baseline_that_was_lost_once_makes_no_verdict_of_a_dead_candidate(tmp_path: Path) -> None:
    found = gate(tmp_path, alike, ends=lambda image, launch: DIED if image == NEW or launch < 2 else None)
    assert found.judged.decision == Decision.INCONCLUSIVE
    assert all(report.is_unmeasured for report in found.judged.cells)


@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_a_cell_that_is_mended_is_judged_by_the_launches_that_have_times(tmp_path: Path, rate: float) -> None:
    """It passes in the candidate; in the baseline it fails now and then."""

    def script(image: PlannedImage, cell: Cell, launch: int) -> Played:
        fails = image == OLD and "sort" in cell.id and random.Random(f"{launch}").random() < rate
        return Played(status=Status.OOM) if fails else alike(image, cell, launch)

    found = gate(tmp_path, script)
    assert found.judged.decision == Decision.PASS
    assert found.verdicts["sort"] in (Verdict.EQUIVALENT, Verdict.IMPROVED)


LABELS = (OLD.label, NEW.label)


def test_a_block_is_a_launch_of_each_with_the_cells_that_are_undecided(tmp_path: Path) -> None:
    found = gate(tmp_path, SLOWER)
    blocks = pairs(found)
    wanted = 6
    for number, (first, second) in enumerate(blocks):
        assert (first[0], second[0]) == (2 * number, 2 * number + 1)
        assert (first[1], second[1]) == (LABELS[::-1] if candidate_first(found.setup, number) else LABELS)
        assert first[2] == second[2]
        assert len(first[2]) <= wanted
        wanted = len(first[2])
    assert wanted == 1, "in the end only what was flagged is measured"
    assert len(blocks) == len(found.progress.blocks) == 21


def pairs(found: Gated) -> list[tuple[tuple[int, str, tuple[str, ...]], ...]]:
    return [found.launches[index : index + 2] for index in range(0, len(found.launches), 2)]


def test_the_manifest_has_the_launches_as_they_were_planned_and_readers_find_their_way(tmp_path: Path) -> None:
    found = gate(tmp_path, SLOWER)
    with again(tmp_path) as run:
        manifest = run.manifest()
        plan = plan_of(manifest)
        assert tuple((each.index, each.image.label, tuple(cell.id for cell in each.cells)) for each in plan.launches) == found.launches
        assert [each.block for each in plan.launches] == [index // 2 for index in range(len(plan.launches))]
        assert [each.side for each in plan.launches[:2]] == (
            ["candidate", "baseline"] if candidate_first(found.setup, 0) else ["baseline", "candidate"]
        )
        assert plan.rows == manifest["planned_rows"] == len(run.rows())
        assert len(manifest["gate"]["block_seconds"]) == 21
    loaded = load([tmp_path / "run"])
    assert loaded.sources[0].missing == 0
    assert len(loaded.table) == plan.rows
    assert loaded.quarantined == ()


def test_void_rows_are_said_aloud_and_measured_again_by_the_next_block(tmp_path: Path) -> None:
    def contended_at_first(launch: int) -> Played:
        return Played(columns={"cpu_waiting": 0.2 if launch < 2 else 0.0})

    found = gate(tmp_path, planted(softmax=contended_at_first))
    assert found.judged.decision == Decision.PASS
    assert [(item.block, item.image, item.reason) for item in found.progress.voided] == [
        (0, "candidate", "contended: 20% of the time waited for a processor, over 5%")
    ]
    assert found.report("softmax").voided == 1
    assert any("void: micro/softmax" in line and "20%" in line for line in found.said)
    measured = [sum("softmax" in cell for cell in cells) for _, _, cells in found.launches]
    assert sum(measured) == 14, "one block more than the others"


def test_what_is_void_too_often_is_given_up_and_no_pass(tmp_path: Path) -> None:
    found = gate(tmp_path, planted(softmax=Played(columns={"cpu_steal": 0.3})))
    assert found.judged.decision == Decision.INCONCLUSIVE
    assert found.verdicts["softmax"] == Verdict.INCONCLUSIVE
    assert "void too often: contended: stolen processor time 30%" in found.finding("softmax").reason
    assert sum("softmax" in cell for _, _, cells in found.launches for cell in cells) == 6
    assert found.verdicts["sort"] == Verdict.EQUIVALENT


def test_a_gate_of_which_nothing_counts_is_no_pass(tmp_path: Path) -> None:
    found = gate(tmp_path, lambda image, cell, launch: Played(warnings="throttled"))
    assert found.judged.decision == Decision.INCONCLUSIVE
    assert len(found.launches) == 6
    assert set(found.verdicts.values()) == {Verdict.INCONCLUSIVE}


def test_a_gate_in_which_all_fail_alike_is_no_pass(tmp_path: Path) -> None:
    found = gate(tmp_path, lambda image, cell, launch: Played(status=Status.UNSUPPORTED, reason="no such thing"))
    assert found.judged.decision == Decision.INCONCLUSIVE
    assert "nothing could be compared" in found.judged.why
    assert set(found.verdicts.values()) == {Verdict.EQUIVALENT}


def test_a_cell_that_passes_without_a_time_does_not_keep_the_gate_going(tmp_path: Path) -> None:
    found = gate(tmp_path, planted(softmax=Played(seconds=None)))
    assert found.judged.decision == Decision.INCONCLUSIVE
    assert "without a time" in found.finding("softmax").reason
    assert sum("softmax" in cell for _, _, cells in found.launches for cell in cells) == 4


def test_cells_of_images_are_measured_until_the_first_look_and_warn(tmp_path: Path) -> None:
    def larger(launch: int) -> Played:
        return Played(seconds=None, columns={"image_bytes": 1200})

    def script(image: object, cell: object, launch: int) -> Played:
        name = getattr(cell, "workload", "")
        if name == "image/size":
            return Played(seconds=None, columns={"image_bytes": 1200 if image == NEW else 1000})
        return Played(seconds=2.0 if name == "image/import" and image == NEW else 1.0)

    found = gate(tmp_path, script, setup_of(Selection(filter=("image/", "softmax"))))
    assert found.judged.decision == Decision.PASS, "neither blocks"
    assert found.finding("size", "image_size").verdict == Verdict.REGRESSED
    assert found.finding("size", "image_size").ratio == pytest.approx(1.2)
    assert found.finding("import", "image_time").verdict == Verdict.REGRESSED
    assert found.finding("start", "image_time").verdict in (Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)
    for name in ("size", "import", "start"):
        assert sum(f"image/{name}" in cell for _, _, cells in found.launches for cell in cells) == 12


SHORT = setup_of(matrix=matrix_with("[gate]\nlooks = [5, 7]\nconfirm = 6"))
"""Eleven blocks."""


def without_starts(block: Block) -> Block:
    """What a launch that was started once more measured is the same but for the number of its start."""
    return dataclasses.replace(block, baseline=first_start(block.baseline), candidate=first_start(block.candidate))


def first_start(rows: Mapping[str, AnyRow]) -> dict[str, AnyRow]:
    return {cell: record._replace(attempt=0) for cell, record in rows.items() if isinstance(record, Record)}


def launches_of(results: Path) -> dict[int, dict[str, AnyRow]]:
    return {launch: first_start(rows) for launch, rows in read_records(rows_of(results)).items()}


def cut_short(results: Path, stops: dict[int, tuple[int, type[BaseException]]]) -> Gated:
    """A gate that is stopped, and gone on with until it is done."""
    engine = PlayedEngine(SLOWER, stops=stops)
    with new_run(results, SHORT) as run, pytest.raises(next(iter(stops.values()))[1]):
        go_on(run, SHORT, engine)
    for _ in range(10):
        with again(results) as run:
            try:
                return go_on(run, SHORT, engine)
            except (EngineLost, KeyboardInterrupt):
                continue
    raise AssertionError("it is never done")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gated, Path]:
    results = tmp_path_factory.mktemp("whole")
    return gate(results, SLOWER, SHORT), results


@pytest.mark.parametrize(
    ("stops", "exception"),
    [
        ({0: 0}, KeyboardInterrupt),
        ({0: 3}, EngineLost),
        ({1: 0}, EngineLost),
        ({1: 6}, KeyboardInterrupt),
        ({5: 2}, KeyboardInterrupt),
        ({9: 5}, EngineLost),
        ({10: 0}, KeyboardInterrupt),
        ({21: 0}, EngineLost),
        ({0: 1, 3: 2, 4: 0, 15: 0}, KeyboardInterrupt),
        ({0: 1, 3: 2, 4: 0, 15: 0}, EngineLost),
    ],
    ids=str,
)
def test_a_gate_that_was_cut_short_ends_as_one_that_was_not(
    tmp_path: Path, whole: tuple[Gated, Path], stops: dict[int, int], exception: type[BaseException]
) -> None:
    expected, other_results = whole
    found = cut_short(tmp_path, {start: (cells, exception) for start, cells in stops.items()})
    assert found.judged == expected.judged
    assert [without_starts(each) for each in found.progress.blocks] == [without_starts(each) for each in expected.progress.blocks]
    assert launches_of(tmp_path) == launches_of(other_results)
    with again(tmp_path) as one, again(other_results) as other:
        assert one.manifest()["launches"] == other.manifest()["launches"]
        assert one.manifest()["planned_rows"] == other.manifest()["planned_rows"]
        assert len(one.rows()) == len(other.rows())


def test_nothing_is_measured_twice(tmp_path: Path) -> None:
    cut = cut_short(tmp_path, {7: (2, KeyboardInterrupt)})
    # The start that was stopped had measured two of its six cells; the one after it measures four.
    seventh = [cells for launch, _, cells in cut.launches if launch == 7]
    assert [len(cells) for cells in seventh] == [6, 4]


def test_a_gate_that_is_done_is_only_judged_again(tmp_path: Path) -> None:
    whole = gate(tmp_path, SLOWER)
    engine = PlayedEngine(SLOWER)
    with again(tmp_path) as run:
        same = go_on(run, whole.setup, engine)
    assert engine.requests == []
    assert same.judged == whole.judged
    assert same.measured.seconds == whole.measured.seconds > 0
    assert replay(whole.setup, read_records(rows_of(tmp_path))).blocks == whole.progress.blocks


def test_launches_that_the_engine_lost_are_void_and_not_forgotten(tmp_path: Path) -> None:
    """Measured again in their own block they would change what the blocks behind it were asked for."""

    def lost(launch: int) -> Played:
        return Played(status=Status.INFRA_ERROR, reason="disk full") if launch < 4 else Played()

    found = gate(tmp_path, planted(softmax=lost))
    assert found.judged.decision == Decision.PASS
    assert [item.reason for item in found.progress.voided] == ["lost: disk full"] * 2


def test_the_time_ends_between_blocks_and_what_is_undecided_is_no_pass(tmp_path: Path) -> None:
    # A block of 6 cells takes 120 s; after 6 of them and six of 20 s there is no time for another one as long as the last.
    found = gate(tmp_path, planted(softmax=Played(seconds=1.1e-3)), deadline=845.0)
    assert found.measured.out_of_time
    assert len(found.progress.blocks) == 12
    assert found.verdicts["softmax"] == Verdict.INCONCLUSIVE
    assert "the time was up" in found.finding("softmax").reason
    assert found.judged.decision == Decision.INCONCLUSIVE
    assert "the time is up, 1 of 6 cells undecided" in found.said[-1]
    with again(tmp_path) as run:
        rest = go_on(run, found.setup, PlayedEngine(planted(softmax=Played(seconds=1.1e-3))))
    assert not rest.measured.out_of_time
    assert rest.judged == gate(tmp_path / "whole", planted(softmax=Played(seconds=1.1e-3))).judged


def test_a_resumed_gate_knows_how_long_its_blocks_take(tmp_path: Path) -> None:
    first = gate(tmp_path, alike, deadline=250.0)
    assert len(first.progress.blocks) == 2
    engine = PlayedEngine(alike)
    with again(tmp_path) as run:
        second = go_on(run, first.setup, engine, deadline=100.0)
    assert engine.requests == []
    assert second.measured.out_of_time


def test_no_time_at_all_is_inconclusive(tmp_path: Path) -> None:
    found = gate(tmp_path, alike, deadline=-1.0)
    assert found.launches == ()
    assert found.judged.decision == Decision.INCONCLUSIVE
    assert found.judged.placebo is None


def test_rows_of_another_plan_are_not_gone_on_with(tmp_path: Path) -> None:
    found = gate(tmp_path, alike, deadline=250.0)
    with again(tmp_path) as run:
        for other in ({"seed": 2}, {"cells": found.setup.cells[:3]}, {"candidate": PlannedImage(name="other")}):
            with pytest.raises(SelectionError, match="start a new run"):
                go_on(run, dataclasses.replace(found.setup, **other), PlayedEngine(alike))


def test_a_row_that_holds_what_nobody_measured_is_a_lost_one(tmp_path: Path) -> None:
    def broken(launch: int) -> Played:
        return Played(columns={"backend_p05_seconds": -1.0} if launch < 2 else {})

    found = gate(tmp_path, planted(softmax=broken))
    assert found.judged.decision == Decision.PASS
    assert [item.reason for item in found.progress.voided] == ["lost: there is no row"]


def test_the_device_s_clock_goes_before_the_host_s(tmp_path: Path) -> None:
    """What contends for the processor is not in it, and a later row without it has no time."""

    def busy(launch: int) -> Played:
        return Played(seconds=1.1e-3, noise=0.3, device=True, columns={"cpu_waiting": 0.5})

    def loses_its_clock(launch: int) -> Played:
        return Played(device=launch < 6)

    def both(image: object, cell: object, launch: int) -> Played:
        name = getattr(cell, "workload", "")
        chosen = {"micro/softmax": busy, "micro/sort": loses_its_clock}.get(name) if image == NEW else None
        return chosen(launch) if chosen else Played(device=True, noise=0.3 if name == "micro/softmax" else 0.01)

    found = gate(tmp_path, both)
    assert found.finding("softmax").clock == "device"
    assert found.verdicts["softmax"] == Verdict.REGRESSED
    assert found.verdicts["sort"] == Verdict.INCONCLUSIVE
    assert "without a time" in found.finding("sort").reason


def test_more_void_rows_than_a_screen_holds_are_counted(tmp_path: Path) -> None:
    found = gate(tmp_path, lambda image, cell, launch: Played(columns={"cpu_waiting": 0.5} if launch < 2 else {}))
    assert sum("void: micro" in line for line in found.said) == 10
    assert "  void: 2 more rows" in found.said
    assert found.setup == setup_of(MICRO)
