"""Files of rows: read column by column, they are what they are line by line."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reports.result_files
from harness.files import append_rows
from harness.records import COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, Row, Status
from reports.result_files import read_rows

TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u2028\u2029"), max_size=8)


def values_of(column: str) -> st.SearchStrategy[object]:
    if column in ("launch", "attempt"):
        return st.integers(0, 5)
    if column == "status":
        return st.sampled_from([Status.PASS, Status.OOM, "crash:SIGSEGV"])
    if column in INTEGER_COLUMNS:
        return st.none() | st.integers(0, 1 << 53)
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


@pytest.mark.parametrize("batch", [1, 2, 512])
def test_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """A broken line costs its batch the fast way, and nobody a row."""
    monkeypatch.setattr(reports.result_files, "BATCH", batch)
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
