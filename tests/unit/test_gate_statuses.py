"""A changed status is no noise; a flaky one is not known; what fails alike is as it was."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from harness.records import Status
from reports.gate.failures import adjusted, count, look, none_yet
from reports.gate.procedure import Verdict
from reports.gate.report import Finding
from reports.gate.rows import Record
from reports.gate.statuses import judge_fallback, judge_lost, judge_status, status_of

PASS, OOM, SLOW, LACKS = Status.PASS, Status.OOM, Status.TIMEOUT, Status.UNSUPPORTED
IMPROVED, EQUIVALENT, REGRESSED, INCONCLUSIVE = Verdict.IMPROVED, Verdict.EQUIVALENT, Verdict.REGRESSED, Verdict.INCONCLUSIVE


def rows(*statuses: str, warnings: str = "", reason: str = "") -> list[Record]:
    return [Record(launch=index, cell="c", status=status, warnings=warnings, reason=reason) for index, status in enumerate(statuses)]


def judged(baseline: Sequence[str], candidate: Sequence[str], reason: str = "") -> Finding | None:
    """By these launches alone, at the last of three looks."""
    found = none_yet(1)
    for one, other in itertools.zip_longest(baseline, candidate, fillvalue=""):
        found = count(found, [one], [other], np.array([False]))
    worse, better = adjusted(look(found, np.array([True])), np.array([3]))
    return judge_status(rows(*baseline), rows(*candidate, reason=reason), worse=worse[0], better=better[0], alpha=0.05)


@pytest.mark.parametrize(
    ("baseline", "candidate", "verdict"),
    [
        ((PASS,) * 6, (OOM,) * 6, REGRESSED),
        ((PASS,) * 6, (OOM, SLOW) * 3, REGRESSED),
        ((PASS,) * 16, (PASS,) * 8 + (OOM,) * 8, REGRESSED),
        ((PASS,) * 3, (OOM, OOM), INCONCLUSIVE),
        ((PASS,) * 7, (PASS,) * 5 + (OOM, SLOW), INCONCLUSIVE),
        ((PASS,), (OOM,), INCONCLUSIVE),
        ((PASS,) * 7, (PASS,) * 6 + (OOM,), INCONCLUSIVE),
        ((PASS,) * 2, (LACKS,) * 2, REGRESSED),
        ((PASS,) * 2, (LACKS, PASS), INCONCLUSIVE),
        ((PASS,), (LACKS,), INCONCLUSIVE),
        ((LACKS,) * 2, (PASS,) * 2, IMPROVED),
        ((OOM,) * 2, (LACKS,) * 2, REGRESSED),
        ((PASS, OOM), (PASS, PASS), EQUIVALENT),
        ((OOM,) * 9 + (PASS,) * 7, (PASS,) * 16, IMPROVED),
        ((PASS, OOM), (PASS, OOM), INCONCLUSIVE),
        ((PASS, OOM) * 8, (OOM,) * 16, REGRESSED),
        ((PASS, OOM), (OOM, OOM), INCONCLUSIVE),
        ((OOM, OOM), (PASS, PASS), EQUIVALENT),
        ((OOM,) * 6, (PASS,) * 6, IMPROVED),
        ((OOM, OOM), (OOM, OOM), EQUIVALENT),
        ((OOM, OOM), (OOM, PASS), EQUIVALENT),
        ((OOM,) * 6, (SLOW,) * 6, REGRESSED),
        ((OOM, OOM), (SLOW, SLOW), INCONCLUSIVE),
        ((SLOW, SLOW), (OOM, PASS), INCONCLUSIVE),
        ((), (PASS,), INCONCLUSIVE),
        ((PASS,), (), INCONCLUSIVE),
        ((), (), INCONCLUSIVE),
    ],
    ids=str,
)
def test_what_became_of_a_cell(baseline: tuple[str, ...], candidate: tuple[str, ...], verdict: Verdict) -> None:
    found = judged(baseline, candidate)
    assert found is not None
    assert (found.metric, found.verdict, found.blocks_release) == ("status", verdict, True)
    assert found.reason


def test_launches_are_counted_as_one_counts() -> None:
    one, two = judged([PASS], [OOM]), judged([PASS], [OOM, OOM])
    assert one is not None
    assert two is not None
    assert "failed 1 of 1 launch," in one.reason
    assert "failed 2 of 2 launches," in two.reason


def test_where_all_pass_there_is_nothing_to_say() -> None:
    assert judged([PASS, PASS], [PASS]) is None


def test_the_reason_says_how_often_with_which_status_and_why() -> None:
    found = judged([PASS] * 6, ["crash:SIGSEGV"] * 6, reason="signal 11")
    assert found is not None
    assert found.reason == "the baseline passes, the candidate failed 6 of 6 launches: crash:SIGSEGV: signal 11"
    assert found.p == pytest.approx(3 / 924)
    assert found.blocks == 6
    flaky = judged([PASS] * 7, [PASS] * 6 + [OOM])
    assert flaky is not None
    assert flaky.reason == "flaky: failed 1 of 7 launches, the baseline in none: OOM"


def test_the_status_of_several_launches_is_the_most_frequent_failure() -> None:
    assert status_of(rows(PASS, PASS, OOM)) == OOM
    assert status_of(rows(PASS, SLOW, OOM, SLOW)) == SLOW
    assert status_of(rows(PASS)) == PASS
    assert status_of([]) == ""


@pytest.mark.parametrize(
    ("baseline", "candidate", "verdict"),
    [(0, 3, REGRESSED), (0, 2, INCONCLUSIVE), (0, 1, INCONCLUSIVE), (1, 3, None), (3, 3, None), (3, 0, None), (0, 0, None)],
)
def test_a_fallback_in_the_candidate_only_is_a_regression(baseline: int, candidate: int, verdict: Verdict | None) -> None:
    one, other = (rows(*[PASS] * count, warnings="drift;fallback") + rows(*[PASS] * (3 - count)) for count in (baseline, candidate))
    found = judge_fallback(one, other, alpha=0.05)
    assert (found.verdict if found else None) == verdict


def test_a_lost_cell_says_why() -> None:
    assert judge_lost("a rule leaves it out: crashes").verdict == REGRESSED
    assert "crashes" in judge_lost("a rule leaves it out: crashes").reason
