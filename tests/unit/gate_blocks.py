"""Blocks made by hand: rows without files, for what is judged purely."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from harness.cell import Cell
from harness.records import Status
from matrix.config import Gate
from matrix.plan import PlannedImage
from reports.gate.blocks import order
from reports.gate.observe import Block
from reports.gate.progress import Progress, follow, start
from reports.gate.rows import Record
from reports.gate.setup import GateSetup
from reports.gate.stored import CANDIDATE

Columns = dict[str, Any]
Makes = Callable[[int, bool], Columns | None]
"""Columns of a cell's row, by block and whether it is the candidate's; None: there is no row."""


def setup_with(*names: str, gate: Gate | None = None, seed: int = 1) -> GateSetup:
    """Cells by ``micro/NAME``, or another suite's with it."""
    cells = tuple(Cell(workload=name if "/" in name else f"micro/{name}", backend="inductor") for name in names)
    old, new = (PlannedImage(name="cpu", version=version) for version in ("old", "new"))
    return GateSetup(baseline=old, candidate=new, cells=cells, gate=gate or Gate(), seed=seed)


def row(cell: str, columns: Columns) -> Record:
    """A row that passes in 1 ms, but for its columns."""
    return Record(**{"launch": 0, "cell": cell, "status": Status.PASS, "backend_p05_seconds": 1e-3, **columns})


def candidate_first(setup: GateSetup, number: int) -> bool:
    return order(tuple(setup.live), setup.seed, number)[0] == CANDIDATE


def block(setup: GateSetup, number: int, makes: Sequence[Makes]) -> Block:
    sides = []
    for candidate in (False, True):
        columns = [make(number, candidate) for make in makes]
        sides.append({cell: row(cell, each) for cell, each in zip(setup.ids, columns, strict=True) if each is not None})
    return Block(
        index=number, baseline=sides[0], candidate=sides[1], candidate_first=candidate_first(setup, number), together=setup.together
    )


def after(setup: GateSetup, blocks: int, *makes: Makes) -> Progress:
    """What is known after so many blocks, or when nothing is wanted any more."""
    progress = start(setup)
    for number in range(blocks):
        if progress.wanted.any():
            progress = follow(setup, progress, block(setup, number, makes))
    return progress


def noisy(ratio: float = 1.0, noise: float = 0.01, seed: int = 1, **columns: object) -> Makes:
    """A latency of 1 ms in the baseline and ``ratio`` times that in the candidate."""

    def make(number: int, candidate: bool) -> Columns:
        drawn = random.Random(f"{seed} {number} {candidate}").gauss(0, noise)
        return {"backend_p05_seconds": 1e-3 * (ratio if candidate else 1.0) * (1 + drawn), **columns}

    return make


def candidates(columns: Columns, otherwise: Columns | None = None) -> Makes:
    """The candidate's columns, and the baseline's."""
    return lambda number, candidate: columns if candidate else (otherwise or {})
