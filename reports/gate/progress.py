"""What the gate knows after some blocks: a fold over their rows, and so the same whether they are measured, resumed or read. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records import Status
from reports.gate.blocks import block_of, is_measured, plan_block
from reports.gate.observe import Block, Voided, clock_of, observe
from reports.gate.procedure import State, advance, begin, stop
from reports.gate.rows import Launches
from reports.gate.setup import GateSetup
from reports.statistics import Booleans, Floats

SETTLED_BY = 2
"""Blocks without a time in one of the images that settle a cell: further ones would say the same."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Never changed: ``follow`` makes the next one. Arrays are (cells,)."""

    state: State
    clocks: Mapping[str, str]
    """By which clock a cell is judged: as the first block in which it passes in both images has it, and for good."""
    counted: NDArray[np.int64]
    """Blocks of a cell that are not void."""
    without_time: NDArray[np.int64]
    """Of these, those in which it failed in one of the images, or has no time there by the cell's clock."""
    in_turns: Booleans
    """Whether a cell's differences are of launches that took turns."""
    differences: tuple[Floats, ...] = ()
    """By block: what it observed, shape (cells,)."""
    blocks: tuple[Block, ...] = ()
    voided: tuple[Voided, ...] = ()

    @property
    def wanted(self) -> Booleans:
        """Cells that the next block has to measure."""
        return self.state.wanted


def start(setup: GateSetup) -> Progress:
    """No block yet."""
    # Cells of images are looked at by another margin, and never decided here: see ``follow``.
    names = ["image_time" if of_image else "latency" for of_image in setup.of_image]
    margins = [setup.margins[name][index] for index, name in enumerate(names)]
    state = begin(setup.procedure, [margin.delta for margin in margins], [margin.tolerable for margin in margins])
    state = stop(state, setup.used_up(0))
    none = np.zeros(len(setup.cells), dtype=np.int64)
    return Progress(state=state, clocks={}, counted=none, without_time=none, in_turns=none.astype(bool))


def follow(setup: GateSetup, progress: Progress, block: Block) -> Progress:
    """What is known after one more block.

    Measured no more, beside what the procedure decides: cells that had no time in ``SETTLED_BY`` blocks, those of which there is nothing
    stored any more, and after the first look those that say what an image costs, which have no rounds of their own.
    """
    wanted = progress.wanted
    clocks = _clocks(progress.clocks, setup.ids, wanted, block)
    seen = observe(setup.ids, wanted.tolist(), block, clocks, setup.limits)
    counts = wanted & ~seen.void
    failed = seen.baseline_failed | seen.candidate_failed
    counted = progress.counted + counts
    # The size of an image is no time: a row without one is as it should be there.
    without_time = progress.without_time + (counts & np.isnan(seen.differences) & (failed | ~setup.of_image))
    settled = (without_time >= SETTLED_BY) | (setup.of_image & (counted >= setup.procedure.looks[0]))
    settled |= setup.used_up(block.index + 1)
    return Progress(
        state=stop(advance(progress.state, seen.differences, seen.void), settled),
        clocks=clocks,
        counted=counted,
        without_time=without_time,
        in_turns=progress.in_turns | seen.in_turns,
        differences=(*progress.differences, seen.differences),
        blocks=(*progress.blocks, block),
        voided=(*progress.voided, *seen.voided),
    )


def replay(setup: GateSetup, rows: Launches) -> Progress:
    """What is known of a run of one comparison, as far as its blocks are whole."""
    progress = start(setup)
    while progress.wanted.any():
        number = len(progress.blocks)
        launches = plan_block([setup], number, [progress.wanted])
        if not is_measured(launches, rows):
            break
        progress = follow(setup, progress, block_of(setup, number, launches, rows))
    return progress


def _clocks(known: Mapping[str, str], cells: Sequence[str], wanted: Booleans, block: Block) -> Mapping[str, str]:
    """Time by two clocks is never mixed: a later row without the clock's time has none."""
    found = dict(known)
    for cell, asked in zip(cells, wanted, strict=True):
        if not asked or cell in found:
            continue
        rows = [row for row in (block.baseline.get(cell), block.candidate.get(cell)) if row is not None and row.status in Status.PASSED]
        if len(rows) == 2:
            found[cell] = clock_of(rows)
    return found
