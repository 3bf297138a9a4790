"""What one block says: the rows of its two launches as differences, and what nobody may look at. Pure.

Voids are decided by the state of the machine alone, before any latency is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Status, Warn
from reports.gate.rows import AnyRow
from reports.statistics import Booleans, Floats

HOST, DEVICE = "host", "device"
NEVER_MEASURED = (Status.INFRA_ERROR,)
"""Statuses that say something of the engine and nothing of the image."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Beyond which a row is void."""

    cpu_pressure: float = 0.05
    """Share of the timed region in which something waited for a processor."""
    cpu_steal: float = 0.05
    """Share of processor time that the hypervisor gave to others."""


@dataclass(frozen=True, kw_only=True)
class Voided:
    """Numbers that nobody looked at."""

    block: int
    image: str
    cell: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """One launch of the baseline and one of the candidate."""

    index: int
    baseline: Mapping[str, AnyRow]
    """By cell."""
    candidate: Mapping[str, AnyRow]
    candidate_first: bool | None
    """Whether it was started first; None where they were not started one after the other."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Of one block; arrays are (cells,), in the order of the gate's cells."""

    differences: Floats
    """Logarithm of the candidate's latency over the baseline's; NaN where there is none."""
    void: Booleans
    baseline_failed: Booleans
    """Whether the row has another status than ``pass``, and is not void."""
    candidate_failed: Booleans
    voided: tuple[Voided, ...]


def observe(cells: Sequence[str], wanted: Sequence[bool], block: Block, clocks: Mapping[str, str], limits: Limits) -> Observation:
    """wanted: the cells that the block was to measure; clocks: by which clock each cell is judged, see ``clock_of``."""
    size = len(cells)
    differences = np.full(size, np.nan)
    void, baseline_failed, candidate_failed = (np.zeros(size, dtype=bool) for _ in range(3))
    voided: list[Voided] = []
    for index, (cell, asked) in enumerate(zip(cells, wanted, strict=True)):
        if not asked:
            continue
        rows = (block.baseline.get(cell), block.candidate.get(cell))
        reasons = [(row, reason_to_void(row, clocks.get(cell, HOST), limits)) for row in rows]
        if any(reason for _, reason in reasons):
            void[index] = True
            sides = ("baseline", "candidate")
            voided += [
                Voided(block=block.index, image=side, cell=cell, reason=reason)
                for side, (_, reason) in zip(sides, reasons, strict=True)
                if reason
            ]
            continue
        one, other = rows
        assert one is not None  # else it is void
        assert other is not None
        baseline_failed[index], candidate_failed[index] = one.status != Status.PASS, other.status != Status.PASS
        before, after = latency(one, clocks.get(cell, HOST)), latency(other, clocks.get(cell, HOST))
        if not baseline_failed[index] and not candidate_failed[index] and before and after:
            differences[index] = math.log(after) - math.log(before)
    return Observation(
        differences=differences, void=void, baseline_failed=baseline_failed, candidate_failed=candidate_failed, voided=tuple(voided)
    )


def reason_to_void(row: AnyRow | None, clock: str, limits: Limits) -> str:
    """Why nobody may look at a row's numbers; empty where anybody may. What the processor suffers is not in a time of the device's."""
    if row is None:
        return "lost: there is no row"
    if row.status in NEVER_MEASURED:
        return f"lost: {row.reason or row.status}"
    if row.warnings and Warn.THROTTLED in row.warnings.split(";"):
        return f"throttled{f' ({row.throttle_reasons})' if row.throttle_reasons else ''}"
    if row.other_gpu_processes:
        return f"contended: {row.other_gpu_processes} other processes on the GPU"
    if clock == DEVICE:
        return ""
    if row.cpu_pressure is not None and row.cpu_pressure > limits.cpu_pressure:
        return f"contended: CPU pressure {row.cpu_pressure:.0%}, over {limits.cpu_pressure:.0%}"
    if row.cpu_steal is not None and row.cpu_steal > limits.cpu_steal:
        return f"contended: stolen processor time {row.cpu_steal:.0%}, over {limits.cpu_steal:.0%}"
    return ""


def tells_status(void: AnyRow) -> bool:
    """Whether a void row says what becomes of the cell in its image all the same: a host whose times tell nothing does not make a crash, but it does
    make a call last until the time is up.
    """
    return void.status not in (*NEVER_MEASURED, Status.TIMEOUT)


def clock_of(rows: Sequence[AnyRow]) -> str:
    """Device time where all rows that pass have it, else host time: never mixed in one cell."""
    passed = [row for row in rows if row.status == Status.PASS]
    return DEVICE if passed and all(row.backend_device_seconds is not None for row in passed) else HOST


def latency(row: AnyRow, clock: str) -> float | None:
    """Of a launch, in seconds: the median sample of device time, the 5th percentile of host time, which other load only ever lengthens."""
    return row.backend_device_seconds if clock == DEVICE else row.backend_p05_seconds
