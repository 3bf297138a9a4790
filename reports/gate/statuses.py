"""What became of a cell in either image, and whether the candidate is worse for it. Pure.

A status is no number that varies: an image in which a cell ends otherwise is another image. What fails in one launch of many is flaky,
and flaky is not known.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

from harness.records import Status, Warn
from reports.gate.procedure import Verdict
from reports.gate.report import Finding
from reports.gate.rows import AnyRow
from reports.gate.wording import counted

FEWEST_FAILURES = 2
"""Launches that have to fail, where others pass, for a cell to be broken and not flaky."""


def status_of(rows: Sequence[AnyRow]) -> str:
    """The worst there was: the most frequent failure, else how they passed; empty without rows."""
    failed = Counter(row.status for row in rows if row.status not in Status.PASSED)
    if failed:
        return failed.most_common(1)[0][0]
    return rows[0].status if rows else ""


def judge_status(baseline: Sequence[AnyRow], candidate: Sequence[AnyRow]) -> Finding | None:
    """The finding on statuses; None where all launches of both passed. baseline, candidate: rows that are not void."""
    if not baseline or not candidate:
        without = "the baseline" if not baseline else "the candidate"
        return _finding(Verdict.INCONCLUSIVE, f"no launch of {without} counts: they were lost, throttled or contended")
    often = _how_often(baseline), _how_often(candidate)
    if often == (Often.NEVER, Often.NEVER):
        return None
    was, now = status_of(baseline), status_of(candidate)
    before, after = _failures(baseline), _failures(candidate)
    match often:
        case Often.NEVER, Often.SOMETIMES if sum(row.status not in Status.PASSED for row in candidate) < FEWEST_FAILURES:
            verdict, reason = Verdict.INCONCLUSIVE, f"flaky: failed {after}, the baseline in none"
        case Often.NEVER, _:
            verdict, reason = Verdict.REGRESSED, f"the baseline passes, the candidate failed {after}"
        case Often.SOMETIMES, Often.NEVER:
            verdict, reason = Verdict.EQUIVALENT, f"the candidate passes, the baseline failed {before}: {was}"
        case Often.ALWAYS, Often.NEVER:
            verdict, reason = Verdict.IMPROVED, f"the candidate passes, the baseline failed {before}: {was}"
        case Often.SOMETIMES, Often.SOMETIMES:
            verdict, reason = Verdict.INCONCLUSIVE, f"flaky in both: failed {after}, the baseline {before}"
        case Often.ALWAYS, _ if was == now:
            verdict, reason = Verdict.EQUIVALENT, "both fail"
        case _, Often.ALWAYS:
            verdict, reason = Verdict.REGRESSED, f"failed {after}, the baseline {before} ({was})"
        case _:
            verdict, reason = Verdict.INCONCLUSIVE, f"failed {after}, the baseline {before} ({was})"
    why = next((row.reason for row in candidate if row.status == now and row.reason and now not in Status.PASSED), "")
    return _finding(verdict, ": ".join(part for part in (reason, now if now not in Status.PASSED else "", why) if part))


class Often(enum.Enum):
    """How many launches of a cell fail."""

    NEVER = enum.auto()
    SOMETIMES = enum.auto()
    ALWAYS = enum.auto()


def _how_often(rows: Sequence[AnyRow]) -> Often:
    failed = sum(row.status not in Status.PASSED for row in rows)
    return Often.NEVER if not failed else Often.ALWAYS if failed == len(rows) else Often.SOMETIMES


def _failures(rows: Sequence[AnyRow]) -> str:
    """As "2 of 7 launches"."""
    return f"{sum(row.status not in Status.PASSED for row in rows)} of {counted(len(rows), 'launch', 'launches')}"


def judge_fallback(baseline: Sequence[AnyRow], candidate: Sequence[AnyRow]) -> Finding | None:
    """A part of the workload that ran elsewhere than the backend was asked to: in the candidate only."""
    before, after = (sum(bool(row.warnings) and Warn.FALLBACK in row.warnings.split(";") for row in rows) for rows in (baseline, candidate))
    if before or not after:
        return None
    launches = counted(len(candidate), "launch", "launches")
    found = f"part of it ran elsewhere than it was asked to in {after} of {launches}, of the baseline's in none"
    verdict = Verdict.REGRESSED if after == len(candidate) or after >= FEWEST_FAILURES else Verdict.INCONCLUSIVE
    return Finding(metric="fallback", verdict=verdict, blocks_release=True, reason=found, blocks=len(candidate))


def judge_lost(why: str) -> Finding:
    return _finding(Verdict.REGRESSED, f"lost: the candidate has no such cell ({why})")


def _finding(verdict: Verdict, reason: str) -> Finding:
    return Finding(metric="status", verdict=verdict, blocks_release=True, reason=reason)
