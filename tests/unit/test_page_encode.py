"""Values as JSON: no digit more than is meant, and nothing that is not JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gate.procedure import Verdict
from reports.page import encode
from reports.page.columns import words_of


@given(st.lists(st.floats() | st.floats(1e-9, 1e9), max_size=8))
def test_numbers_have_six_digits_and_what_is_not_finite_is_null(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    found = json.loads(encode.column(array), parse_constant=pytest.fail)
    for number, value in zip(found, values, strict=True):
        if not math.isfinite(value):
            assert number is None
        elif 1e-200 < abs(value) < 1e200:
            assert number == float(f"{value:.5g}") or math.isclose(number, value, rel_tol=5.1e-5)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-5, 2.5e-7, 123456.0, 99999.6, 1e15 / 7, 0.0, -0.25, 5e-324])
def test_rounded_numbers_have_short_texts(value: float) -> None:
    text = encode.numbers(encode.rounded(np.array([value])))[1:-1]
    digits = text.partition("e")[0].replace(".", "").replace("-", "").strip("0")
    assert len(digits) <= 6 or value == 5e-324


def test_whole_numbers_have_no_point_unless_one_is_missing() -> None:
    assert encode.numbers(encode.whole(np.array([1.0, 2.0]))) == "[1,2]"
    assert json.loads(encode.numbers(encode.whole(np.array([1.0, np.nan])))) == [1, None]


def test_texts_are_words_and_places() -> None:
    assert json.loads(encode.column(words_of(["a", "b", "a"]))) == {"words": ["a", "b"], "codes": [0, 1, 0]}


@given(st.text())
def test_any_text_is_ascii_and_ends_no_element(text: str) -> None:
    found = encode.text(text)
    assert found.isascii()
    assert not set(found) & set("<>&")
    assert json.loads(found) == text.encode("utf-8", errors="replace").decode("utf-8")


def test_plain_values() -> None:
    value = {"a": (1, True, None, 0.5, math.inf), "b": Verdict.REGRESSED, "c": np.array([1.5])}
    assert json.loads(encode.plain(value)) == {"a": [1, True, None, 0.5, None], "b": "regressed", "c": [1.5]}


@given(st.floats(min_value=1e-9, max_value=1e9), st.integers(min_value=2, max_value=5))
def test_what_is_rounded_twice_is_as_if_rounded_once(value: float, digits: int) -> None:
    """Both ways, an array's and a number's: 194.496 is 194, not 194.5 and then 195."""
    for kept in (float(encode.rounded(np.array([value]))[0]), float(encode.plain(value))):
        assert f"{kept:.{digits - 1}e}" == f"{value:.{digits - 1}e}"


def test_a_number_on_the_edge_stays_on_its_side() -> None:
    assert encode.rounded(np.array([194.499999, 194.5, 0.000194496, 1.1, -2.5000001])).tolist() == [
        194.499,
        194.5,
        0.000194496,
        1.1,
        -2.50001,
    ]
