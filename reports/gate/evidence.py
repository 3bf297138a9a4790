"""The rows that count, laid out for judging: by image, cell and block. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Status
from reports.gate.observe import DEVICE, HOST, NEVER_MEASURED, Block, Limits, latency, reason_to_void, tells_status
from reports.gate.rows import AnyRow
from reports.statistics import Floats


@dataclass(frozen=True, kw_only=True)
class Launched:
    """Of one image."""

    counting: tuple[tuple[AnyRow, ...], ...]
    """By cell: the rows that say what became of it, in the order of the blocks."""
    passing: tuple[tuple[AnyRow | None, ...], ...]
    """By cell and block: the row where it counts and passes."""
    lost: tuple[tuple[AnyRow, ...], ...]
    """By cell: rows that say that its launch was lost, or died, before it was measured."""

    def of(self, cells: Sequence[int]) -> Launched:
        return Launched(
            counting=tuple(self.counting[cell] for cell in cells),
            passing=tuple(self.passing[cell] for cell in cells),
            lost=tuple(self.lost[cell] for cell in cells),
        )

    def values(self, value: Callable[[AnyRow], float | None]) -> Floats:
        """A number of the rows that pass; shape (cells, blocks), NaN where there is none."""
        return _array([[None if row is None else value(row) for row in rows] for rows in self.passing])

    def seconds(self, device: Sequence[bool]) -> Floats:
        """Latencies, each cell's by its clock; device: whether that is the device's. Shape (cells, blocks)."""
        read = {True: functools.partial(latency, clock=DEVICE), False: functools.partial(latency, clock=HOST)}
        return _array([[None if row is None else read[by](row) for row in rows] for by, rows in zip(device, self.passing, strict=True)])


@dataclass(frozen=True, kw_only=True)
class Evidence:
    baseline: Launched
    candidate: Launched

    def of(self, cells: Sequence[int]) -> Evidence:
        """Of some cells, by their places."""
        return Evidence(baseline=self.baseline.of(cells), candidate=self.candidate.of(cells))


def gather(cells: Sequence[str], blocks: Sequence[Block], clocks: Mapping[str, str], limits: Limits) -> Evidence:
    """A row that is void in one image takes nothing from the other's: what became of a cell is said by each alone."""
    sides = ([block.baseline for block in blocks], [block.candidate for block in blocks])
    baseline, candidate = (_launched(cells, side, clocks, limits) for side in sides)
    return Evidence(baseline=baseline, candidate=candidate)


def _launched(cells: Sequence[str], launches: Sequence[Mapping[str, AnyRow]], clocks: Mapping[str, str], limits: Limits) -> Launched:
    counting, passing, lost = [], [], []
    for cell in cells:
        clock = clocks.get(cell, HOST)
        rows = [each.get(cell) for each in launches]
        void = [row is None or bool(reason_to_void(row, clock, limits)) for row in rows]
        counting.append(tuple(row for row, unseen in zip(rows, void, strict=True) if row is not None and (not unseen or tells_status(row))))
        lost.append(tuple(row for row in rows if row is not None and row.status in NEVER_MEASURED))
        passing.append(
            tuple(
                row if row is not None and not unseen and row.status in Status.PASSED else None
                for row, unseen in zip(rows, void, strict=True)
            )
        )
    return Launched(counting=tuple(counting), passing=tuple(passing), lost=tuple(lost))


def _array(values: Sequence[Sequence[float | None]]) -> Floats:
    """NaN for None."""
    return np.array(values, dtype=np.float64).reshape(len(values), -1)
