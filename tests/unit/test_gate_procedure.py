"""The gate's state machine: what is measured next, and what is said of it in the end."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.gate.procedure import Outcome, Procedure, Stage, State, Verdict, advance, begin, conclude, relative, stop
from reports.statistics import Floats

LOOKS = (6, 10, 16)


def fresh(cells: int = 1, procedure: Procedure | None = None) -> State:
    return begin(procedure or Procedure(), np.full(cells, 0.02), np.full(cells, 0.05))


def fed(state: State, blocks: Floats, limit: int = 1000) -> tuple[State, int]:
    """Blocks of shape (blocks, cells), in turns until nothing more is wanted; how many it took."""
    used = 0
    nothing = np.zeros(len(state.stage), dtype=bool)
    while not state.done and used < limit:
        state = advance(state, blocks[used % len(blocks)], nothing)
        used += 1
    return state, used


def constant(*effects: float) -> Floats:
    """The same effect in every block, with noise that is symmetric and small."""
    noise = np.linspace(-1e-4, 1e-4, 5)[:, None]
    blocks: Floats = np.log1p(np.array(effects))[None, :] + noise
    return blocks


@pytest.mark.parametrize(
    ("effect", "verdict", "blocks"),
    [
        (0.0, Verdict.EQUIVALENT, 6),
        (0.015, Verdict.EQUIVALENT, 6),
        (0.03, Verdict.REGRESSED, 6 + 15),
        (0.10, Verdict.REGRESSED, 6 + 15),
        (-0.015, Verdict.EQUIVALENT, 6),
        (-0.20, Verdict.IMPROVED, 6 + 15),
    ],
)
def test_a_clear_effect_has_its_verdict(effect: float, verdict: Verdict, blocks: int) -> None:
    state, used = fed(fresh(), constant(effect))
    outcome = conclude(state)
    assert (outcome.verdict[0], used) == (verdict, blocks)
    assert relative(float(outcome.estimate[0])) == pytest.approx(effect, abs=1e-3)


def test_a_false_alarm_does_not_survive_fresh_blocks() -> None:
    state, _ = fed(fresh(), constant(0.04), limit=6)
    assert state.stage[0] == Stage.SLOWER
    assert conclude(state).verdict[0] == Verdict.INCONCLUSIVE, "not before the fresh blocks are there"
    state, used = fed(state, constant(0.0))
    outcome = conclude(state)
    assert (outcome.verdict[0], used) == (Verdict.EQUIVALENT, 15)
    # The size is the one from the confirmation: what flagged it is not in it.
    assert relative(float(outcome.estimate[0])) == pytest.approx(0.0, abs=1e-3)


def test_noise_that_hides_the_answer_is_looked_at_to_the_end_and_is_inconclusive() -> None:
    noise = np.random.default_rng(5).permutation(np.linspace(-0.5, 0.5, 16))[:, None]
    state, used = fed(fresh(), noise)
    assert (used, state.stage[0]) == (16, Stage.UNDECIDED)
    assert conclude(state).verdict[0] == Verdict.INCONCLUSIVE


def test_only_undecided_cells_are_wanted() -> None:
    noise = np.random.default_rng(5).permutation(np.linspace(-0.5, 0.5, 16))
    blocks = np.stack([np.zeros(16), np.full(16, math.log(1.1)), noise], axis=1)
    state = fresh(3)
    nothing = np.zeros(3, dtype=bool)
    asked = []
    for block in blocks:
        asked.append(state.wanted.tolist())
        state = advance(state, block, nothing)
    assert asked[5] == [True, True, True]
    assert asked[6] == [False, True, True], "the first is equivalent, the second is confirmed, the third is looked at again"


def test_a_void_block_is_measured_again_and_not_forever() -> None:
    state = fresh(2)
    void = np.array([True, False])
    for _ in range(2):
        state = advance(state, [9.9, 0.0], void)
    assert state.stage.tolist() == [Stage.SCREEN, Stage.SCREEN]
    assert np.isnan(state.screened[0]).all(), "a void number is looked at by nobody"
    state = advance(state, [9.9, 0.0], void)
    assert state.stage[0] == Stage.VOID
    assert not state.wanted[0]
    assert conclude(state).verdict[0] == Verdict.INCONCLUSIVE
    assert state.voided_in_all.tolist() == [3, 0]


def test_a_block_that_counts_starts_the_repeats_anew() -> None:
    state = fresh()
    for void in (True, True, False, True, True, False):
        state = advance(state, [0.0], [void])
    assert state.stage[0] == Stage.SCREEN
    assert int(np.isfinite(state.screened).sum()) == 2


def test_the_family_is_all_that_was_flagged() -> None:
    """What is significant by itself need not be so among forty that were flagged."""
    # One of 15 differences is negative, the second largest: p = P(T <= 14) = 0.003.
    sizes = 0.005 * np.arange(1, 16) * np.where(np.arange(1, 16) == 14, -1, 1)

    def judged(cells: int) -> Outcome:
        state, _ = fed(fresh(cells), constant(*[0.05] * cells), limit=6)
        assert (state.stage == Stage.SLOWER).all()
        blocks = np.zeros((15, cells))
        blocks[:, 0] = sizes
        return conclude(fed(state, blocks)[0])

    alone, among_forty = judged(1), judged(40)
    assert alone.verdict[0] == Verdict.REGRESSED
    assert among_forty.p[0] == pytest.approx(40 * alone.p[0])
    assert among_forty.verdict[0] == Verdict.INCONCLUSIVE
    assert set(among_forty.verdict[1:]) == {Verdict.EQUIVALENT}


def test_a_cell_that_is_not_confirmed_yet_weighs_on_the_others() -> None:
    def p_of_first(cells: int) -> float:
        state, _ = fed(fresh(cells), constant(*[0.05] * cells), limit=6)
        nothing = np.zeros(cells, dtype=bool)
        for _ in range(15):
            state = advance(state, [0.05] + [math.nan] * (cells - 1), nothing)
        return float(conclude(state).p[0])

    assert p_of_first(10) == pytest.approx(10 * p_of_first(1))


def test_nothing_measured_is_no_verdict() -> None:
    outcome: Outcome = conclude(fresh(3))
    assert (outcome.verdict == Verdict.INCONCLUSIVE).all()
    assert np.isnan(outcome.estimate).all()
    assert outcome.blocks.tolist() == [0, 0, 0]


def test_a_state_is_never_changed() -> None:
    state = fresh()
    before = state.screened.copy()
    advance(state, [0.01], [False])
    np.testing.assert_array_equal(state.screened, before)


def test_margins_are_each_cell_s_own() -> None:
    state = begin(Procedure(), np.array([0.02, 0.2]), np.array([0.05, 0.3]))
    state, _ = fed(state, constant(0.1, 0.1))
    assert conclude(state).verdict.tolist() == [Verdict.REGRESSED, Verdict.EQUIVALENT]


@pytest.mark.parametrize("ending", ["void", "stopped"])
def test_a_confirmation_that_ends_early_tells_what_its_blocks_have_found(ending: str) -> None:
    """What flagged the cell has chosen itself: its size is no estimate."""
    state, _ = fed(fresh(1), constant(0.2), limit=6)
    state, _ = fed(state, constant(0.03), limit=4)
    if ending == "void":
        for _ in range(3):
            state = advance(state, [math.nan], [True])
        assert state.stage.tolist() == [Stage.VOID]
    else:
        state = stop(state, [True])
    found = conclude(state)
    assert (found.verdict[0], found.blocks[0]) == (Verdict.INCONCLUSIVE, 4)
    assert found.estimate[0] == pytest.approx(math.log1p(0.03), abs=0.005)
    alone, _ = fed(fresh(1), constant(0.2), limit=6)
    for _ in range(3):
        alone = advance(alone, [math.nan], [True])
    assert conclude(alone).blocks[0] == 6, "without a fresh block there is nothing else to tell"


def test_a_flagged_cell_that_was_voided_stays_in_the_family() -> None:
    state, _ = fed(fresh(4), constant(*[0.05] * 4), limit=6)
    for _ in range(3):
        state = advance(state, [math.nan] * 4, [False, True, True, True])
    assert state.stage.tolist() == [Stage.SLOWER, Stage.VOID, Stage.VOID, Stage.VOID]
    state, _ = fed(state, constant(*[0.05] * 4))
    assert conclude(state).p[0] == pytest.approx(4 * 2.0**-15)
