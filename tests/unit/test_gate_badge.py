"""The badge: right, readable, and XML."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from reports.gate.outputs.badge import COLOURS, LABEL_COLOUR, endpoint, message, svg
from reports.gate.report import Decision, GateReport
from tests.unit.gate_samples import EMPTY, EVERYTHING, SAME, UNDECIDED, hostile, report

SVG = "{http://www.w3.org/2000/svg}"


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, relative luminance."""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (EVERYTHING, "regressed (2 of 9)"),
        (report(UNDECIDED, SAME, decision=Decision.INCONCLUSIVE), "inconclusive (1 of 2)"),
        (report(SAME, decision=Decision.INCONCLUSIVE, capped="a stored run"), "inconclusive"),
        (report(SAME), "pass"),
        (EMPTY, "pass"),
    ],
)
def test_it_says_the_decision_and_of_how_many_cells(found: GateReport, says: str) -> None:
    assert message(found) == says
    assert json.loads(endpoint(found))["message"] == says
    root = ET.fromstring(svg(found))
    assert root.get("role") == "img"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == f"gate: {says}"
    assert root.get("aria-labelledby") == title.get("id")
    assert [text.text for text in root.iter(f"{SVG}text")] == ["gate", says]


@pytest.mark.parametrize("colour", [*COLOURS.values(), LABEL_COLOUR])
def test_white_on_its_colours_can_be_read(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_the_endpoint_is_what_shields_reads() -> None:
    found = json.loads(endpoint(EVERYTHING))
    assert (found["schemaVersion"], found["label"], found["isError"]) == (1, "gate", True)
    assert not json.loads(endpoint(report(SAME)))["isError"]
    assert {json.loads(endpoint(report(SAME, decision=decision)))["color"] for decision in Decision} == {
        colour.removeprefix("#") for colour in COLOURS.values()
    }


def test_nothing_of_anybodys_is_in_it() -> None:
    assert "script" not in svg(hostile())
    assert ET.fromstring(svg(hostile())).get("height") == "20"


def test_the_words_are_within_the_picture() -> None:
    root = ET.fromstring(svg(EVERYTHING))
    for text in root.iter(f"{SVG}text"):
        assert float(text.get("x") or "nan") + float(text.get("textLength") or "nan") < float(root.get("width") or "nan")
