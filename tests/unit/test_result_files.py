"""Files of rows: read column by column, they are what they are line by line."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.files import append_rows
from harness.records import COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, Row, Status
from reports.result_files import TORN, _at_once, _line_by_line, read_rows

TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u2028\u2029"), max_size=8)


def values_of(column: str) -> st.SearchStrategy[object]:
    if column in ("launch", "attempt"):
        return st.integers(0, 5)
    if column == "status":
        return st.sampled_from([Status.PASS, Status.OOM, "crash:SIGSEGV"])
    if column in INTEGER_COLUMNS:
        return st.none() | st.integers(0, (1 << 53) - 1)
    if column in FLOAT_COLUMNS:
        return st.none() | st.floats(1e-12, 1e12)
    return TEXT.map(str.strip) if column != "name" else st.sampled_from(["a", 'b,"c"', "d'"])


ROWS = st.lists(st.fixed_dictionaries({column: values_of(column) for column in COLUMNS}).map(lambda fields: Row(**fields)), max_size=6)  # type: ignore[arg-type]


@given(ROWS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_what_was_written_is_read(tmp_path: Path, rows: list[Row]) -> None:
    path = tmp_path / "results.csv"
    path.unlink(missing_ok=True)
    append_rows(path, rows)
    first = {(row.launch, row.image, row.cell): row for row in reversed(rows)}
    asides: list[tuple[int, str]] = []
    table = read_rows(path, set(), lambda line, reason: asides.append((line, reason)))
    assert len(table) == len(first)
    assert len(asides) == len(rows) - len(first)
    expected = [row for place, row in enumerate(rows) if first[row.launch, row.image, row.cell] is row and row not in rows[:place]]
    for column in COLUMNS:
        for value, row in zip(table[column], expected, strict=True):
            known = getattr(row, column)
            assert (known is None and np.isnan(value)) or value == known


@given(ROWS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_both_ways_of_reading_read_the_same(tmp_path: Path, rows: list[Row]) -> None:
    path = tmp_path / "results.csv"
    path.unlink(missing_ok=True)
    append_rows(path, rows)
    (quick, quick_lines), (slow, slow_lines) = _at_once(path, []), _line_by_line(path, [])
    pd.testing.assert_frame_equal(quick, slow)
    assert list(quick_lines) == list(slow_lines)


def test_a_broken_line_costs_nobody_else_a_row(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, [Row(name=f"w{number}", cell=str(number), status=Status.PASS, speedup=1.0 + number) for number in range(5)])
    lines = path.read_text().splitlines(keepends=True)
    lines[3:3] = ["broken\n", "\n", '"open\n', lines[2]]
    path.write_text("".join(lines))
    asides: list[tuple[int, str]] = []
    table = read_rows(path, set(), lambda line, reason: asides.append((line, reason)))
    assert table["speedup"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [line for line, _ in asides] == [4, 6, 7]
    assert "a second row of 1" in asides[-1][1]


@pytest.mark.parametrize("torn", ["cpu,micro/x,4", '"cpu,"', "cpu" + "," * len(COLUMNS)])
def test_a_line_that_is_being_written_is_told_and_costs_no_time(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, [Row(name=f"w{number}", cell=str(number), status=Status.PASS) for number in range(3)])
    with path.open("a") as file:
        file.write(torn)
    aside: list[tuple[int, str]] = []
    table, _ = _at_once(path, aside)
    assert (table["cell"].tolist(), aside) == (["0", "1", "2"], [(5, TORN)])


def test_lines_may_end_as_they_do_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, [Row(name=f"w{number}", cell=str(number), status=Status.PASS, artifacts="a, b") for number in range(3)])
    header, *lines = path.read_text().splitlines()
    path.write_bytes("\n".join([header, *(f"{line}\r" for line in lines), ""]).encode())
    pd.testing.assert_frame_equal(_at_once(path, [])[0], _line_by_line(path, [])[0])


def changed(line: str, place: int, text: str) -> str:
    fields = line.rstrip("\n").split(",")
    fields[place] = text
    return ",".join(fields) + "\n"


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.rstrip("\n") + ",\n",
        lambda line: line.rpartition(",")[0] + "\n",
        lambda line: "\n" + line,
        lambda line: line.replace("\n", "\r") + line,
        lambda line: changed(line, 2, "1.5"),
        lambda line: changed(line, 2, "-1"),
        lambda line: changed(line, 3, "inf"),
        lambda line: changed(line, 3, "nan"),
        lambda line: changed(line, 3, "NA"),
        lambda line: changed(line, 1, '"w'),
        lambda line: "\0" + line,
    ],
    ids=["a field more", "a field less", "blank", "CR", "no count", "below 0", "infinite", "nan", "NA", "open quote", "NUL"],
)
@pytest.mark.parametrize("everywhere", [False, True])
def test_what_is_not_as_it_should_be_is_not_read_the_quick_way(tmp_path: Path, damage: Callable[[str], str], everywhere: bool) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, [Row(name=f"w{number}", cell=str(number), status=Status.PASS) for number in range(3)])
    header, *lines = path.read_text().splitlines(keepends=True)
    lines = [damage(line) if everywhere or place == 1 else line for place, line in enumerate(lines)]
    path.write_bytes("".join([header, *lines]).encode())
    with pytest.raises(ValueError):
        _at_once(path, [])


@pytest.mark.parametrize(
    ("column", "text", "says"),
    [
        ("speedup", "nan", "not a measurement"),
        ("speedup", "-1", "not above 0"),
        ("samples", "-1", "not a count"),
        ("samples", "1.5", "not a number"),
        ("launch", "x", "not a number"),
        ("status", "fine", "unknown status"),
        ("name", "", "names no workload"),
    ],
)
def test_both_ways_refuse_the_same(tmp_path: Path, column: str, text: str, says: str) -> None:
    path = tmp_path / "results.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number in range(3):
            fields = {"name": "n", "cell": str(number), "launch": "0", "status": "pass"} | ({column: text} if number == 1 else {})
            writer.writerow([fields.get(each, "") for each in COLUMNS])
    asides: list[tuple[int, str]] = []
    table = read_rows(path, set(), lambda line, reason: asides.append((line, reason)))
    assert table["cell"].tolist() == ["0", "2"]
    assert len(asides) == 1
    assert says in asides[0][1]


def test_an_older_file_has_fewer_columns_and_a_newer_one_more(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("status,name,launch,cell,backend,of_the_future\npass,n,3,c,x,what\n")
    table = read_rows(path, set(), lambda line, reason: pytest.fail(reason))
    assert tuple(table.columns) == COLUMNS
    row = table.iloc[0]
    assert (row["launch"], row["attempt"], row["image"]) == (3, 0, "")
    assert np.isnan(row["speedup"])


def test_kinds_of_columns_are_the_same_whatever_is_in_them(tmp_path: Path) -> None:
    kinds: list[dict[object, object]] = []
    for rows in ([], [Row(name="n", status="pass")], [Row(name="n", status="pass", speedup=1.0, samples=3)]):
        path = tmp_path / f"{len(kinds)}.csv"
        append_rows(path, rows)
        kinds.append(dict(read_rows(path, set(), lambda line, reason: None).dtypes))
    assert kinds[0] == kinds[1] == kinds[2]
    assert {field.name for field in dataclasses.fields(Row)} == set(kinds[0])
