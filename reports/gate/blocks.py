"""The blocks of a gate: which launches they are, in which order, and what their rows are. Pure."""

from __future__ import annotations

import random

from matrix.plan import Launch
from reports.gate.observe import Block
from reports.gate.rows import Launches
from reports.gate.setup import BASELINE, CANDIDATE, GateSetup
from reports.statistics import Booleans


def candidate_first(seed: int, block: int) -> bool:
    """Whether a block begins with the candidate: a coin for each block, so that what is measured later does not depend on how many there are."""
    return random.Random(f"{seed} block {block}").random() < 0.5


def plan_block(setup: GateSetup, block: int, wanted: Booleans) -> tuple[Launch, Launch]:
    """The two launches of a block, in the order in which they are started; wanted: cells to measure, shape (cells,)."""
    cells = tuple(cell for cell, asked in zip(setup.cells, wanted, strict=True) if asked)
    sides = [(BASELINE, setup.baseline), (CANDIDATE, setup.candidate)]
    if candidate_first(setup.seed, block):
        sides.reverse()
    first, second = (
        Launch(index=2 * block + place, image=image, cells=cells, block=block, side=side) for place, (side, image) in enumerate(sides)
    )
    return first, second


def is_measured(launches: tuple[Launch, ...], rows: Launches) -> bool:
    """Whether every cell of the launches has its row."""
    return all(cell.id in rows.get(launch.index, {}) for launch in launches for cell in launch.cells)


def block_of(launches: tuple[Launch, Launch], rows: Launches) -> Block:
    """The rows of a block's launches."""
    first, _ = launches
    by_side = {launch.side: rows.get(launch.index, {}) for launch in launches}
    return Block(index=first.index // 2, baseline=by_side[BASELINE], candidate=by_side[CANDIDATE], candidate_first=first.side == CANDIDATE)
