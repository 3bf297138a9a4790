"""Failures are counts, too: whether a cell fails more often in the candidate than in the baseline, and how sure that is. Pure.

A cell that crashes in one launch of ten does so in every image, and a release must not be blocked for it: what is called worse is worse by
Fisher's exact test of the launches that failed, within Holm's family of the cells that fail at all. A cell is looked at as often as its
times are, and each look has its share of the level.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records import Status
from reports.statistics import Booleans, Floats, fisher_p, holm

SETTLED_BY = 2
"""Launches of each image that settle a cell which ends alike in both, or which an image cannot have: further ones would say the same."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Of a cell: the statuses of the launches that failed."""

    baseline: tuple[str, ...] = ()
    candidate: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Of all cells, after some blocks. Never changed: ``count`` makes the next one. Arrays are (cells,)."""

    baseline_launches: NDArray[np.int64]
    """That tell what became of a cell."""
    candidate_launches: NDArray[np.int64]
    failed: Mapping[int, Failed]
    """By the place of a cell; those that never failed are not there."""
    worse: Floats
    """The smallest p-value of the looks so far that the candidate fails more often; 1 before there is one."""
    better: Floats
    """The same, mirrored."""

    def always(self, index: int) -> tuple[bool, bool]:
        """Whether every launch of the baseline failed, and of the candidate."""
        found = self.failed[index]
        return (
            0 < len(found.baseline) == self.baseline_launches[index],
            0 < len(found.candidate) == self.candidate_launches[index],
        )

    def is_alike(self, index: int) -> bool:
        """Whether all launches of both failed, with the same statuses."""
        found = self.failed[index]
        return all(self.always(index)) and set(found.baseline) == set(found.candidate)

    def is_fact(self, index: int) -> bool:
        """Whether one image cannot have the cell at all and the other can: that does not come and go with launches."""
        found = self.failed[index]
        one, other = cannot(found.baseline, self.baseline_launches[index]), cannot(found.candidate, self.candidate_launches[index])
        return (one and Status.UNSUPPORTED not in found.candidate) or (other and Status.UNSUPPORTED not in found.baseline)

    def wants_more(self, index: int) -> bool:
        """Whether further launches could say something that these do not: the candidate has failed, or the baseline does nothing else."""
        if not (self.failed[index].candidate or self.always(index)[0]):
            return False
        if min(self.baseline_launches[index], self.candidate_launches[index]) < SETTLED_BY:
            return True
        return not (self.is_alike(index) or self.is_fact(index))


def cannot(failed: Sequence[str], launches: int | np.int64) -> bool:
    """Whether all launches ended as ``unsupported``."""
    return 0 < len(failed) == launches and set(failed) == {Status.UNSUPPORTED}


def none_yet(cells: int) -> Failures:
    zero, one = np.zeros(cells, dtype=np.int64), np.ones(cells)
    return Failures(baseline_launches=zero, candidate_launches=zero, failed={}, worse=one, better=one)


def count(failures: Failures, baseline: Sequence[str], candidate: Sequence[str], looked: Booleans) -> Failures:
    """After one more block. baseline, candidate: what it tells of every cell, as a status; empty where it tells nothing. looked: cells
    that have just reached a look; shape (cells,).
    """
    failed = dict(failures.failed)
    for index, statuses in enumerate(zip(baseline, candidate, strict=True)):
        one, other = ((status,) if status and status not in Status.PASSED else () for status in statuses)
        if one or other:
            before = failed.get(index, Failed())
            failed[index] = Failed(baseline=before.baseline + one, candidate=before.candidate + other)
    moved = dataclasses.replace(
        failures,
        baseline_launches=failures.baseline_launches + np.array([bool(status) for status in baseline], dtype=np.int64),
        candidate_launches=failures.candidate_launches + np.array([bool(status) for status in candidate], dtype=np.int64),
        failed=failed,
    )
    return look(moved, looked)


def look(failures: Failures, looked: Booleans) -> Failures:
    """With the p-values of some cells by what is known now; shape (cells,)."""
    cells = np.array([index for index in failures.failed if looked[index]], dtype=np.int64)
    if not len(cells):
        return failures
    worse, better = failures.worse.copy(), failures.better.copy()
    one, other = _counted(failures, cells)
    launches = failures.baseline_launches[cells], failures.candidate_launches[cells]
    worse[cells] = np.minimum(worse[cells], fisher_p(other, launches[1], one, launches[0]))
    alone = [len(failures.failed[cell].baseline) for cell in cells], [len(failures.failed[cell].candidate) for cell in cells]
    better[cells] = np.minimum(better[cells], fisher_p(alone[0], launches[0], alone[1], launches[1]))
    return dataclasses.replace(failures, worse=worse, better=better)


def adjusted(failures: Failures, looks: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """(worse, better): p-values for all looks that a cell may have, and all cells that fail at all; shape (cells,) each, 1 elsewhere.

    looks: how many a cell may have, shape (cells,). The family are the cells that could be called by their counts in both images together:
    one that never fails, or always, cannot (Tarone 1990).
    """
    cells = np.array(sorted(failures.failed), dtype=np.int64)
    found = np.ones(len(failures.worse)), np.ones(len(failures.better))
    if not len(cells):
        return found
    one, other = _counted(failures, cells)
    launches = failures.baseline_launches[cells] + failures.candidate_launches[cells]
    all_failed = np.array([len(failures.failed[cell].baseline) + len(failures.failed[cell].candidate) for cell in cells])
    for into, values, failing in zip(found, (failures.worse, failures.better), (one + other, all_failed), strict=True):
        family = cells[(failing > 0) & (failing < launches)]
        into[family] = holm(np.minimum(1.0, looks[family] * values[family]))
    return found


def _counted(failures: Failures, cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(baseline, candidate): launches that failed; where all of the baseline's do, those that failed otherwise than any of them."""
    one, other = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells), dtype=np.int64)
    for place, cell in enumerate(cells.tolist()):
        found = failures.failed[cell]
        if failures.always(cell)[0]:
            other[place] = sum(status not in found.baseline for status in found.candidate)
        else:
            one[place], other[place] = len(found.baseline), len(found.candidate)
    return one, other
