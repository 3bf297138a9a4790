"""The largest batch that fits: what is tried, what becomes of the row, and that it is measured for real."""

from __future__ import annotations

import csv
import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.batch_search import Try, most_tries, next_size, search
from harness.cell import Cell
from harness.files import read_fields, row_from_fields
from harness.journal import Journal
from harness.records import Row, Status
from tests.conftest import SOURCE
from tests.said import spec_of


def tried(status: str = Status.PASS, reason: str = "", **fields: object) -> Try:
    return Try(status=status, reason=reason, wall_seconds=0.5, journal=Journal(fields=dict(fields)))


def searched(first: int, folder: Path, outcomes: Mapping[range, Try]) -> tuple[Try, list[int]]:
    """The row, and the sizes of the table of tries. outcomes: by the sizes that have them; all others pass."""

    def attempt(size: int) -> Try:
        found = next((outcome for sizes, outcome in outcomes.items() if size in sizes), tried(eager_peak_beyond_bytes=4096 * size))
        return dataclasses.replace(found, journal=Journal(fields=dict(found.journal.fields)))

    found = search(first, attempt, folder / "tries.csv")
    with (folder / "tries.csv").open() as file:
        return found, [int(line["batch_size"]) for line in csv.DictReader(file)]


def test_it_is_between_what_fits_and_what_does_not(tmp_path: Path) -> None:
    found, sizes = searched(1000, tmp_path, {range(300, 1001): tried(Status.OOM, "no memory")})
    assert sizes == [1000, 500, 250, 375, 312, 281]
    assert (found.status, found.reason, found.wall_seconds) == (Status.PASS, "", 3.0)
    assert found.journal.fields == {"batch_size": 281, "largest_batch_size": 281, "eager_peak_beyond_bytes": 4096 * 281}


def test_where_the_first_fits_a_larger_one_may(tmp_path: Path) -> None:
    found, sizes = searched(64, tmp_path, {})
    assert (sizes, found.journal.fields["largest_batch_size"]) == ([64], 64)
    assert "--first-batch-size" in found.reason


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 47, 1000])
@pytest.mark.parametrize("first", [1, 2, 7, 64, 1024])
def test_it_is_at_least_seven_eighths_of_what_would_have_fitted(first: int, limit: int) -> None:
    fitted: dict[int, bool] = {}
    while (size := next_size(first, fitted)) is not None:
        assert size not in fitted
        fitted[size] = size <= limit
    assert len(fitted) <= most_tries(first)
    assert max(size for size, fits in fitted.items() if fits) >= min(first, limit) * 7 / 8


def test_what_does_not_fit_alone_is_out_of_memory(tmp_path: Path) -> None:
    found, sizes = searched(4, tmp_path, {range(5): tried(Status.OOM, "no memory")})
    assert (sizes, found.status, found.reason) == ([4, 2, 1], Status.OOM, "a batch of 1 does not fit: no memory")


def test_what_a_workload_has_no_batch_of_is_as_too_large(tmp_path: Path) -> None:
    found, _ = searched(64, tmp_path, {range(5, 65): tried(Status.UNSUPPORTED, "a pool of 4")})
    assert (found.status, found.journal.fields["largest_batch_size"]) == (Status.PASS, 4)
    found, _ = searched(64, tmp_path, {range(65): tried(Status.UNSUPPORTED, "no batch dimension")})
    assert (found.status, found.reason) == (Status.UNSUPPORTED, "no batch dimension")


def test_what_was_found_outlives_a_failure_of_another_kind(tmp_path: Path) -> None:
    outcomes = {range(8, 9): tried(Status.OOM, "no memory"), range(5, 8): tried(Status.EAGER_FAIL_TO_RUN, "no batch of that kind", flops=7)}
    found, sizes = searched(8, tmp_path, outcomes)
    assert sizes == [8, 4, 6]
    assert (found.status, found.reason) == (Status.EAGER_FAIL_TO_RUN, "a batch of 4 fits; at 6: no batch of that kind")
    assert found.journal.fields == {"flops": 7, "batch_size": 4, "largest_batch_size": 4, "eager_peak_beyond_bytes": 4 * 4096}
    found, sizes = searched(6, tmp_path, outcomes)
    assert (sizes, found.status, found.reason) == ([6], Status.EAGER_FAIL_TO_RUN, "at a batch of 6: no batch of that kind")


def launched(folder: Path, first: int, *cells: Cell) -> list[Row]:
    """Rows of a launch that finds 512 MiB of memory free."""
    asked = spec_of(cells[0], experiment="largest-batch", first_batch_size=first, timeout_seconds=100, measure_ceilings=False)
    (folder / "cells.json").write_text(dataclasses.replace(asked, cells=cells).to_json())
    code = f"""
from harness import __main__, memory_limit
memory_limit.free_bytes = lambda: 1 << 29
raise SystemExit(__main__.main(["launch", "--cells", {str(folder / "cells.json")!r}, "--out", {str(folder)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=SOURCE, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return [row_from_fields(fields) for fields in read_fields(folder / "results.csv")]


def test_what_there_is_no_memory_for_is_refused_and_what_is_found_is_found_again(tmp_path: Path) -> None:
    sizes = []
    for first in (1 << 14, 3 << 13):
        folder = tmp_path / str(first)
        folder.mkdir()
        softmax, decode, alone = launched(
            folder,
            first,
            Cell(workload="micro/softmax", backend="eager"),
            Cell(workload="llm/decode_llama3_8b", backend="eager"),
            Cell(workload="path/faulty_workloads:Healthy", backend="eager", path=str(SOURCE / "tests" / "faulty_workloads.py")),
        )
        assert (softmax.status, decode.status, alone.status) == (Status.PASS, Status.PASS, Status.UNSUPPORTED), softmax.reason
        assert "write get_example_inputs(self, batch_size=16)" in alone.reason
        assert softmax.largest_batch_size is not None
        assert decode.largest_batch_size is not None
        sizes.append((softmax.largest_batch_size, decode.largest_batch_size))
        lines = list(read_fields(folder / softmax.artifacts / "tries.csv"))
        assert (lines[0]["batch_size"], lines[0]["fits"], lines[0]["status"]) == (str(first), "0", "OOM")
        assert "alloc" in lines[0]["reason"] or "memory" in lines[0]["reason"]
        # 4 KiB of inputs and of outputs each, several times over while a row is checked, and as much again in float64; and holes in the heap.
        assert 1_500 < softmax.largest_batch_size < 13_000
    for one, other in zip(*sizes, strict=True):
        assert 2 / 5 < one / other < 5 / 2, "whatever was tried before; holes in so small a heap have been worth a factor of 1.8"
