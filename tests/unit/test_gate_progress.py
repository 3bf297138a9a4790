"""The fold over blocks: who is measured on, by which clock, and when it ends."""

from __future__ import annotations

import itertools
import random

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


def test_a_cell_that_fails_is_measured_until_its_failures_say_enough() -> None:
    """Twice in a row may be chance; every time in the candidate alone is none at the first look, and every time in both is as it was."""
    setup = setup_with("always", "both", "twice", "in the baseline", "never")
    makes = (
        fails_in(*range(99)),
        candidates({"status": Status.OOM}, {"status": Status.OOM}),
        fails_in(0, 1),
        baseline_fails_in(1, 3),
        noisy(),
    )
    assert wanted(after(setup, 2, *makes)) == [True, False, True, True, True]
    assert wanted(after(setup, 5, *makes)) == [True, False, True, True, True]
    assert wanted(after(setup, 6, *makes)) == [False, False, True, True, False]
    assert wanted(after(setup, 8, *makes)) == [False, False, True, False, False], "six of its blocks have times"
    done = after(setup, 99, *makes)
    assert done.counted.tolist() == [6, 2, 16, 8, 6]
    assert done.state.stage.tolist()[2:] == [Stage.EQUIVALENT] * 3, "the blocks without a failure have times"


def baseline_fails_in(*blocks: int) -> Makes:
    return fails_in(*blocks, candidate_fails=False)


def test_what_an_image_cannot_have_at_all_does_not_come_and_go() -> None:
    setup = setup_with("lost", "gained")
    lacks: Columns = {"status": Status.UNSUPPORTED}
    assert wanted(after(setup, 1, candidates(lacks), candidates({}, lacks))) == [True, True]
    assert wanted(after(setup, 2, candidates(lacks), candidates({}, lacks))) == [False, False]


def test_a_cell_that_was_settled_is_measured_on_where_others_begin_to_fail() -> None:
    """What suffices for one that fails is not enough where twenty do."""
    setup = setup_with("always", *[f"later{index}" for index in range(20)])
    later = [fails_in(*range(6, 99), candidate_fails=index % 2 == 0) for index in range(20)]
    makes = (fails_in(*range(99)), *[noisy_but(each, noise=0.1, seed=index) for index, each in enumerate(later)])
    assert not wanted(after(setup, 6, *makes))[0]
    assert wanted(after(setup, 7, *makes))[0]
    done = after(setup, 99, *makes)
    assert done.counted[0] == 10
    assert done.failure_p[0][0] <= 0.05


def noisy_but(fails: Makes, **how: float) -> Makes:
    """A time so noisy that nothing is said of it by the first look."""
    drawn = noisy(**how)  # type: ignore[arg-type]
    return lambda number, candidate: {**(drawn(number, candidate) or {}), **(fails(number, candidate) or {})}


def test_a_flagged_cell_that_begins_to_fail_is_measured_until_that_is_sure() -> None:
    def make(number: int, candidate: bool) -> Columns:
        return {"status": "crash:SIGSEGV"} if candidate and number >= 8 else {"backend_p05_seconds": 1.2e-3 if candidate else 1e-3}

    found = after(setup_with("a"), 99, make)
    assert len(found.blocks) == 16
    assert found.failure_p[0][0] <= 0.05


def test_a_failure_on_a_busy_host_is_one_and_what_passes_there_is_void() -> None:
    setup = setup_with("a", gate=Gate(repeats=2))
    busy = {"cpu_waiting": 0.5, "backend_p05_seconds": 1e-3}
    crash = {**busy, "status": "crash:SIGSEGV"}
    found = after(setup, 99, candidates(crash, busy))
    assert (found.counted.tolist(), found.voided) == ([6], ())
    mixed = after(setup, 99, lambda number, candidate: crash if candidate and number == 1 else busy)
    assert (mixed.counted.tolist(), len(mixed.blocks)) == ([1], 5), "void, one that tells, and void until there are too many"


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_a_cell_that_is_as_flaky_in_both_images_is_called_nothing_and_one_that_always_crashes_is_found(rate: float) -> None:
    """Of 400 gates of one cell; the whole range of rates, and more gates: docs/gate.md."""

    def flaky(seed: int) -> Makes:
        def make(number: int, candidate: bool) -> Columns:
            crashes = random.Random(f"{seed} {number} {candidate} {rate}").random() < rate
            return {"status": "crash:SIGSEGV", "backend_p05_seconds": None} if crashes else {}

        return make

    names = [f"c{index}" for index in range(400)]
    alarms = sum(after_alone(name, flaky(index)).failure_p[0][0] <= 0.05 for index, name in enumerate(names))
    assert alarms <= 20
    dead = after(setup_with(*names), 99, *[fails_in(*range(99))] * 400)
    assert (dead.failure_p[0] <= 0.05).all()
    assert set(dead.counted.tolist()) == {10}, "so many at once take the second look"


def after_alone(name: str, make: Makes) -> Progress:
    return after(setup_with(name), 99, make)


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
