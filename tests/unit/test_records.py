"""The record is append-only, exact, durable, and says nothing where nothing was measured."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.files import append_rows, append_samples, cut_torn_line, format_row, read_fields, row_from_fields
from harness.records import ANCESTOR_COLUMNS, COLUMNS, Row, Sample, Status, one_line


def test_the_ancestors_columns_come_first() -> None:
    assert COLUMNS[:9] == (
        "dev",
        "name",
        "batch_size",
        "speedup",
        "abs_latency",
        "compilation_latency",
        "compression_ratio",
        "eager_peak_mem",
        "dynamo_peak_mem",
    )
    assert ANCESTOR_COLUMNS[9:] == (
        "calls_captured",
        "unique_graphs",
        "graph_breaks",
        "unique_graph_breaks",
        "autograd_captures",
        "autograd_compiles",
        "cudagraph_skips",
    )


def test_what_was_not_measured_is_empty_and_not_zero(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, [Row(name="micro/softmax", cell="c", status=Status.TIMEOUT)])
    frame = pd.read_csv(path)
    assert math.isnan(frame["speedup"][0])
    assert math.isnan(frame["abs_latency"][0])
    (fields,) = read_fields(path)
    assert {column for column, text in fields.items() if text} == {"name", "cell", "status", "launch", "attempt"}


@given(
    st.builds(
        Row,
        name=st.text(),
        cell=st.text(),
        reason=st.text(),
        status=st.sampled_from(sorted(Status.CLOSED)),
        speedup=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        samples=st.none() | st.integers(),
        launch=st.integers(0, 99),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_is_one_line_and_reads_back_exactly(tmp_path: Path, row: Row) -> None:
    path = tmp_path / "results.csv"
    path.unlink(missing_ok=True)
    append_rows(path, [row])
    assert path.read_bytes().count(b"\n") == 2
    (fields,) = read_fields(path)
    found = row_from_fields(fields)
    assert found.speedup == row.speedup
    assert found.samples == row.samples
    assert found.reason == one_line(row.reason)


def test_a_torn_line_is_cut_before_the_next_row(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, [Row(cell="whole", status=Status.PASS)])
    with path.open("a") as file:
        file.write("cpu,micro/half,12,0.9")
    append_rows(path, [Row(cell="next", status=Status.PASS)])
    assert [fields["cell"] for fields in read_fields(path)] == ["whole", "next"]


@pytest.mark.parametrize("content", [b"", b"no line break at all", b"a\nb", b"x" * 200_000 + b"\nhalf"])
def test_cutting_leaves_whole_lines_only(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    cut_torn_line(path)
    assert path.read_bytes() == content[: content.rfind(b"\n") + 1]


def test_samples_keep_every_digit(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    sample = Sample(
        launch=1, attempt=0, cell="c", variant="eager", clock="host", index=3, started_seconds=0.1, seconds=1.0000000000000002e-06, calls=7
    )
    append_samples(path, [sample])
    (fields,) = read_fields(path)
    assert float(fields["seconds"]) == sample.seconds


def test_a_wrong_number_names_its_column() -> None:
    with pytest.raises(ValueError, match="speedup: not a number"):
        row_from_fields({"speedup": "fast"})


@pytest.mark.parametrize("status", ["crash:SIGSEGV", "crash:exit3", "pass", "OOM"])
def test_known_statuses(status: str) -> None:
    assert Status.is_known(status)


@pytest.mark.parametrize("status", ["", "ok", "crash:", "crash:<script>", "PASS"])
def test_unknown_statuses(status: str) -> None:
    assert not Status.is_known(status)


def test_format_is_exact() -> None:
    assert format_row(Row(speedup=0.1, batch_size=4))[:4] == ["", "", "4", "0.1"]
