"""gate.junit.xml: what CI systems count, and XML whatever the names are."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from harness.records import Status
from reports.gate.outputs.junit import junit
from reports.gate.procedure import Verdict
from reports.gate.report import GateReport
from tests.unit.gate_samples import (
    EMPTY,
    EVERYTHING,
    EXCUSED,
    FASTER,
    FIXED,
    LOST,
    SAME,
    SLOWER,
    UNDECIDED,
    UNKNOWN_NUMBERS,
    UNMEASURED,
    WARNED,
    cell,
    hostile,
    large,
    report,
)

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: XML 1.0, 2.2."""
KINDS = {"failure", "error", "skipped"}


def case_of(root: ET.Element, name: str) -> ET.Element:
    return next(case for case in root.iter("testcase") if case.get("name") == name)


def outcome(root: ET.Element, name: str) -> str:
    """What a reader counts it as."""
    found = [child.tag for child in case_of(root, name) if child.tag in KINDS]
    assert len(found) <= 1
    return found[0] if found else "passed"


def test_a_verdict_is_what_ci_systems_show_best() -> None:
    root = ET.fromstring(junit(EVERYTHING))
    expected = {
        SLOWER: "failure",
        LOST: "failure",
        UNDECIDED: "skipped",
        UNMEASURED: "error",
        FASTER: "passed",
        SAME: "passed",
        WARNED: "passed",
        EXCUSED: "skipped",
        FIXED: "passed",
    }
    assert {each.cell: outcome(root, each.cell) for each in expected} == {each.cell: kind for each, kind in expected.items()}


def test_a_suite_per_suite_with_its_counts() -> None:
    root = ET.fromstring(junit(EVERYTHING))
    suites = {suite.get("name"): suite for suite in root.iter("testsuite")}
    assert list(suites) == ["image", "micro"]
    assert dict(suites["image"].items()) == {"name": "image", "tests": "1", "failures": "1", "errors": "0", "skipped": "0"}
    assert dict(suites["micro"].items()) == {"name": "micro", "tests": "8", "failures": "1", "errors": "1", "skipped": "2"}
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "time")} == {
        "tests": "9",
        "failures": "2",
        "errors": "1",
        "time": "3900.000",
    }


def test_a_failure_says_why_and_how_to_measure_it_again() -> None:
    failure = case_of(ET.fromstring(junit(EVERYTHING)), SLOWER.cell).find("failure")
    assert failure is not None
    assert failure.get("message") == "+4.1 % (90 % interval +3.2 to +5.0), 15 fresh paired launches, Holm p = 0.004: regressed"
    assert failure.get("type") == "latency"
    assert SLOWER.replay in (failure.text or "")


def test_a_failure_names_the_package_that_did_it() -> None:
    root = ET.fromstring(junit(EVERYTHING))
    texts = {each.cell: case_of(root, each.cell).findtext("failure") or "" for each in (SLOWER, LOST)}
    assert "torch (2.13 to 2.14) did it (latency)" in texts[SLOWER.cell]
    assert "one of numpy, triton did it (status)" in texts[LOST.cell]
    assert "numpy" not in texts[SLOWER.cell]


def test_what_does_not_fail_is_told_too() -> None:
    root = ET.fromstring(junit(EVERYTHING))
    assert "peak memory +30.0 %" in (case_of(root, WARNED.cell).findtext("system-out") or "")
    assert "(a warning)" in (case_of(root, WARNED.cell).findtext("system-out") or "")
    assert "passes although it is expected to fail" in (case_of(root, FIXED.cell).findtext("system-out") or "")
    skipped = case_of(root, EXCUSED.cell).find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "expected failure: issue 7 (baseline pass, candidate crash:SIGSEGV)"


def test_the_engines_fault_is_an_error_on_either_side_and_never_hides_a_regression() -> None:
    here = cell("micro/a", Verdict.INCONCLUSIVE, baseline_status=Status.INFRA_ERROR)
    regressed = cell("micro/b", Verdict.REGRESSED, baseline_status=Status.INFRA_ERROR)
    root = ET.fromstring(junit(report(here, regressed)))
    assert (outcome(root, here.cell), outcome(root, regressed.cell)) == ("error", "failure")


@pytest.mark.parametrize("found", [EMPTY, UNKNOWN_NUMBERS, hostile(), report(cell("", Verdict.REGRESSED, cell=""))])
def test_any_report_is_xml_without_a_character_that_xml_forbids(found: GateReport) -> None:
    text = junit(found)
    assert not FORBIDDEN.search(text)
    root = ET.fromstring(text.encode())
    assert len(list(root.iter("testcase"))) == len(found.cells)


def test_a_hostile_name_comes_back() -> None:
    root = ET.fromstring(junit(hostile()))
    assert all("<script>alert(1)</script> & *e*" in (case.get("name") or "") for case in root.iter("testcase"))


def test_ten_thousand_cells_have_a_case_each() -> None:
    root = ET.fromstring(junit(large(10_000)))
    assert root.get("tests") == "10000"
    assert len({case.get("name") for case in root.iter("testcase")}) == 10_000
