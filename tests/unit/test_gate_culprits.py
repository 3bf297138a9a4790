"""Each symptom has its package, and what behaves alike shares the images that are tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Status
from reports.gate.bisect import Trial
from reports.gate.culprits import choose_cells, judge_again, name_culprits, symptoms_of
from reports.gate.procedure import Verdict
from reports.gate.report import CellReport, Finding, Symptom
from tests.unit.gate_samples import EXCUSED, LOST, SLOWER, WARNED, cell, finding

NAMES = tuple(f"p{index:02}" for index in range(12))
FINE = finding(Verdict.EQUIVALENT)
SLOW = finding(Verdict.REGRESSED)


def symptom(name: str, metric: str = "latency") -> Symptom:
    return Symptom(cell=name, metric=metric)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(NAMES), min_size=1))
def test_every_symptom_s_package_is_named(causes: dict[str, str]) -> None:
    tried: list[tuple[frozenset[str], tuple[Symptom, ...]]] = []

    def attempt(changed: frozenset[str], symptoms: Sequence[Symptom]) -> Mapping[Symptom, Trial]:
        tried.append((changed, tuple(symptoms)))
        return {each: Trial.BAD if causes[each.cell] in changed else Trial.GOOD for each in symptoms}

    found = name_culprits(NAMES, [symptom(name) for name in causes], attempt)
    assert {each.cell: culprit.packages for culprit in found for each in culprit.explains} == {
        name: (cause,) for name, cause in causes.items()
    }
    sizes = [len(culprit.explains) for culprit in found]
    assert sizes == sorted(sizes, reverse=True)
    # A symptom is tried once in an image, and no two images are the same with others of what behaves alike.
    assert len(tried) == len(set(tried))
    assert len(tried) <= len(set(causes.values())) * len(NAMES).bit_length()
    assert all(len(set(symptoms)) == len(symptoms) for _, symptoms in tried)


def test_what_has_one_cause_takes_no_more_images_than_one_symptom() -> None:
    tried = []

    def attempt(changed: frozenset[str], symptoms: Sequence[Symptom]) -> Mapping[Symptom, Trial]:
        tried.append(changed)
        return dict.fromkeys(symptoms, Trial.BAD if "p07" in changed else Trial.GOOD)

    symptoms = [symptom(name, metric) for name in "abcdefgh" for metric in ("latency", "error")]
    (culprit,) = name_culprits(NAMES, symptoms, attempt)
    assert (culprit.packages, culprit.explains) == (("p07",), tuple(symptoms))
    assert len(tried) <= len(NAMES).bit_length()


def test_a_symptom_that_cannot_be_decided_takes_nothing_from_the_others() -> None:
    def attempt(changed: frozenset[str], symptoms: Sequence[Symptom]) -> Mapping[Symptom, Trial]:
        return {each: Trial.UNDECIDED if each.cell == "noisy" else Trial("regressed" if "b" in changed else "good") for each in symptoms}

    found = name_culprits(("a", "b", "c"), [symptom("noisy"), symptom("slow")], attempt)
    assert {culprit.packages: culprit.explains for culprit in found} == {
        ("a", "b", "c"): (symptom("noisy"),),
        ("b",): (symptom("slow"),),
    }


def test_one_entry_that_differs_needs_no_image() -> None:
    (culprit,) = name_culprits(("a",), [symptom("x")], lambda changed, symptoms: {})
    assert culprit.packages == ("a",)


def test_symptoms_are_what_fails_the_release() -> None:
    assert symptoms_of(SLOWER) == (symptom(SLOWER.cell),)
    assert symptoms_of(LOST) == (symptom(LOST.cell, "status"),)
    assert symptoms_of(WARNED) == ()
    assert symptoms_of(EXCUSED) == ()
    both = cell("micro/x", Verdict.REGRESSED, SLOW, finding(Verdict.REGRESSED, metric="error"), finding(Verdict.IMPROVED, metric="status"))
    assert [each.metric for each in symptoms_of(both)] == ["latency", "error"]


def failed(status: str, verdict: Verdict = Verdict.REGRESSED, baseline: str = Status.PASS) -> CellReport:
    about = finding(verdict, metric="status", clock="", ratio=None)
    return cell("micro/x", verdict, about, baseline_status=baseline, candidate_status=status)


@pytest.mark.parametrize(
    ("metric", "candidate", "now", "trial"),
    [
        ("latency", SLOWER, cell("micro/x", Verdict.REGRESSED, SLOW), Trial.BAD),
        ("latency", SLOWER, cell("micro/x", Verdict.EQUIVALENT, FINE), Trial.GOOD),
        ("latency", SLOWER, cell("micro/x", Verdict.IMPROVED, finding(Verdict.IMPROVED)), Trial.GOOD),
        ("latency", SLOWER, cell("micro/x", Verdict.INCONCLUSIVE, finding(Verdict.INCONCLUSIVE)), Trial.UNDECIDED),
        # Another metric is another story.
        ("error", SLOWER, cell("micro/x", Verdict.REGRESSED, SLOW, finding(metric="error")), Trial.GOOD),
        # What only slows the candidate down breaks here: the packages may not fit together.
        ("latency", SLOWER, failed("fail_to_run"), Trial.UNDECIDED),
        ("error", SLOWER, failed("crash:SIGSEGV"), Trial.UNDECIDED),
        ("status", failed("crash:SIGSEGV"), failed("crash:SIGSEGV"), Trial.BAD),
        ("status", failed("crash:SIGSEGV"), failed("model_fail_to_load"), Trial.UNDECIDED),
        ("status", failed("crash:SIGSEGV"), cell("micro/x", Verdict.EQUIVALENT, FINE), Trial.GOOD),
        # Slower, and alive: whatever that is, it is not the crash.
        ("status", failed("crash:SIGSEGV"), cell("micro/x", Verdict.REGRESSED, SLOW), Trial.GOOD),
        ("status", failed("OOM"), failed("OOM", Verdict.EQUIVALENT, baseline="OOM"), Trial.UNDECIDED),
        ("status", failed("OOM"), failed("OOM", Verdict.INCONCLUSIVE), Trial.UNDECIDED),
        ("fallback", SLOWER, cell("micro/x", Verdict.EQUIVALENT, FINE), Trial.GOOD),
        ("fallback", SLOWER, failed("OOM"), Trial.UNDECIDED),
        # No launch of it counts.
        ("status", failed("OOM"), cell("micro/x", Verdict.INCONCLUSIVE, FINE, baseline_status="", candidate_status=""), Trial.UNDECIDED),
    ],
)
def test_an_image_in_between_is_judged_by_what_the_candidate_is_worse_by(
    metric: str, candidate: CellReport, now: CellReport, trial: Trial
) -> None:
    assert judge_again(metric, candidate, now) == trial


def test_the_worst_of_every_kind_come_first() -> None:
    def named(name: str, *findings: Finding) -> CellReport:
        return cell(f"micro/{name}", Verdict.REGRESSED, *findings)

    broken = named("broken", finding(Verdict.REGRESSED, metric="status"))
    cells = [named("a", SLOW), named("b", SLOW), named("c", SLOW), broken, named("d", SLOW)]
    backends = {each.cell: "inductor" for each in cells} | {cells[4].cell: "eager"}
    assert choose_cells(cells, backends, 3) == (cells[0], broken, cells[4])
    assert choose_cells(cells, backends, 4) == (cells[0], broken, cells[4], cells[1])
    assert set(choose_cells(cells, backends, 8)) == set(cells)
    assert choose_cells([], {}, 8) == ()
