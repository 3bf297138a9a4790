"""Names that are longer than where they are shown."""

from __future__ import annotations

import pytest

from reports.page.names import heads, middle, width

BEGIN, END = "registry.example.com/team/project/pytorch-and-more@", "-cuda12.8-ubuntu22.04-devel-with-all-that-anybody-asked-for"


def test_a_long_name_is_cut_in_its_middle_and_a_short_one_is_not() -> None:
    assert middle("cpu@2.10", 8) == "cpu@2.10"
    assert middle("a" * 50 + "b" * 50, 21) == "a" * 10 + "…" + "b" * 10
    assert middle("漢字" * 20, 10) == "漢字…漢字"
    assert width(middle("漢字" * 20, 9)) <= 9
    assert width("e\u0301\u200b") == 1


@pytest.mark.parametrize(
    "names",
    [
        [BEGIN + "2.10" + END, BEGIN + "2.11" + END],
        ["x" * 200, "x" * 201, "x" * 202],
        ["x" * 90 + "1" + "x" * 90, "x" * 90 + "2" + "x" * 90, "x" * 90 + "2" + "x" * 91],
        [f"{'p' * 90}{number}{'q' * 40}{number % 2}{'r' * 90}" for number in range(12)],
        ["a", "b", "c" * 300],
        ["x" * 99 + "…" + "x" * 99, "x" * 100 + "…" + "x" * 98, "x" * 99, "x" * 10 + "…" + "x" * 9],
    ],
)
def test_heads_differ_where_names_do(names: list[str]) -> None:
    found = heads(names, 20)
    assert len(set(found)) == len(names)
    assert all(width(head) <= 24 for head in found)
    assert heads(names[::-1], 400) == tuple(names[::-1]), "what fits is left as it is"


def test_a_head_has_what_differs() -> None:
    assert heads([BEGIN + "2.10" + END, BEGIN + "2.11" + END], 36) == ("registry.exa…2.10…", "registry.exa…2.11…")
    sides = heads([f"gate-2026-01-05: {BEGIN}2.10 ({side})" for side in ("baseline", "candidate")], 36)
    assert [head.endswith(f"({side})") for head, side in zip(sides, ("baseline", "candidate"), strict=True)] == [True, True]
    assert heads(["same", "same"], 10) == ("same", "same")
