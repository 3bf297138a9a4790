"""What became of a cell in either image, and whether the candidate is worse for it. Pure.

What fails in some launches may do so in either image by chance: the candidate is worse where it fails more often by more than chance
(see ``failures``). What an image cannot have at all, and launches that die every time, are facts.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from harness.records import Status, Warn
from reports.accepted import Accepted, became, is_as_accepted
from reports.gate.failures import SETTLED_BY, cannot
from reports.gate.procedure import Verdict
from reports.gate.report import Finding
from reports.gate.rows import AnyRow
from reports.gate.wording import counted, joined
from reports.statistics import fisher_p


def status_of(rows: Sequence[AnyRow]) -> str:
    """The worst there was; empty without rows."""
    return became(row.status for row in rows)


def judge_status(baseline: Sequence[AnyRow], candidate: Sequence[AnyRow], *, worse: float, better: float, alpha: float) -> Finding | None:
    """The finding on statuses; None where all launches of both passed.

    baseline, candidate: rows that are not void; worse, better: p-values that the candidate, or the baseline, fails more often.
    """
    if not baseline or not candidate:
        without = "the baseline" if not baseline else "the candidate"
        return _finding(Verdict.INCONCLUSIVE, f"no launch of {without} counts: they were lost, throttled or contended")
    often = _how_often(baseline), _how_often(candidate)
    if often == (Often.NEVER, Often.NEVER):
        return None
    was, now = status_of(baseline), status_of(candidate)
    before, after = _failures(baseline), _failures(candidate)
    lost, gained = _cannot_any_more(baseline, candidate), _cannot_any_more(candidate, baseline)
    otherwise = f"failed {after}, the baseline {'in none' if often[0] == Often.NEVER else before}"
    if often[0] != Often.NEVER and was != now:
        otherwise += f" ({was})"
    p = None
    match often:
        case _, Often.SOMETIMES | Often.ALWAYS if worse <= alpha or lost:
            verdict, p = Verdict.REGRESSED, None if lost else worse
            reason = f"the baseline passes, the candidate failed {after}" if often[0] == Often.NEVER else otherwise
        case _, Often.NEVER:
            sure = better <= alpha or gained
            verdict, p = Verdict.IMPROVED if sure else Verdict.EQUIVALENT, better if better <= alpha else None
            reason = f"the candidate passes, the baseline failed {before}: {was}"
        case Often.ALWAYS, _ if was == now:
            verdict, reason = Verdict.EQUIVALENT, "both fail"
        case Often.NEVER, Often.ALWAYS:
            verdict, reason = Verdict.INCONCLUSIVE, f"too few launches to tell from a flaky cell: {otherwise}"
        case Often.SOMETIMES, Often.SOMETIMES:
            verdict, reason = Verdict.INCONCLUSIVE, f"flaky in both: failed {after}, the baseline {before}"
        case Often.ALWAYS, _:
            verdict, reason = Verdict.INCONCLUSIVE, otherwise
        case _:
            verdict, reason = Verdict.INCONCLUSIVE, f"flaky: {otherwise}"
    failure = "" if now in Status.PASSED else joined((now, _why(candidate, now)), ": ")
    return _finding(verdict, joined((reason, failure), ": "), p=p, launches=len(candidate))


def beside_accepted(finding: Finding | None, accepted: Accepted, cell: str, candidate: Sequence[AnyRow]) -> Finding | None:
    """The finding on statuses, or that the candidate never does what was accepted of the cell: whatever the baseline does, that is worse.

    What happens now and then, and what passes in place of failing, is left to the comparison.
    """
    was, now = accepted.statuses.get(cell, ""), status_of(candidate)
    settled = finding is not None and finding.verdict == Verdict.REGRESSED
    if settled or not was or not candidate or is_as_accepted(was, now) or _how_often(candidate) != Often.ALWAYS:
        return finding
    said = f"{accepted.file} has {was}, and the candidate failed {_failures(candidate)}"
    return _finding(Verdict.REGRESSED, joined((said, now, _why(candidate, now)), ": "), launches=len(candidate))


def judge_dead(baseline: Sequence[AnyRow], lost: Sequence[AnyRow], candidate: Sequence[AnyRow], deaths: int) -> Finding | None:
    """The finding on a candidate whose launches always die before they have measured the cell; None where that is not so.

    baseline, candidate: rows that tell what became of it; lost: the baseline's that tell nothing; deaths: of the candidate, that suffice.
    """
    died = [row for row in candidate if is_dead(row)]
    if not baseline or lost or len(died) < max(1, deaths) or len(died) < len(candidate):
        return None
    launches = counted(len(died), "launch", "launches")
    said = f"the candidate's launch died in {launches} of {len(died)}, of the baseline's in none: {died[-1].reason}"
    return _finding(Verdict.REGRESSED, said, launches=len(died))


def is_dead(row: AnyRow) -> bool:
    """Whether a launch ended by itself before it had measured the cell: its image's doing, or its limits', and not the engine's."""
    return row.status == Status.INFRA_ERROR and Warn.LAUNCH_DIED in row.warnings.split(";")


class Often(enum.Enum):
    """How many launches of a cell fail."""

    NEVER = enum.auto()
    SOMETIMES = enum.auto()
    ALWAYS = enum.auto()


def _how_often(rows: Sequence[AnyRow]) -> Often:
    failed = len(_failed(rows))
    return Often.NEVER if not failed else Often.ALWAYS if failed == len(rows) else Often.SOMETIMES


def _failed(rows: Sequence[AnyRow]) -> list[str]:
    return [row.status for row in rows if row.status not in Status.PASSED]


def _cannot_any_more(baseline: Sequence[AnyRow], candidate: Sequence[AnyRow]) -> bool:
    """Whether one image cannot have a cell that the other has: no launch says otherwise."""
    fewest = min(len(baseline), len(candidate))
    return fewest >= SETTLED_BY and cannot(_failed(candidate), len(candidate)) and Status.UNSUPPORTED not in _failed(baseline)


def _why(rows: Sequence[AnyRow], status: str) -> str:
    """What the first row that ended so has to say of it."""
    return next((row.reason for row in rows if row.status == status and row.reason), "")


def _failures(rows: Sequence[AnyRow]) -> str:
    """As "2 of 7 launches"."""
    return f"{len(_failed(rows))} of {counted(len(rows), 'launch', 'launches')}"


def judge_fallback(baseline: Sequence[AnyRow], candidate: Sequence[AnyRow], *, alpha: float) -> Finding | None:
    """A part of the workload that ran elsewhere than the backend was asked to: in the candidate only."""
    before, after = (sum(bool(row.warnings) and Warn.FALLBACK in row.warnings.split(";") for row in rows) for rows in (baseline, candidate))
    if before or not after:
        return None
    launches = counted(len(candidate), "launch", "launches")
    found = f"part of it ran elsewhere than it was asked to in {after} of {launches}, of the baseline's in none"
    # How a workload is split is decided by its backend, and not by chance: what always does it needs no more launches.
    sure = after == len(candidate) or fisher_p(after, len(candidate), before, len(baseline)) <= alpha
    verdict = Verdict.REGRESSED if sure else Verdict.INCONCLUSIVE
    return Finding(metric="fallback", verdict=verdict, blocks_release=True, reason=found, blocks=len(candidate))


def judge_lost(why: str) -> Finding:
    return _finding(Verdict.REGRESSED, f"lost: the candidate has no such cell ({why})")


def _finding(verdict: Verdict, reason: str, p: float | None = None, launches: int = 0) -> Finding:
    return Finding(metric="status", verdict=verdict, blocks_release=True, reason=reason, p=p, blocks=launches)
