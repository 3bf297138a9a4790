"""What became of a cell in either image, and whether the candidate is worse for it. Pure.

A status is no number that varies: an image in which a cell ends otherwise is another image. What fails in one launch of many is flaky,
and flaky is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.records import Status, Warn
from reports.gate.procedure import Verdict
from reports.gate.report import Finding
from reports.gate.rows import AnyRow

FEWEST_FAILURES = 2
"""Launches that have to fail, where others pass, for a cell to be broken and not flaky."""


def status_of(rows: Sequence[AnyRow]) -> str:
    """The worst there was: the most frequent failure, ``pass`` where there is none; empty without rows."""
    failed = Counter(row.status for row in rows if row.status != Status.PASS)
    if failed:
        return failed.most_common(1)[0][0]
    return Status.PASS if rows else ""


def judge_status(baseline: Sequence[AnyRow], candidate: Sequence[AnyRow]) -> Finding | None:
    """The finding on statuses; None where all launches of both passed. baseline, candidate: rows that are not void."""
    if not baseline or not candidate:
        without = "of the baseline" if not baseline else "of the candidate"
        return _finding(Verdict.INCONCLUSIVE, f"no launch {without} counts: they were lost, throttled or contended")
    before, after = (sum(row.status != Status.PASS for row in rows) for rows in (baseline, candidate))
    if not before and not after:
        return None
    was, now = status_of(baseline), status_of(candidate)
    if after == 0:
        if before == len(baseline):
            return _finding(Verdict.IMPROVED, f"the baseline ends in {was}, the candidate passes")
        return _finding(Verdict.EQUIVALENT, f"the candidate passes, the baseline failed {before} of {len(baseline)} launches ({was})")
    if before == 0:
        if after == len(candidate) or after >= FEWEST_FAILURES:
            return _finding(Verdict.REGRESSED, _broken("the baseline passes", candidate, now, after))
        return _finding(Verdict.INCONCLUSIVE, f"flaky: failed {after} of {len(candidate)} launches, the baseline none: {now}")
    if before < len(baseline):
        if after == len(candidate):
            return _finding(Verdict.REGRESSED, _broken(f"the baseline failed {before} of {len(baseline)}", candidate, now, after))
        return _finding(
            Verdict.INCONCLUSIVE, f"flaky in both: failed {after} of {len(candidate)} launches, the baseline {before} of {len(baseline)}: {now}"
        )
    if now == was:
        return _finding(Verdict.EQUIVALENT, f"both end in {was}")
    if after == len(candidate):
        return _finding(Verdict.REGRESSED, _broken(f"the baseline ends in {was}", candidate, now, after))
    return _finding(Verdict.INCONCLUSIVE, f"the baseline ends in {was}, the candidate failed {after} of {len(candidate)} launches: {now}")


def judge_fallback(baseline: Sequence[AnyRow], candidate: Sequence[AnyRow]) -> Finding | None:
    """A part of the workload that ran elsewhere than the backend was asked to: in the candidate only."""
    before, after = (sum(Warn.FALLBACK in row.warnings.split(";") for row in rows) for rows in (baseline, candidate))
    if before or not after:
        return None
    found = f"part of it ran elsewhere than it was asked to in {after} of {len(candidate)} launches, of the baseline's in none"
    verdict = Verdict.REGRESSED if after == len(candidate) or after >= FEWEST_FAILURES else Verdict.INCONCLUSIVE
    return Finding(metric="fallback", verdict=verdict, blocks_release=True, reason=found, blocks=len(candidate))


def judge_lost(why: str) -> Finding:
    return _finding(Verdict.REGRESSED, f"lost: the candidate has no such cell ({why})")


def _broken(before: str, rows: Sequence[AnyRow], status: str, failed: int) -> str:
    reason = next((row.reason for row in rows if row.status == status and row.reason), "")
    return f"{before}, the candidate failed {failed} of {len(rows)} launches: {status}" + (f": {reason}" if reason else "")


def _finding(verdict: Verdict, reason: str) -> Finding:
    return Finding(metric="status", verdict=verdict, blocks_release=True, reason=reason)
