"""What one block says: the rows of its two launches as differences, and what nobody may look at. Pure.

Voids are decided by the state of the machine alone, before any latency is read.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Status, Warn
from reports.gate.rows import AnyRow
from reports.statistics import Booleans, Floats

HOST, DEVICE = "host", "device"
Pair = tuple[str, str]
"""Texts of the baseline's slices and of the candidate's."""
FEWEST_SLICES = 5
"""For a median that two disturbed slices do not move. Of launches with fewer (a few long calls, or a few samples) levels compare: a single
slice of one disturbed sample was 20 times as long as the others."""
NEVER_MEASURED = (Status.INFRA_ERROR,)
"""Statuses that say something of the engine and nothing of the image."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Beyond which a row is void."""

    cpu_waiting: float = 0.05
    """Share of the timed region in which threads of the launch waited for a processor; where that is not told, anything on the machine."""
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
    together: bool
    """Whether both were measured in this block, and not each in one of its own."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Of one block; arrays are (cells,), in the order of the gate's cells."""

    differences: Floats
    """Logarithm of the candidate's latency over the baseline's; NaN where there is none."""
    in_turns: Booleans
    """Whether that is a ratio of slices, and not of the levels of launches."""
    void: Booleans
    """Whether the block says nothing of the cell, and has to be measured again."""
    baseline: tuple[str, ...]
    """By cell, the status that the row tells, whatever its numbers are worth; empty where it tells none."""
    candidate: tuple[str, ...]
    voided: tuple[Voided, ...]


def observe(cells: Sequence[str], wanted: Sequence[bool], block: Block, clocks: Mapping[str, str], limits: Limits) -> Observation:
    """wanted: the cells that the block was to measure; clocks: by which clock each cell is judged, see ``clock_of``."""
    size = len(cells)
    differences = np.full(size, np.nan)
    void, in_turns = (np.zeros(size, dtype=bool) for _ in range(2))
    told: tuple[list[str], list[str]] = ([""] * size, [""] * size)
    voided: list[Voided] = []
    slices: dict[int, Pair] = {}
    for index, (cell, asked) in enumerate(zip(cells, wanted, strict=True)):
        if not asked:
            continue
        rows = (block.baseline.get(cell), block.candidate.get(cell))
        clock = clocks.get(cell, HOST)
        reasons = [reason_to_void(row, clock, limits) for row in rows]
        one, other = rows
        for side, row, reason in zip(told, rows, reasons, strict=True):
            side[index] = row.status if row is not None and (not reason or tells_status(row)) else ""
        statuses = [side[index] for side in told]
        if all(statuses) and not Status.PASSED.issuperset(statuses):
            # Whatever the host was like: what failed has no time that it could have spoiled.
            continue
        if not any(reasons) and block.together and clock == HOST:
            reasons = [reason_apart(one, other), ""]
        if any(reasons):
            void[index] = True
            sides = ("baseline", "candidate")
            voided += [
                Voided(block=block.index, image=side, cell=cell, reason=reason)
                for side, reason in zip(sides, reasons, strict=True)
                if reason
            ]
            continue
        assert one is not None  # else it is void
        assert other is not None
        before, after = latency(one, clock), latency(other, clock)
        if before and after:
            differences[index] = math.log(after) - math.log(before)
            if block.together and clock == HOST and one.backend_slice_seconds:
                slices[index] = (one.backend_slice_seconds, other.backend_slice_seconds)
    for index, difference in zip(slices, slice_differences(list(slices.values())), strict=True):
        if math.isfinite(difference):
            differences[index], in_turns[index] = difference, True
    return Observation(
        differences=differences,
        in_turns=in_turns,
        void=void,
        baseline=tuple(told[0]),
        candidate=tuple(told[1]),
        voided=tuple(voided),
    )


def slice_differences(pairs: Sequence[Pair]) -> Floats:
    """Of launches that took turns: the median over their slices of the logarithm of the ratio, second over first; shape (pairs,).

    Slices of the same number lie beside each other in time, so that what the machine did then is in both. NaN where texts are no slices, or fewer than ``FEWEST_SLICES``.
    """
    found = np.full(len(pairs), np.nan)
    by_counts: dict[tuple[int, int], list[int]] = {}
    for index, (one, other) in enumerate(pairs):
        by_counts.setdefault((one.count(" ") + 1, other.count(" ") + 1), []).append(index)
    for counts, group in by_counts.items():
        count = min(counts)
        if count >= FEWEST_SLICES:
            # All texts of a group at once: ten thousand cells have millions of slices.
            read = _floats(" ".join(text for index in group for text in pairs[index]), len(group) * sum(counts))
            both = read.reshape(len(group), sum(counts))
            values = np.stack([both[:, :count], both[:, counts[0] : counts[0] + count]], axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                found[group] = np.median(np.log(values[:, 1]) - np.log(values[:, 0]), axis=-1)
    found[~np.isfinite(found)] = np.nan
    return found


def _floats(text: str, count: int) -> Floats:
    """So many numbers between blanks; NaN for what is none."""
    try:
        with warnings.catch_warnings():
            # In a number's place; an error before numpy 2.
            warnings.simplefilter("error", DeprecationWarning)
            found: Floats = np.fromstring(text, dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        found = np.empty(0)
    return found if len(found) == count else np.array([_float(word) for word in text.split(" ")])


def _float(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def reason_apart(one: AnyRow | None, other: AnyRow | None) -> str:
    """Why rows of launches that were to take turns do not compare; empty where they do, and where no turns were taken."""
    passed = [row for row in (one, other) if row is not None and row.status in Status.PASSED]
    slices = [row.backend_slice_seconds for row in passed]
    if len(passed) < 2 or not any(slices) or (all(slices) and passed[0].attempt == passed[1].attempt):
        return ""
    return "lost: it was measured alone, the other launch had ended early"


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
    waited = row.cpu_pressure if row.cpu_waiting is None else row.cpu_waiting
    if waited is not None and waited > limits.cpu_waiting:
        return f"contended: {waited:.0%} of the time waited for a processor, over {limits.cpu_waiting:.0%}"
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
    passed = [row for row in rows if row.status in Status.PASSED]
    return DEVICE if passed and all(row.backend_device_seconds is not None for row in passed) else HOST


def latency(row: AnyRow, clock: str) -> float | None:
    """Of a launch, in seconds: the median sample of device time, the 5th percentile of host time, which other load only ever lengthens."""
    return row.backend_device_seconds if clock == DEVICE else row.backend_p05_seconds
