"""The blocks of a gate: which launches they are, in which order, and what their rows are. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from harness.cell import Cell
from matrix.plan import Launch, PlannedImage
from reports.gate.observe import Block
from reports.gate.rows import AnyRow, Launches
from reports.gate.setup import GateSetup
from reports.gate.stored import CANDIDATE
from reports.statistics import Booleans


def order(sides: Sequence[str], seed: int, block: int) -> tuple[str, ...]:
    """The sides as a block starts them: drawn for each block alone, so that what is measured later does not depend on how many there are."""
    shuffled = sorted(sides)
    random.Random(f"{seed} block {block}").shuffle(shuffled)
    return tuple(shuffled)


def plan_block(setups: Sequence[GateSetup], block: int, wanted: Sequence[Booleans]) -> tuple[Launch, ...]:
    """The launches of a block in the order in which they are started; none of what was measured before.

    setups: comparisons of one candidate, which is launched once for all of them; wanted: by comparison, cells to measure, shape (cells,).
    """
    images: dict[str, PlannedImage] = {}
    cells: dict[str, dict[Cell, None]] = {}
    for setup, asked in zip(setups, wanted, strict=True):
        chosen = dict.fromkeys(cell for cell, each in zip(setup.cells, asked, strict=True) if each)
        for side, image in setup.live.items():
            images[side] = image
            cells.setdefault(side, {}).update(chosen)
    sides = order(tuple(images), setups[0].seed, block)
    launches = (
        Launch(index=len(sides) * block + place, image=images[side], cells=tuple(cells[side]), block=block, side=side)
        for place, side in enumerate(sides)
    )
    return tuple(launch for launch in launches if launch.cells)


def is_measured(launches: Sequence[Launch], rows: Launches) -> bool:
    """Whether every cell of the launches has its row."""
    return all(cell.id in rows.get(launch.index, {}) for launch in launches for cell in launch.cells)


def block_of(setup: GateSetup, block: int, launches: Sequence[Launch], rows: Launches) -> Block:
    """A comparison's rows of a block: of its launches, and of what was measured before."""
    started = [launch.side for launch in launches if launch.side in setup.live]
    found: dict[str, Mapping[str, AnyRow]] = {launch.side: rows.get(launch.index, {}) for launch in launches}
    for side, turns in setup.stored.items():
        found[side] = turns[block] if block < len(turns) else {}
    return Block(
        index=block,
        baseline=found.get(setup.against, {}),
        candidate=found.get(CANDIDATE, {}),
        candidate_first=started[0] == CANDIDATE if len(started) == 2 else None,
        together=setup.together,
    )
