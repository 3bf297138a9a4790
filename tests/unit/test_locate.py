"""Positions in TOML: as a person would point at them."""

from __future__ import annotations

from matrix.locate import line_numbers, line_of

SOURCE = """\
# comment
a.b = 1
[t]
x = [
  "[not.a.table]",
  3,
]
"quoted key" = { inner = 1 }
[[list]]
y = 1
[[list]]
y = 2
[list.sub]
z = '''
[fake]
'''
"""


def test_every_kind_of_key_has_its_line() -> None:
    lines = line_numbers(SOURCE)
    assert lines["a", "b"] == 2
    assert lines["t",] == 3
    assert lines["t", "x"] == 4
    assert lines["t", "quoted key"] == 8
    assert lines["list", 0] == 9
    assert lines["list", 0, "y"] == 10
    assert lines["list", 1, "y"] == 12
    assert lines["t", "x", 0] == 5
    assert lines["t", "x", 1] == 6
    assert ("not", "a", "table") not in lines


def test_a_path_without_a_line_has_its_parents() -> None:
    lines = line_numbers(SOURCE)
    assert line_of(("t", "x", 1, "deep"), lines) == 6
    assert line_of(("nowhere",), lines) == 1
