"""The fold over blocks: who is measured on, by which clock, and when it ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness.records import Status
from matrix.config import Gate
from reports.gate.blocks import block_of, is_measured, order, plan_block
from reports.gate.observe import DEVICE, HOST
from reports.gate.procedure import Procedure, Stage, Verdict, begin, conclude, stop
from reports.gate.progress import Progress, follow, start
from tests.unit.gate_blocks import Columns, Makes, after, block, candidate_first, candidates, noisy, row, setup_with


def wanted(progress: Progress) -> list[bool]:
    found: list[bool] = progress.wanted.tolist()
    return found


def fails_in(*blocks: int, candidate_fails: bool = True) -> Makes:
    def make(number: int, candidate: bool) -> Columns:
        return {"status": Status.OOM} if number in blocks and candidate == candidate_fails else {}

    return make


def test_a_stopped_cell_is_wanted_no_more_and_has_no_verdict() -> None:
    state = stop(begin(Procedure(), [0.02, 0.02], [0.05, 0.05]), [True, False])
    assert state.wanted.tolist() == [False, True]
    assert state.stage.tolist() == [Stage.STOPPED, Stage.SCREEN]
    assert conclude(state).verdict.tolist() == [Verdict.INCONCLUSIVE] * 2


def test_what_is_decided_is_not_stopped() -> None:
    setup = setup_with("a")
    done = after(setup, 6, noisy())
    assert done.state.stage.tolist() == [Stage.EQUIVALENT]
    assert stop(done.state, [True]).stage.tolist() == [Stage.EQUIVALENT]


def test_a_cell_that_fails_in_two_blocks_is_settled_whichever_image_fails() -> None:
    setup = setup_with("a", "b", "c", "d")
    makes = (fails_in(0, 1), fails_in(0, 3), fails_in(1, candidate_fails=False), noisy())
    assert wanted(after(setup, 2, *makes)) == [False, True, True, True]
    assert wanted(after(setup, 4, *makes)) == [False, False, True, True]
    flaky = after(setup, 7, *makes)
    assert flaky.state.stage.tolist()[:3] == [Stage.STOPPED, Stage.STOPPED, Stage.EQUIVALENT], "one failure is passed over"
    assert flaky.counted.tolist() == [2, 4, 7, 6]


def test_a_flagged_cell_that_begins_to_fail_is_settled_too() -> None:
    def make(number: int, candidate: bool) -> Columns:
        return {"status": "crash:SIGSEGV"} if candidate and number >= 8 else {"backend_p05_seconds": 1.2e-3 if candidate else 1e-3}

    found = after(setup_with("a"), 30, make)
    assert len(found.blocks) == 10
    assert found.state.stage.tolist() == [Stage.STOPPED]


def test_void_blocks_settle_nothing() -> None:
    setup = setup_with("a", gate=Gate(repeats=2))

    def make(number: int, candidate: bool) -> Columns:
        return {"status": Status.OOM, "cpu_waiting": 0.0 if number == 2 else 0.5}

    found = after(setup, 3, make)
    assert wanted(found) == [True]
    assert (found.counted.tolist(), found.without_time.tolist()) == ([1], [1])
    assert after(setup, 9, make).state.stage.tolist() == [Stage.VOID]


@pytest.mark.parametrize("looks", [(6, 10, 16), (7,)])
def test_cells_of_images_have_the_blocks_of_the_first_look(looks: tuple[int, ...]) -> None:
    setup = setup_with("image/start", "image/size", "a", gate=Gate(looks=looks))
    makes = (noisy(ratio=2.0), lambda number, candidate: {"backend_p05_seconds": None, "image_bytes": 5}, noisy(noise=0.2))
    before, at = (after(setup, blocks, *makes) for blocks in (looks[0] - 1, looks[0]))
    assert wanted(before) == [True, True, True]
    assert wanted(at)[:2] == [False, False]
    assert at.counted.tolist()[:2] == [looks[0]] * 2


def test_a_cell_of_an_image_that_fails_is_settled_like_any_other() -> None:
    assert wanted(after(setup_with("image/size"), 2, candidates({"status": Status.UNSUPPORTED}))) == [False]


def test_the_clock_is_that_of_the_first_block_in_which_both_pass() -> None:
    setup = setup_with("a", "b", "c")

    def late(number: int, candidate: bool) -> Columns:
        return {"status": Status.OOM} if number == 0 else {"backend_device_seconds": 1e-3}

    def host_only(number: int, candidate: bool) -> Columns:
        return {} if candidate else {"backend_device_seconds": 1e-3}

    first = after(setup, 1, late, host_only, candidates({"backend_device_seconds": 1e-3}, {"backend_device_seconds": 1e-3}))
    assert dict(first.clocks) == {setup.ids[1]: HOST, setup.ids[2]: DEVICE}
    second = after(setup, 2, late, host_only, candidates({}, {}))
    assert second.clocks[setup.ids[0]] == DEVICE


def test_two_clocks_are_never_mixed() -> None:
    def make(number: int, candidate: bool) -> Columns:
        return {"backend_device_seconds": 1e-3} if number < 3 else {"backend_p05_seconds": 5e-3}

    found = after(setup_with("a"), 9, make)
    assert np.isfinite(found.state.screened).sum() == 3
    assert (len(found.blocks), found.state.stage.tolist()) == (5, [Stage.STOPPED])


def test_every_gate_ends() -> None:
    """Whatever rows say, or leave out: a block in which a cell gets nothing cannot come again and again."""
    makes: list[Makes] = [
        lambda number, candidate: None,
        lambda number, candidate: None if number % 2 else {"status": Status.TIMEOUT},
        lambda number, candidate: {"backend_p05_seconds": None},
        lambda number, candidate: {"cpu_waiting": 0.5} if number % 3 else {},
        noisy(noise=0.5),
        noisy(ratio=3.0, noise=0.5),
        lambda number, candidate: {"cpu_waiting": 0.5} if number % 2 else {"backend_p05_seconds": 2e-3 if candidate else 1e-3},
    ]
    found = after(setup_with(*"abcdefg"), 1000, *makes)
    assert not found.wanted.any()
    assert len(found.blocks) <= 3 * (16 + 15) + 3


def test_cells_that_are_not_wanted_are_passed_over() -> None:
    setup = setup_with("a", "b")
    progress = follow(setup, after(setup, 6, noisy(), noisy(noise=0.3)), block(setup, 6, (candidates({"cpu_waiting": 1.0}), noisy())))
    assert progress.voided == ()
    assert progress.counted.tolist() == [6, 7]


def test_the_order_of_a_block_is_a_coin_of_the_seed_and_the_number_alone() -> None:
    def first(seed: int) -> list[bool]:
        return [order(("baseline", "candidate"), seed, number)[0] == "candidate" for number in range(1000)]

    found = first(7)
    assert found == first(7)
    assert 450 < sum(found) < 550
    assert found != first(8)
    runs = 1 + sum(one != other for one, other in itertools.pairwise(found))
    assert 450 < runs < 550, "no block knows the one before it"


def test_a_block_s_rows_are_told_apart_by_their_launches_and_not_by_the_image() -> None:
    setup = setup_with("a")
    number = next(number for number in range(9) if candidate_first(setup, number))
    launches = plan_block([setup], number, [start(setup).wanted])
    assert [launch.side for launch in launches] == ["candidate", "baseline"]
    rows = {2 * number: {setup.ids[0]: row(setup.ids[0], {"reason": "first"})}}
    assert not is_measured(launches, rows)
    rows[2 * number + 1] = {setup.ids[0]: row(setup.ids[0], {"reason": "second"})}
    assert is_measured(launches, rows)
    found = block_of(setup, number, launches, rows)
    assert (found.index, found.candidate_first) == (number, True)
    assert (found.candidate[setup.ids[0]].reason, found.baseline[setup.ids[0]].reason) == ("first", "second")
