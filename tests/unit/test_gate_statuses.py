"""A changed status is no noise; a flaky one is not known; what fails alike is as it was."""

from __future__ import annotations

import pytest

from harness.records import Status
from reports.gate.procedure import Verdict
from reports.gate.rows import Record
from reports.gate.statuses import judge_fallback, judge_lost, judge_status, status_of

PASS, OOM, SLOW = Status.PASS, Status.OOM, Status.TIMEOUT
IMPROVED, EQUIVALENT, REGRESSED, INCONCLUSIVE = Verdict.IMPROVED, Verdict.EQUIVALENT, Verdict.REGRESSED, Verdict.INCONCLUSIVE


def rows(*statuses: str, warnings: str = "", reason: str = "") -> list[Record]:
    return [Record(launch=index, cell="c", status=status, warnings=warnings, reason=reason) for index, status in enumerate(statuses)]


@pytest.mark.parametrize(
    ("baseline", "candidate", "verdict"),
    [
        ((PASS,) * 3, (OOM, OOM), REGRESSED),
        ((PASS,) * 7, (PASS,) * 5 + (OOM, SLOW), REGRESSED),
        ((PASS,), (OOM,), REGRESSED),
        ((PASS,) * 7, (PASS,) * 6 + (OOM,), INCONCLUSIVE),
        ((PASS, OOM), (PASS, PASS), EQUIVALENT),
        ((PASS, OOM), (PASS, OOM), INCONCLUSIVE),
        ((PASS, OOM), (OOM, OOM), REGRESSED),
        ((OOM, OOM), (PASS, PASS), IMPROVED),
        ((OOM, OOM), (OOM, OOM), EQUIVALENT),
        ((OOM, OOM), (OOM, PASS), EQUIVALENT),
        ((OOM, OOM), (SLOW, SLOW), REGRESSED),
        ((SLOW, SLOW), (OOM, PASS), INCONCLUSIVE),
        ((), (PASS,), INCONCLUSIVE),
        ((PASS,), (), INCONCLUSIVE),
        ((), (), INCONCLUSIVE),
    ],
    ids=str,
)
def test_what_became_of_a_cell(baseline: tuple[str, ...], candidate: tuple[str, ...], verdict: Verdict) -> None:
    found = judge_status(rows(*baseline), rows(*candidate))
    assert found is not None
    assert (found.metric, found.verdict, found.blocks_release) == ("status", verdict, True)
    assert found.reason


def test_launches_are_counted_as_one_counts() -> None:
    one, two = judge_status(rows(PASS), rows(OOM)), judge_status(rows(PASS), rows(OOM, OOM))
    assert one is not None
    assert two is not None
    assert "failed 1 of 1 launch:" in one.reason
    assert "failed 2 of 2 launches:" in two.reason


def test_where_all_pass_there_is_nothing_to_say() -> None:
    assert judge_status(rows(PASS, PASS), rows(PASS)) is None


def test_the_reason_says_how_often_with_which_status_and_why() -> None:
    found = judge_status(rows(PASS, PASS), rows("crash:SIGSEGV", "crash:SIGSEGV", reason="signal 11"))
    assert found is not None
    assert found.reason == "the baseline passes, the candidate failed 2 of 2 launches: crash:SIGSEGV: signal 11"
    flaky = judge_status(rows(*[PASS] * 7), rows(*[PASS] * 6, OOM))
    assert flaky is not None
    assert flaky.reason == "flaky: failed 1 of 7 launches, the baseline in none: OOM"


def test_the_status_of_several_launches_is_the_most_frequent_failure() -> None:
    assert status_of(rows(PASS, PASS, OOM)) == OOM
    assert status_of(rows(PASS, SLOW, OOM, SLOW)) == SLOW
    assert status_of(rows(PASS)) == PASS
    assert status_of([]) == ""


@pytest.mark.parametrize(
    ("baseline", "candidate", "verdict"),
    [(0, 3, REGRESSED), (0, 2, REGRESSED), (0, 1, INCONCLUSIVE), (1, 3, None), (3, 3, None), (3, 0, None), (0, 0, None)],
)
def test_a_fallback_in_the_candidate_only_is_a_regression(baseline: int, candidate: int, verdict: Verdict | None) -> None:
    one, other = (rows(*[PASS] * count, warnings="drift;fallback") + rows(*[PASS] * (3 - count)) for count in (baseline, candidate))
    found = judge_fallback(one, other)
    assert (found.verdict if found else None) == verdict


def test_a_lost_cell_says_why() -> None:
    assert judge_lost("a rule leaves it out: crashes").verdict == REGRESSED
    assert "crashes" in judge_lost("a rule leaves it out: crashes").reason
