"""gate.md: everything a reviewer needs, nothing that anybody could smuggle in, and never longer than GitHub takes."""

from __future__ import annotations

import dataclasses
import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gate.outputs.escape import block, code, prose
from reports.gate.outputs.markdown import COMMENT_BYTES, LEAST_BYTES, STEP_SUMMARY_BYTES, markdown
from reports.gate.procedure import Verdict
from reports.gate.report import Decision, GateReport
from reports.gate.wording import plain
from tests.unit.gate_samples import EMPTY, EVERYTHING, HOSTILE, LOST, SAME, SLOWER, UNKNOWN_NUMBERS, cell, finding, hostile, large, report


def tables(text: str) -> dict[str, list[list[str]]]:
    """Rows of fields by heading, as GitHub reads them: a backslash would keep a pipe from ending a field, and none is written."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in text.splitlines():
        if match := re.match(r"### (.*)|<details><summary>(.*)</summary>", line):
            heading = match[1] or match[2]
        elif line.startswith("|") and not line.startswith("| ---"):
            found.setdefault(heading, []).append([field.strip() for field in line.strip("|").split("|")])
    return found


def section(text: str, heading: str) -> list[list[str]]:
    return next(rows for title, rows in tables(text).items() if title.startswith(heading))


def test_every_group_of_cells_is_there_with_ratio_and_interval() -> None:
    text = markdown(EVERYTHING)
    assert text.startswith("## \N{CROSS MARK} Gate: regressed\n")
    assert "9 cells: 2 regressed, 2 inconclusive, 1 improved, 3 equivalent, 1 excused" in text
    softmax = section(text, "Regressed: 2 cells")[1]
    assert softmax[1:] == [
        "latency (host time)",
        "1.1 ms",
        "1.15 ms",
        "+4.1 % (1.041x)",
        "+3.2 to +5.0",
        "15 fresh paired launches, Holm p = 0.004",
    ]
    assert "micro/softmax" in softmax[0]
    topk = section(text, "Inconclusive: 2 cells")[1]
    assert topk[-1] == "16 paired launches; unstable: launches fall into modes"
    assert section(text, "Improved: 1 cell")[1][4] == "-20.0 % (0.8x)"
    assert section(text, "Lost: 1 cell")[1] == [code("image/size inductor cpu inference float32 small")]
    assert section(text, "Differences of the images: 1")[1] == [code("torch"), "2.13", "2.14"]
    assert section(text, "Warnings")[1][1:4] == ["peak memory", "976.6 KiB", "1.2 MiB"]
    assert section(text, "Excused")[1][1:] == ["baseline pass, candidate crash:SIGSEGV", "issue 7"]
    assert section(text, "Voided")[1][0] == "3"
    assert section(text, "Which package did it")[1:] == [
        ["torch (2.13 to 2.14)", f"{code(SLOWER.cell)} latency"],
        ["one of numpy, triton", f"{code(LOST.cell)} status"],
    ]
    assert section(text, "Images in between: 2")[1:] == [
        [
            "numpy",
            f"{code(SLOWER.cell)} latency: good, {code(LOST.cell)} status: inconclusive",
            code("results/gate-1/bisect/between-1-of-3"),
        ],
        ["numpy, torch", f"{code(SLOWER.cell)} latency: cannot be built", "ERROR: Cannot install numpy and torch"],
    ]
    for said in (
        SLOWER.replay,
        "micro/fresh",
        "an expectation has expired",
        "micro/sort",
        "+0.1 % (95 % interval from -0.2), 300 differences",
    ):
        assert said in text


def test_equivalent_cells_are_counted_and_not_listed() -> None:
    text = markdown(report(SAME))
    assert "1 cell: 1 equivalent" in text
    assert "micro/relu" not in text


def test_a_reason_that_repeats_the_columns_says_only_the_rest() -> None:
    said = "+4.1 % (90 % interval +3.2 to +5.0), 15 fresh paired launches, Holm p = 0.004: regressed"
    text = markdown(report(cell("micro/x", Verdict.REGRESSED, finding(Verdict.REGRESSED, reason=said)), decision=Decision.REGRESSED))
    assert section(text, "Regressed")[1][-1] == "15 fresh paired launches, Holm p = 0.004"


@pytest.mark.parametrize("decision", list(Decision))
def test_every_decision_has_a_banner_and_a_cap_is_said(decision: Decision) -> None:
    text = markdown(dataclasses.replace(EMPTY, decision=decision, capped="a stored run"))
    assert re.match(rf"## \S+ Gate: {decision}\n", text)
    assert "No verdict is better than inconclusive: a stored run" in text


@pytest.mark.parametrize("found", [EVERYTHING, EMPTY, UNKNOWN_NUMBERS, hostile()])
def test_all_rows_of_a_table_have_its_columns(found: GateReport) -> None:
    for rows in tables(markdown(found)).values():
        assert len({len(row) for row in rows}) == 1


def test_unknown_numbers_are_empty() -> None:
    text = markdown(UNKNOWN_NUMBERS)
    assert not re.search(r"\b(nan|inf|None)\b", text)


def test_hostile_text_makes_no_markup() -> None:
    text = markdown(hostile())
    outside = re.sub(r"(?m)^(`{3,})\n.*\n\1$", "", text)
    assert set(re.findall(r"</?([a-z]+)", outside)) <= {"code", "details", "summary"}
    assert all(character == "\n" or character.isprintable() or character == "\N{WORD JOINER}" for character in text)
    assert "http://" not in outside
    assert not re.search(r"[*_]e[*_]|\[g\]|!\[", outside)


MARKUP = st.text(alphabet="|`*_~[]()!<>&#@:\\\"'$-+=. ab1w/\n\x1b\u2028\ud800")


@given(MARKUP)
def test_a_text_means_what_it_says_and_has_no_character_of_markup(text: str) -> None:
    for shown in (prose(text), code(text).removeprefix("<code>").removesuffix("</code>")):
        assert html.unescape(shown).replace("\N{WORD JOINER}", "") == plain(text)
        assert not re.search(r"[<>`*|\\\[\]~$]|://|www\.", shown)
        assert not re.search(r"&(?!#\d+;)", shown)


@given(MARKUP)
def test_a_command_is_one_line_in_a_fence_that_it_cannot_end(text: str) -> None:
    opening, shown, closing = block(text).split("\n")
    assert shown == plain(text, 2000)
    assert opening == closing
    assert opening not in shown


def test_a_fence_in_a_command_is_shorter_than_the_one_around_it() -> None:
    assert block("echo ```` x") == "`````\necho ```` x\n`````"


def test_nobody_is_called() -> None:
    assert "@all" not in prose("cc @all #12")
    assert "#12" not in prose("cc @all #12")
    assert prose("cpu@2.15") == "cpu@2.15"


@pytest.mark.parametrize("limit", [LEAST_BYTES, COMMENT_BYTES, STEP_SUMMARY_BYTES])
@pytest.mark.parametrize("cells", [1, 10_000])
def test_it_is_never_longer_than_its_limit_and_says_what_is_left_out(cells: int, limit: int) -> None:
    text = markdown(large(cells), limit)
    assert len(text.encode()) <= limit
    assert ("left out here: gate.json has all" in text) == (cells > 1)


def test_what_is_left_out_and_what_is_there_are_all_and_no_table_is_starved() -> None:
    found = large(10_000)
    text = markdown(found, COMMENT_BYTES)
    for heading, total in (("Differences", 10_000), ("Voided", 10_000), ("Lost", 10_000), ("Warnings", 1_428), ("Inconclusive", 1_429)):
        shown = len(section(text, heading)) - 1
        part = text.partition(f"{heading}")[2]
        left_out = re.search(r"(\d+) more \w+ left out here", part)
        assert left_out is not None
        assert shown + int(left_out[1]) == total
        assert shown > 0


def test_the_longest_names_there_are_still_fit() -> None:
    wide = "\U0001f600<" * 5000
    text = dataclasses.replace(hostile(), why=wide, capped=wide, machine=wide, run=wide, notes=(wide,) * 5000)
    assert len(markdown(text, LEAST_BYTES).encode()) <= LEAST_BYTES


def test_a_hostile_name_is_shown_as_it_is() -> None:
    assert html.unescape(code(HOSTILE)) == f"<code>{plain(HOSTILE)}</code>"
