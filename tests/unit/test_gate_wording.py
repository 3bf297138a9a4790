"""Findings in words: as docs/gate.md says that they read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gate.procedure import Verdict
from reports.gate.report import Change
from reports.gate.wording import effect, interval, level, plain, sentence, statement, suspects, value
from tests.unit.gate_samples import HOSTILE, LOST, SLOWER, UNDECIDED, cell, finding


def test_a_regression_reads_as_it_is_meant_to() -> None:
    assert statement(SLOWER, SLOWER.findings[0], 0.05) == (
        "+4.1 % (90 % interval +3.2 to +5.0), 15 fresh paired launches, Holm p = 0.004: regressed"
    )


def test_what_is_not_decided_is_told_by_its_reason_and_what_has_no_numbers_too() -> None:
    assert statement(UNDECIDED, UNDECIDED.findings[0], 0.05) == "unstable: launches fall into modes: inconclusive"
    assert statement(LOST, LOST.findings[0], 0.05) == "the candidate lost it: regressed"


def test_a_cell_without_findings_is_told_by_its_statuses() -> None:
    bare = cell("micro/x", Verdict.REGRESSED, baseline_status="pass", candidate_status="")
    assert statement(bare, None, 0.05) == "baseline pass, candidate not in that image: regressed"


def test_a_verdict_is_said_once_and_last_however_long_the_reason() -> None:
    said = finding(Verdict.REGRESSED, ratio=None, reason="it crashed: regressed")
    assert statement(SLOWER, said, 0.05) == "it crashed: regressed"
    text = statement(SLOWER, finding(Verdict.INCONCLUSIVE, reason="x" * 500), 0.05, limit=80)
    assert len(text) == 80
    assert text.endswith("...: inconclusive")


def test_other_metrics_are_named() -> None:
    memory = finding(Verdict.REGRESSED, metric="peak_memory", clock="", p=None, blocks=6, low=None, high=None)
    assert statement(SLOWER, memory, 0.05) == "peak memory +4.1 %, 6 paired launches: regressed"


@pytest.mark.parametrize(
    ("ratio", "says"),
    [
        (1.041, "+4.1 %"),
        (0.5, "-50.0 %"),
        (0.9999999, "+0.0 %"),
        (1.0, "+0.0 %"),
        (12.34, "12.3 times"),
        (1000.0, "1000 times"),
        (123456.0, "123456 times"),
        (math.nan, ""),
        (None, ""),
    ],
)
def test_an_effect_has_its_sign_and_no_more_digits_than_mean_something(ratio: float | None, says: str) -> None:
    assert effect(ratio) == says


def test_an_interval_may_be_open_and_its_level_is_the_procedures() -> None:
    assert interval(0.99, math.inf) == "from -1.0"
    assert interval(None, 1.05) == "up to +5.0"
    assert interval(None, None) == ""
    assert interval(9.0, 12.0) == "+800.0 % to 12 times", "a number without a unit would be times too"
    assert interval(11.0, 12.0) == "11 times to 12 times"
    assert level(0.025) == "95 %"
    assert "(90 % interval up to +5.0)" in sentence(finding(low=None), 0.05)


def test_small_p_values_are_not_told_as_zero() -> None:
    assert sentence(finding(p=1e-9), 0.05).endswith("Holm p < 0.001")
    assert sentence(finding(p=1.0, blocks=1), 0.05).endswith("1 fresh paired launch, Holm p = 1")


@pytest.mark.parametrize(
    ("metric", "number", "says"),
    [
        ("latency", 1.5e-3, "1.5 ms"),
        ("peak_memory", 2048, "2.0 KiB"),
        ("graph_breaks", 3, "3"),
        ("error", 1e-6, "1.0e-06"),
        ("x", None, ""),
    ],
)
def test_values_have_the_metrics_unit(metric: str, number: float | None, says: str) -> None:
    assert value(metric, number) == says


@given(st.text(), st.integers(10, 50))
def test_plain_text_is_one_printable_line_of_at_most_its_limit(text: str, limit: int) -> None:
    for shown in (plain(text, limit), plain(HOSTILE + text, limit)):
        assert shown.isprintable()
        assert len(shown) <= limit


def test_plain_text_keeps_what_can_be_shown() -> None:
    assert plain("größer als 5 %, 速い") == "größer als 5 %, 速い"


def test_suspects_have_their_versions_as_far_as_they_are_known() -> None:
    changes = (
        Change(what="torch", baseline="2.13", candidate="2.14"),
        Change(what="new", baseline="", candidate="1"),
        Change(what="size", baseline="1 GiB", candidate="2 GiB"),
    )
    assert suspects(("torch",), changes) == "torch (2.13 to 2.14)"
    assert suspects(("new", "other", "torch"), changes) == "one of new (absent to 1), other, torch (2.13 to 2.14)"
    assert "\n" not in suspects((HOSTILE,), ())
