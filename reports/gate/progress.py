"""What the gate knows after some blocks: a fold over their rows, and so the same whether they are measured, resumed or read. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records import Status
from reports.gate.blocks import block_of, is_measured, plan_block
from reports.gate.failures import Failures, adjusted, count, none_yet
from reports.gate.observe import Block, Voided, clock_of, observe
from reports.gate.procedure import Stage, State, advance, begin, stop
from reports.gate.rows import Launches
from reports.gate.setup import GateSetup
from reports.statistics import Booleans, Floats

TIMELESS_BLOCKS = 2
"""In which a cell passes in both images and has no time: further ones would say the same."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Never changed: ``follow`` makes the next one. Arrays are (cells,)."""

    state: State
    failures: Failures
    clocks: Mapping[str, str]
    """By which clock a cell is judged: as the first block in which it passes in both images has it, and for good."""
    counted: NDArray[np.int64]
    """Blocks of a cell that are not void."""
    voids: NDArray[np.int64]
    """Void blocks of a cell since the last that counted."""
    timeless: NDArray[np.int64]
    """Of those that counted, in which it passes in both images, and has no time by the cell's clock in one of them."""
    in_turns: Booleans
    """Whether a cell's differences are of launches that took turns."""
    wanted: Booleans
    """Cells that the next block has to measure."""
    differences: tuple[Floats, ...] = ()
    """By block: what it observed, shape (cells,)."""
    blocks: tuple[Block, ...] = ()
    voided: tuple[Voided, ...] = ()

    @property
    def failure_p(self) -> tuple[Floats, Floats]:
        """(the candidate fails more often, the baseline does): p-values after Holm, of all looks; shape (cells,) each."""
        # A confirmation is a look more.
        looks = len(self.state.procedure.looks) + (self.state.flagged != Stage.SCREEN)
        return adjusted(self.failures, looks.astype(np.int64))


def start(setup: GateSetup) -> Progress:
    """No block yet."""
    # Cells of images are looked at by another margin, and never decided here: see ``follow``.
    names = ["image_time" if of_image else "latency" for of_image in setup.of_image]
    margins = [setup.margins[name][index] for index, name in enumerate(names)]
    state = begin(setup.procedure, [margin.delta for margin in margins], [margin.tolerable for margin in margins])
    state = stop(state, setup.used_up(0))
    none = np.zeros(len(setup.cells), dtype=np.int64)
    return Progress(
        state=state,
        failures=none_yet(len(none)),
        clocks={},
        counted=none,
        voids=none,
        timeless=none,
        in_turns=none.astype(bool),
        wanted=state.wanted,
    )


def follow(setup: GateSetup, progress: Progress, block: Block) -> Progress:
    """What is known after one more block.

    Measured no more, beside what the procedure decides: cells that pass without a time, those of which there is nothing
    stored any more, and after the first look those that say what an image costs, which have no rounds of their own. A cell that fails in
    some launches is measured until its failures say enough (see ``failures``), or has had as many blocks as any.
    """
    wanted = progress.wanted
    clocks = _clocks(progress.clocks, setup.ids, wanted, block)
    seen = observe(setup.ids, wanted.tolist(), block, clocks, setup.limits)
    counts = wanted & ~seen.void
    counted = progress.counted + counts
    looked = counts & np.isin(counted, setup.procedure.looks)
    failures = count(progress.failures, seen.baseline, seen.candidate, looked)
    passed = np.array([Status.PASSED.issuperset(pair) for pair in zip(seen.baseline, seen.candidate, strict=True)], dtype=bool)
    # The size of an image is no time: a row without one is as it should be there.
    timeless = progress.timeless + (counts & passed & np.isnan(seen.differences) & ~setup.of_image)
    moved = dataclasses.replace(
        progress,
        state=advance(progress.state, seen.differences, seen.void),
        failures=failures,
        clocks=clocks,
        counted=counted,
        voids=np.where(counts, 0, progress.voids + (wanted & seen.void)),
        timeless=timeless,
        in_turns=progress.in_turns | seen.in_turns,
        differences=(*progress.differences, seen.differences),
        blocks=(*progress.blocks, block),
        voided=(*progress.voided, *seen.voided),
    )
    return _wanting(setup, moved, setup.used_up(block.index + 1))


def _wanting(setup: GateSetup, progress: Progress, used_up: Booleans) -> Progress:
    """With what the next block has to measure."""
    procedure = setup.procedure
    failing = np.zeros(len(setup.cells), dtype=bool)
    failing[list(progress.failures.failed)] = True
    open_ended = np.zeros(len(setup.cells), dtype=bool)
    open_ended[[index for index in progress.failures.failed if progress.failures.wants_more(index)]] = True
    most = procedure.looks[-1] + procedure.confirm * (progress.state.flagged != Stage.SCREEN)
    over = used_up | (progress.timeless >= TIMELESS_BLOCKS) | (setup.of_image & (progress.counted >= procedure.looks[0]))
    over |= failing & (progress.counted >= most)
    # What further launches of it would only say again.
    over |= failing & ~open_ended & _never_both_pass(progress.failures)
    state = stop(progress.state, over)
    worse, better = progress.failure_p
    # A baseline that fails now and then has times all the same.
    told = (worse <= procedure.alpha) | ((better <= procedure.alpha) & _never_both_pass(progress.failures))
    more = open_ended & ~over & (progress.voids <= procedure.repeats)
    return dataclasses.replace(progress, state=state, wanted=(state.wanted | more) & ~told)


def _never_both_pass(failures: Failures) -> Booleans:
    """Cells of which no block can have a time: one of the images has always failed; shape (cells,)."""
    found = np.zeros(len(failures.worse), dtype=bool)
    found[[index for index in failures.failed if any(failures.always(index))]] = True
    return found


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
