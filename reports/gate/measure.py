"""The gate's loop: verdicts ask for blocks, blocks change verdicts.

What the next block measures is a pure function of the rows before it. So a gate is resumed by running the same loop over the rows that are
there: launches that are whole are passed over, and the first that is not is measured on.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matrix.engines.engine import Engine, Environment
from matrix.errors import SelectionError
from matrix.plan import Launch, PlannedImage
from matrix.provenance import GATE, plan_further, plan_of
from matrix.runner import Say, Settings
from matrix.store import RESULTS, Run
from matrix.together import run_together
from reports import format as formats
from reports.gate.blocks import block_of, is_measured, plan_block
from reports.gate.observe import Voided
from reports.gate.progress import Progress, follow, start
from reports.gate.rows import Launches, read_records
from reports.gate.setup import GateSetup
from reports.gate.wording import counted

BLOCK_SECONDS = "block_seconds"
"""In the gate's part of the manifest: how long each block took that was measured without a stop."""
TOLD_VOIDS = 10
"""Void rows of a block that are said one by one."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Time for measuring."""

    deadline: float | None = None
    """By the clock; None: as long as it takes."""
    clock: Callable[[], float] = time.monotonic

    def allows(self, seconds: float) -> bool:
        return self.deadline is None or self.clock() + seconds <= self.deadline


@dataclass(frozen=True, kw_only=True)
class Measured:
    progress: tuple[Progress, ...]
    """By comparison."""
    launches: int
    """That were measured for all of them."""
    seconds: float
    """Of all blocks, those of the commands before a resumed one too."""
    out_of_time: bool = False
    """Cells are still wanted, and another block would have ended too late."""


def measure(
    setups: Sequence[GateSetup],
    settings: Settings,
    run: Run,
    engine: Engine | None,
    environments: Mapping[PlannedImage, Environment],
    say: Say,
    budget: Budget,
) -> Measured:
    """Measure until nothing is wanted any more, or until another block as long as the last would end behind the deadline.

    setups: comparisons of one candidate; engine: None where all was measured before. Raises what ``run_together`` raises; every row that was
    measured until then is in the run. SelectionError for a run whose launches are others: it was begun by another version of this.
    """
    rows = read_records(run.directory / RESULTS)
    taken: list[float] = list(run.manifest()[GATE].get(BLOCK_SECONDS, []))
    planned = {launch.index: launch for launch in plan_of(run.manifest()).launches}
    progress = [start(setup) for setup in setups]
    started = 0
    for number in itertools.count():
        if not any(each.wanted.any() for each in progress):
            break
        launches = plan_block(setups, number, [each.wanted for each in progress])
        if any(planned.get(launch.index, launch) != launch for launch in launches):
            raise SelectionError(f"block {number + 1} of {run.directory} is not the one that its rows ask for\n  next: start a new run")
        voids = [len(each.voided) for each in progress]
        if is_measured(launches, rows):
            progress = _follow(setups, progress, number, launches, rows)
            started += len(launches)
            continue
        if not budget.allows(taken[-1] if taken else 0.0):
            say(f"block {number + 1} is not begun: the time is up, {_undecided(progress)}")
            return Measured(progress=tuple(progress), launches=started, seconds=sum(taken), out_of_time=True)
        say(f"block {number + 1}: {', then '.join(_what(launch) for launch in launches)}")
        assert engine is not None  # who has launches has an engine
        began = budget.clock()
        _measure_block(launches, settings, run, engine, environments, say)
        taken.append(budget.clock() - began)
        run.update_manifest(lambda manifest: manifest[GATE].update({BLOCK_SECONDS: taken}))
        rows = read_records(run.directory / RESULTS)
        progress = _follow(setups, progress, number, launches, rows)
        started += len(launches)
        for before, each in zip(voids, progress, strict=True):
            _tell_voids(each.voided[before:], say)
        say(f"block {number + 1}: {formats.span(taken[-1])}, {_undecided(progress)}")
    return Measured(progress=tuple(progress), launches=started, seconds=sum(taken))


def _follow(
    setups: Sequence[GateSetup], progress: Sequence[Progress], number: int, launches: Sequence[Launch], rows: Launches
) -> list[Progress]:
    """A comparison that wants nothing any more has no part in a block."""
    return [
        follow(setup, each, block_of(setup, number, launches, rows)) if each.wanted.any() else each
        for setup, each in zip(setups, progress, strict=True)
    ]


def _measure_block(
    launches: Sequence[Launch],
    settings: Settings,
    run: Run,
    engine: Engine,
    environments: Mapping[PlannedImage, Environment],
    say: Say,
) -> None:
    def plan(manifest: dict[str, Any]) -> None:
        plan_further(manifest, launches)

    run.update_manifest(plan)
    run_together(launches, settings, engine, environments, run, say)


def _what(launch: Launch) -> str:
    return f"{launch.side} ({counted(len(launch.cells), 'cell')})"


def _undecided(progress: Sequence[Progress]) -> str:
    wanted = sum(int(each.wanted.sum()) for each in progress)
    if not wanted:
        return "every cell is decided or given up"
    return f"{wanted} of {counted(sum(len(each.wanted) for each in progress), 'cell')} undecided"


def _tell_voids(voided: Sequence[Voided], say: Say) -> None:
    for item in voided[:TOLD_VOIDS]:
        say(f"  void: {item.cell} of the {item.image}: {item.reason}")
    if len(voided) > TOLD_VOIDS:
        say(f"  void: {counted(len(voided) - TOLD_VOIDS, 'more row')}")
