"""The search for the package that did it, and the locks in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gate.bisect import Trial, differing, merged, search

IMAGES = Path(__file__).parents[2] / "images"
BASELINE = "--extra-index-url https://a.example\nabc==1.0\nnumpy==2.4 ; python_full_version < '3.12'\nnumpy==2.5 ; python_full_version >= '3.12'\nold==1\n"
CANDIDATE = (
    "# Made by hand\nabc==1.1\nnew[extra]==3\nnumpy==2.4 ; python_full_version < '3.12'\nnumpy==2.6 ; python_full_version >= '3.12'\n"
)


@given(st.integers(1, 40), st.data())
def test_one_package_is_found_wherever_it_is(count: int, data: st.DataObject) -> None:
    names = [f"p{index:02}" for index in range(count)]
    culprit = data.draw(st.sampled_from(names))
    found = search(names, lambda changed: Trial.BAD if culprit in changed else Trial.GOOD)
    assert found.packages == (culprit,)
    assert len(found.trials) <= count.bit_length()


@given(st.integers(2, 25), st.data())
def test_images_that_cannot_be_had_never_hide_it(count: int, data: st.DataObject) -> None:
    names = [f"p{index:02}" for index in range(count)]
    culprit = data.draw(st.sampled_from(names))
    unbuildable = data.draw(st.sets(st.integers(1, count - 1)))

    def attempt(changed: frozenset[str]) -> Trial:
        if len(changed) in unbuildable:
            return Trial.UNBUILDABLE
        return Trial.BAD if culprit in changed else Trial.GOOD

    found = search(names, attempt)
    assert culprit in found.packages
    # Whatever is named beside it is there because nothing between could be built.
    first = names.index(found.packages[0])
    assert set(range(first + 1, first + len(found.packages))) <= unbuildable


def test_what_cannot_be_decided_is_named_whole() -> None:
    found = search(["a", "b", "c"], lambda changed: Trial.UNDECIDED)
    assert found.packages == ("a", "b", "c")
    assert [trial for _, trial in found.trials] == [Trial.UNDECIDED, Trial.UNDECIDED]


def test_entries_differ_by_their_lines() -> None:
    assert differing(BASELINE, CANDIDATE) == ("abc", "new", "numpy", "old")
    assert differing(BASELINE, BASELINE) == ()


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ((), {"abc==1.0", "old==1", "numpy==2.5 ; python_full_version >= '3.12'"}),
        (("abc", "new"), {"abc==1.1", "new[extra]==3", "old==1"}),
        (("abc", "new", "numpy", "old"), {"abc==1.1", "new[extra]==3", "numpy==2.6 ; python_full_version >= '3.12'"}),
    ],
)
def test_a_lock_in_between_has_some_of_each(changed: tuple[str, ...], lines: set[str]) -> None:
    found = merged(BASELINE, CANDIDATE, frozenset(changed)).splitlines()
    assert lines <= set(found)
    assert found[0] == "--extra-index-url https://a.example"
    assert ("old==1" in found) == ("old" not in changed)


def test_real_locks_are_walked_from_one_to_the_other() -> None:
    one, other = ((IMAGES / "inductor-cuda" / f"{version}.lock").read_text() for version in ("2.14", "2.15"))
    names = differing(one, other)
    assert "torch" in names
    assert differing(merged(one, other, frozenset(names)), other) == ()
    assert differing(merged(one, other, frozenset()), one) == ()
