"""The rows that count, laid out for judging: by image, cell and block. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Status
from reports.gate.observe import DEVICE, HOST, Block, Limits, latency, reason_to_void
from reports.gate.rows import AnyRow
from reports.statistics import Floats


@dataclass(frozen=True, kw_only=True)
class Launched:
    """Of one image."""

    counting: tuple[tuple[AnyRow, ...], ...]
    """By cell: the rows that are not void, in the order of the blocks."""
    passing: tuple[tuple[AnyRow | None, ...], ...]
    """By cell and block: the row where it counts and passes."""

    def values(self, value: Callable[[AnyRow], float | None]) -> Floats:
        """A number of the rows that pass; shape (cells, blocks), NaN where there is none."""
        found = [[np.nan if row is None or (number := value(row)) is None else number for row in rows] for rows in self.passing]
        return np.array(found, dtype=np.float64).reshape(len(self.passing), -1)

    def seconds(self, device: Sequence[bool]) -> Floats:
        """Latencies, each cell's by its clock; device: whether that is the device's. Shape (cells, blocks)."""
        by_host, by_device = (self.values(lambda row, clock=clock: latency(row, clock)) for clock in (HOST, DEVICE))  # type: ignore[misc]
        return np.where(np.asarray(device, dtype=bool)[:, None], by_device, by_host)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    baseline: Launched
    candidate: Launched


def gather(cells: Sequence[str], blocks: Sequence[Block], clocks: Mapping[str, str], limits: Limits) -> Evidence:
    """A row that is void in one image takes nothing from the other's: what became of a cell is said by each alone."""
    sides = ([block.baseline for block in blocks], [block.candidate for block in blocks])
    baseline, candidate = (_launched(cells, side, clocks, limits) for side in sides)
    return Evidence(baseline=baseline, candidate=candidate)


def _launched(cells: Sequence[str], launches: Sequence[Mapping[str, AnyRow]], clocks: Mapping[str, str], limits: Limits) -> Launched:
    counting, passing = [], []
    for cell in cells:
        clock = clocks.get(cell, HOST)
        rows = [row if row is not None and not reason_to_void(row, clock, limits) else None for row in (rows.get(cell) for rows in launches)]
        counting.append(tuple(row for row in rows if row is not None))
        passing.append(tuple(row if row is not None and row.status == Status.PASS else None for row in rows))
    return Launched(counting=tuple(counting), passing=tuple(passing))
