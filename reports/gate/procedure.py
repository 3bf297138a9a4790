"""The sequential procedure of the gate, as a state machine: blocks in, what to measure next and verdicts out. Pure.

A block gives each cell that it measured one number, the logarithm of the ratio of latencies (candidate over baseline). Cells are screened, with
looks after some blocks; what a look flags is measured again, and only fresh blocks say whether it is true. Source: ``docs/gate.md``.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reports.statistics import Booleans, Floats, bound, hodges_lehmann, holm, signed_rank_p


class Stage(enum.IntEnum):
    """Where a cell is."""

    SCREEN = 0
    SLOWER = 1
    """Flagged as slower; fresh blocks confirm it or not."""
    FASTER = 2
    EQUIVALENT = 3
    """Found so by a look."""
    UNDECIDED = 4
    """Nothing was found by the last look."""
    VOID = 5
    """Its blocks were voided more often than they are repeated."""
    STOPPED = 6
    """Measured no more: further blocks would not say more of it (see ``stop``)."""


class Verdict(enum.StrEnum):
    REGRESSED = "regressed"
    IMPROVED = "improved"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


MEASURED = (Stage.SCREEN, Stage.SLOWER, Stage.FASTER)
FLAGGED = (Stage.SLOWER, Stage.FASTER)


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """What the gate goes by (``[gate]`` of matrix.toml)."""

    alpha: float = 0.05
    """One-sided level."""
    looks: tuple[int, ...] = (6, 10, 16)
    """Blocks after which a screened cell is looked at."""
    confirm: int = 15
    """Fresh blocks of a flagged cell."""
    repeats: int = 2
    """How often a voided block of a cell is measured again."""

    @property
    def bound_level(self) -> float:
        """Of the bound by which a cell is equivalent: the level is shared by as many looks as there are by default."""
        return self.alpha / 3


@dataclass(frozen=True, kw_only=True)
class State:
    """Of all cells; arrays are (cells,) or (cells, blocks). Never changed: ``advance`` makes the next one."""

    procedure: Procedure
    worth: Floats
    """``log(1 + delta)``: the smallest effect that matters."""
    tolerable: Floats
    """``log(1 + Delta)``: what must not be missed."""
    stage: NDArray[np.int64]
    flagged: NDArray[np.int64]
    """``SLOWER`` or ``FASTER`` of a cell that a look has flagged, whatever became of it then; else ``SCREEN``."""
    screened: Floats
    """Differences of the screening, NaN where there is none yet."""
    confirmed: Floats
    """Differences of the fresh blocks."""
    voided: NDArray[np.int64]
    """Blocks of a cell that were voided since the last that counted."""
    voided_in_all: NDArray[np.int64]

    @property
    def told_by_fresh_blocks(self) -> Booleans:
        """Cells whose size is that of the confirmation, finished or not: what flagged them has chosen itself. Shape (cells,)."""
        found: Booleans = (self.flagged != Stage.SCREEN) & (counted(self.confirmed) > 0)
        return found

    @property
    def wanted(self) -> Booleans:
        """Cells that the next block has to measure; shape (cells,)."""
        confirming = np.isin(self.stage, FLAGGED) & (counted(self.confirmed) < self.procedure.confirm)
        wanted: Booleans = (self.stage == Stage.SCREEN) | confirming
        return wanted

    @property
    def done(self) -> bool:
        return not self.wanted.any()


def begin(procedure: Procedure, delta: ArrayLike, tolerable: ArrayLike) -> State:
    """No block yet. delta, tolerable: relative slowdowns per cell, as 0.02 and 0.05; shape (cells,)."""
    worth = np.log1p(np.asarray(delta, dtype=np.float64))
    cells = len(worth)
    return State(
        procedure=procedure,
        worth=worth,
        tolerable=np.log1p(np.asarray(tolerable, dtype=np.float64)),
        stage=np.full(cells, Stage.SCREEN, dtype=np.int64),
        flagged=np.full(cells, Stage.SCREEN, dtype=np.int64),
        screened=np.full((cells, procedure.looks[-1]), np.nan),
        confirmed=np.full((cells, procedure.confirm), np.nan),
        voided=np.zeros(cells, dtype=np.int64),
        voided_in_all=np.zeros(cells, dtype=np.int64),
    )


def advance(state: State, differences: ArrayLike, void: ArrayLike) -> State:
    """The state after one more block.

    differences: of the cells that it measured, NaN elsewhere; void: cells that it should have measured, and whose numbers nobody may look at.
    Shape (cells,) each. Cells that are not wanted are passed over.
    """
    values = np.asarray(differences, dtype=np.float64)
    lost = np.asarray(void, dtype=bool) & state.wanted
    taken = np.isfinite(values) & state.wanted & ~lost
    screened, confirmed = state.screened.copy(), state.confirmed.copy()
    for stored, mine in ((screened, taken & (state.stage == Stage.SCREEN)), (confirmed, taken & np.isin(state.stage, FLAGGED))):
        stored[mine, counted(stored)[mine]] = values[mine]
    voided = np.where(taken, 0, state.voided + lost)
    stage = state.stage.copy()
    stage[voided > state.procedure.repeats] = Stage.VOID
    moved = dataclasses.replace(
        state, stage=stage, screened=screened, confirmed=confirmed, voided=voided, voided_in_all=state.voided_in_all + lost
    )
    return _look(moved, taken)


def stop(state: State, cells: ArrayLike) -> State:
    """The state in which some cells are measured no more, whatever is known of them; shape (cells,). Those that are decided stay so."""
    stage = np.where(np.asarray(cells, dtype=bool) & state.wanted, np.int64(Stage.STOPPED), state.stage)
    return dataclasses.replace(state, stage=stage)


def _look(state: State, new: Booleans) -> State:
    """Decide for the cells that have just reached a look."""
    procedure, stage = state.procedure, state.stage.copy()
    counts = counted(state.screened)
    for look in procedure.looks:
        cells = np.flatnonzero((stage == Stage.SCREEN) & new & (counts == look))
        if not len(cells):
            continue
        blocks = state.screened[cells, :look]
        estimate, worth = hodges_lehmann(blocks), state.worth[cells]
        slower = (signed_rank_p(blocks, "greater") <= procedure.alpha) & (estimate >= worth)
        faster = (signed_rank_p(blocks, "less") <= procedure.alpha) & (estimate <= -worth)
        equivalent = bound(blocks, procedure.bound_level, "upper") < state.tolerable[cells]
        found = np.where(equivalent, Stage.EQUIVALENT, Stage.UNDECIDED if look == procedure.looks[-1] else Stage.SCREEN)
        stage[cells] = np.where(slower, Stage.SLOWER, np.where(faster, Stage.FASTER, found))
    flagged = np.where(np.isin(stage, FLAGGED), stage, state.flagged)
    return dataclasses.replace(state, stage=stage, flagged=flagged)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Per cell; shape (cells,)."""

    verdict: NDArray[np.str_]
    estimate: Floats
    """Of the logarithm of the ratio: from the fresh blocks of a flagged cell where it has any, else from the screening; NaN without blocks."""
    low: Floats
    """Bounds of the two-sided interval at ``1 - 2 alpha``, of the same blocks."""
    high: Floats
    p: Floats
    """Of the fresh blocks of a flagged cell, Holm's adjustment included; NaN elsewhere."""
    blocks: NDArray[np.int64]
    """That the estimate is of."""


