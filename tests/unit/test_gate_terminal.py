"""The terminal's summary: ten lines, the decision first, the worst cells, what to do."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from reports.gate.outputs.junit import junit
from reports.gate.outputs.markdown import markdown
from reports.gate.outputs.terminal import LINE, LINES, summary
from reports.gate.procedure import Verdict
from reports.gate.report import Decision, GateReport
from tests.unit.gate_samples import (
    BISECTION,
    EMPTY,
    EVERYTHING,
    FASTER,
    SAME,
    SLOWER,
    UNDECIDED,
    UNKNOWN_NUMBERS,
    UNMEASURED,
    cell,
    finding,
    hostile,
    large,
    report,
)

REPORTS = [EVERYTHING, EMPTY, UNKNOWN_NUMBERS, hostile(), large(100), report(SAME), report(UNDECIDED, decision=Decision.INCONCLUSIVE)]


def lines(found: GateReport) -> list[str]:
    return summary(found, "results/gate-1/gate.md").split("\n")


@pytest.mark.parametrize("found", REPORTS)
def test_it_is_at_most_ten_printable_lines_that_are_short(found: GateReport) -> None:
    shown = lines(found)
    assert len(shown) <= LINES
    assert all(line.isprintable() and line == line.strip() for line in shown)
    assert all(len(line) <= LINE for line in shown if not line.startswith("next: "))


def test_the_decision_is_first_and_the_worst_cell_before_the_others() -> None:
    shown = lines(EVERYTHING)
    assert shown[0] == "REGRESSED: the reason"
    assert shown[1] == "cpu@2 beside cpu@1: 9 cells: 2 regressed, 2 inconclusive, 1 improved, 3 equivalent, 1 excused"
    assert shown[2] == "31 blocks, 62 launches, 65 min, 1 voided, 1 warning, 1 cell that should fail and pass, 1 new cell, 1 note"
    assert shown[3] == ("micro/softmax: +4.1 % (90 % interval +3.2 to +5.0), 15 fresh paired launches, Holm p = 0.004: regressed")
    assert shown[-4] == "torch (2.13 to 2.14) did it: micro/softmax (latency)"
    assert shown[-3] == "one of numpy, triton did it: image/size (status)"
    assert shown[-2] == f"next: {SLOWER.replay}"
    assert shown[-1] == "details: results/gate-1/gate.md"


def test_culprits_have_two_lines_and_the_rest_is_counted() -> None:
    causes = tuple(dataclasses.replace(BISECTION.culprits[0], packages=(name * 300,)) for name in "abcd")
    found = report(SLOWER, decision=Decision.REGRESSED, bisection=dataclasses.replace(BISECTION, culprits=causes))
    shown = lines(found)
    assert shown[-4].endswith("... did it: micro/softmax (latency)")
    assert shown[-3] == "and 3 more causes"
    assert len(shown[-4]) <= LINE


def test_cells_that_have_no_line_are_counted() -> None:
    found = report(*[cell(f"micro/{index}", Verdict.REGRESSED) for index in range(12)], UNDECIDED, FASTER, decision=Decision.REGRESSED)
    shown = lines(found)
    assert len(shown) == LINES
    assert sum(line.endswith(": regressed") for line in shown) == 4
    assert "and 8 more regressed, 1 more inconclusive, 1 more improved" in shown


def test_words_that_all_cells_share_are_left_out_unless_there_is_one_cell() -> None:
    assert any(line.startswith("micro/topk: ") for line in lines(report(SLOWER, UNDECIDED, decision=Decision.REGRESSED)))
    alone = lines(report(SLOWER, decision=Decision.REGRESSED))
    assert any(line.startswith("micro/softmax inductor cpu inference") for line in alone)


def test_a_pass_asks_for_nothing() -> None:
    shown = lines(report(SAME, FASTER))
    assert shown[0].startswith("PASS: ")
    assert not any(line.startswith("next: ") for line in shown)


def test_what_is_not_decided_says_what_it_takes() -> None:
    assert "31 blocks" in lines(report(UNDECIDED, decision=Decision.INCONCLUSIVE))[-2]
    assert lines(report(UNMEASURED, decision=Decision.INCONCLUSIVE))[-2].startswith("next: see results/gate-1/logs: why launches end")
    flaky = cell("micro/flaky", Verdict.INCONCLUSIVE, finding(Verdict.INCONCLUSIVE, metric="status", clock="", ratio=None))
    assert "expected_failures.toml" in lines(report(flaky, decision=Decision.INCONCLUSIVE))[-2]
    late = report(flaky, decision=Decision.INCONCLUSIVE, out_of_time=True)
    assert lines(late)[-2] == "next: --resume results/gate-1, with more --max-duration"
    stored = report(UNDECIDED, decision=Decision.INCONCLUSIVE)
    stored = replace(stored, baseline=replace(stored.baseline, source="RUN#a"), candidate=replace(stored.candidate, source="RUN#b"))
    assert lines(stored)[-2] == "next: measure both images now: what is stored has no more launches than these"
    capped = report(UNDECIDED, decision=Decision.INCONCLUSIVE, capped="the baseline is a stored run")
    assert lines(capped)[-2] == "next: measure both images now, in one gate: the baseline is a stored run"


def test_the_anchor_is_told_from_the_baseline() -> None:
    found = report(SLOWER, against="anchor", decision=Decision.REGRESSED)
    assert lines(found)[1].startswith("cpu@2 beside the anchor cpu@1: ")
    assert markdown(found).startswith("## \N{CROSS MARK} Gate: regressed (against the anchor)")
    assert "|  | Anchor | Candidate |" in markdown(found)
    assert 'name="gate: cpu@2 beside the anchor cpu@1"' in junit(found)


def test_an_empty_report_counts_no_cells() -> None:
    assert lines(EMPTY)[1].endswith("no cells")
