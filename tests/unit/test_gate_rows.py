"""Reading what the gate needs of a run: the same rows as everybody reads, and nothing of what is none."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell import Cell, LaunchSpec
from harness.files import append_rows, format_row
from harness.output import row_of
from harness.records import COLUMNS, Row, Status
from reports.gate.rows import BATCH, Record, read_records

SPEC = LaunchSpec(run="r", launch=3, attempt=0, image="cpu", cells=(), seed=1, timeout_seconds=1)
CELL = Cell(workload="micro/softmax", backend="eager")


def row(**columns: object) -> Row:
    return row_of(CELL, SPEC, Status.PASS, "", backend_latency_seconds=0.5, **columns)


def written(path: Path, *rows: Row) -> Path:
    append_rows(path, rows)
    return path


def line(changes: dict[str, str]) -> str:
    """A line as our own writer never makes it."""
    fields = dict(zip(COLUMNS, format_row(row()), strict=True)) | changes
    return ",".join(fields.values()) + "\n"


def test_no_file_has_no_rows(tmp_path: Path) -> None:
    assert read_records(tmp_path / "results.csv") == {}
    (tmp_path / "empty.csv").write_text("")
    assert read_records(tmp_path / "empty.csv") == {}
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert read_records(tmp_path / "other.csv") == {}


NUMBERS = st.none() | st.floats(min_value=1e-12, max_value=1e12)
COUNTS = st.none() | st.integers(min_value=0, max_value=2**53)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x85\u2028\u2029"), max_size=20)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "backend_latency_seconds": NUMBERS,
                "backend_device_seconds": NUMBERS,
                "cpu_waiting": NUMBERS,
                "cpu_pressure": NUMBERS,
                "cpu_steal": NUMBERS,
                "backend_error": NUMBERS,
                "tolerance": NUMBERS,
                "dynamo_peak_mem": NUMBERS,
                "compilation_latency": NUMBERS,
                "graph_breaks": COUNTS,
                "image_bytes": COUNTS,
                "other_gpu_processes": COUNTS,
                "reason": TEXTS,
                "warnings": st.sampled_from(["", "throttled;fallback"]),
                "evidence": TEXTS,
                "options": TEXTS,
                "status": st.sampled_from([Status.PASS, Status.OOM, "crash:SIGSEGV"]),
            }
        ),
        max_size=5,
    )
)
def test_every_row_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, columns: list[dict[str, object]]) -> None:
    """Exactly, whatever is in the texts before and behind the columns: commas and quotes too."""
    path = tmp_path_factory.mktemp("rows") / "results.csv"
    rows = [Row(launch=index, cell=f"cell {index}", **each) for index, each in enumerate(columns)]  # type: ignore[arg-type]
    append_rows(path, rows)
    from harness.files import read_fields, row_from_fields

    expected = [row_from_fields(fields) for fields in read_fields(path)]
    found = read_records(path)
    assert [found[each.launch][each.cell] for each in expected] == [
        Record(**{name: getattr(each, name) for name in Record._fields}) for each in expected
    ]
    assert len(expected) == len(rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"backend_latency_seconds": "nan"},
        {"backend_latency_seconds": "inf"},
        {"backend_latency_seconds": "0.0"},
        {"backend_device_seconds": "-1e-3"},
        {"cpu_pressure": "much"},
        {"backend_error": "-inf"},
        {"graph_breaks": "-1"},
        {"graph_breaks": "1.5"},
        {"launch": ""},
        {"launch": "x"},
        {"status": "perfect"},
        {"status": ""},
        {"reason": '"no end'},
    ],
    ids=str,
)
def test_a_line_that_holds_what_nobody_can_have_measured_is_no_row(tmp_path: Path, changes: dict[str, str]) -> None:
    path = written(tmp_path / "results.csv", replace(row(), cell="before"))
    with path.open("a") as file:
        file.write(line(changes) + line({"cell": "behind"}))
    assert list(read_records(path)[3]) == ["before", "behind"]


def test_a_torn_line_is_no_row(tmp_path: Path) -> None:
    path = written(tmp_path / "results.csv", row())
    with path.open("a") as file:
        file.write(line({"cell": "torn"}).rstrip("\n"))
    assert list(read_records(path)[3]) == [CELL.id]


def test_a_line_that_ends_early_is_no_row(tmp_path: Path) -> None:
    path = written(tmp_path / "results.csv", row())
    with path.open("a") as file:
        file.write("cpu,micro/softmax\n")
        file.write("\n")
    assert list(read_records(path)) == [3]


def test_rows_of_a_version_that_lacks_a_column_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, [Row(launch=1, cell="a", status=Status.PASS, cpu_waiting=0.5, backend_p05_seconds=1e-3, evidence='{"a": 1}')])
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for lacking in (("cpu_waiting",), ("cpu_waiting", "backend_slice_seconds", "image_bytes")):
        kept = [name for name in lines[0] if name not in lacking]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, kept, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        found = read_records(path)[1]["a"]
        assert (found.cpu_waiting, found.backend_p05_seconds, found.status) == (None, 1e-3, Status.PASS)
    path.write_text("launch,cell\n1,a\n")
    assert read_records(path) == {}, "without a status it is none"


def test_the_first_row_of_a_cell_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "results.csv", row(), replace(row(), backend_latency_seconds=9.0))
    assert read_records(path)[3][CELL.id].backend_latency_seconds == 0.5


def test_more_rows_than_a_batch(tmp_path: Path) -> None:
    rows = [replace(row(), cell=f"cell {index}") for index in range(2 * BATCH + 1)]
    rows[BATCH + 3] = replace(rows[BATCH + 3], backend_latency_seconds=-1.0)
    found = read_records(written(tmp_path / "results.csv", *rows))[3]
    assert len(found) == 2 * BATCH
    assert f"cell {BATCH + 3}" not in found


def test_what_a_row_lacks_is_as_in_a_whole_row() -> None:
    """Rows that are made by hand, or by another reader, do as well."""
    assert Record(launch=0, cell="c", status="") == Record(**{name: getattr(Row(cell="c"), name) for name in Record._fields})