def conclude(state: State) -> Outcome:
    """Verdicts by what is known now: where cells are still wanted, theirs is ``inconclusive``."""
    procedure = state.procedure
    complete = counted(state.confirmed) == procedure.confirm
    cells = len(state.stage)
    verdict = np.full(cells, Verdict.INCONCLUSIVE, dtype="<U12")
    verdict[state.stage == Stage.EQUIVALENT] = Verdict.EQUIVALENT
    p = np.full(cells, np.nan)
    for stage, alternative, name in ((Stage.SLOWER, "greater", Verdict.REGRESSED), (Stage.FASTER, "less", Verdict.IMPROVED)):
        flagged = np.flatnonzero((state.stage == stage) & complete)
        if not len(flagged):
            continue
        fresh = state.confirmed[flagged]
        raw = signed_rank_p(fresh, alternative)  # type: ignore[arg-type]
        # The family is all that was flagged: what is not confirmed yet, or was voided, has the largest p-value there is.
        family = int(np.sum(state.flagged == stage))
        p[flagged] = holm(np.concatenate([raw, np.ones(family - len(flagged))]))[: len(flagged)]
        estimate, worth = hodges_lehmann(fresh), state.worth[flagged]
        sure = (p[flagged] <= procedure.alpha) & ((estimate >= worth) if stage == Stage.SLOWER else (estimate <= -worth))
        harmless = bound(fresh, procedure.bound_level, "upper") < state.tolerable[flagged]
        verdict[flagged] = np.where(sure, name, np.where(harmless, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE))
    estimate, low, high, blocks = _estimates(state)
    return Outcome(verdict=verdict, estimate=estimate, low=low, high=high, p=p, blocks=blocks)


def _estimates(state: State) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """Grouped by how many blocks cells have, so that each group is one array."""
    cells = len(state.stage)
    estimate, low, high = (np.full(cells, np.nan) for _ in range(3))
    fresh = state.told_by_fresh_blocks
    blocks = np.where(fresh, counted(state.confirmed), counted(state.screened))
    for source, mine in ((state.screened, ~fresh), (state.confirmed, fresh)):
        for count in np.unique(blocks[mine]):
            group = np.flatnonzero(mine & (blocks == count))
            if count == 0:
                continue
            values = source[group, :count]
            estimate[group] = hodges_lehmann(values)
            low[group] = bound(values, state.procedure.alpha, "lower")
            high[group] = bound(values, state.procedure.alpha, "upper")
    return estimate, low, high, blocks


def counted(differences: Floats) -> NDArray[np.int64]:
    """How many blocks each cell has; shape (cells, blocks) -> (cells,)."""
    found: NDArray[np.int64] = np.sum(np.isfinite(differences), axis=-1)
    return found


def relative(logarithm: float) -> float:
    """A ratio's distance from 1, as 0.05 of 1.05."""
    return math.expm1(logarithm)
