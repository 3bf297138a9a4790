"""Batch sizes that were found to fit, for later runs: a run of the experiment ``largest-batch``, or the ancestor's file of them."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cell import Cell
from harness.output import ROWS
from matrix.errors import SelectionError

LARGEST = "largest_batch_size"
"""The column that only these runs fill."""
NEXT = "next: --experiment largest-batch makes a run that can be given here; else a file with a line NAME,SIZE for each workload"


@dataclass(frozen=True, kw_only=True)
class FoundBatchSize:
    """That fits into memory, of a workload; what is empty is about all."""

    workload: str
    """``suite/name``, or a name alone, of any suite."""
    batch_size: int
    device: str = ""
    mode: str = ""
    precision: str = ""

    def is_of(self, cell: Cell) -> bool:
        return self.workload in (cell.workload, cell.workload.partition("/")[2]) and all(
            not asked or asked == found
            for asked, found in ((self.device, cell.device), (self.mode, cell.mode), (self.precision, cell.precision))
        )


def with_batch_size(cell: Cell, sizes: Sequence[FoundBatchSize]) -> Cell:
    size = next((each.batch_size for each in sizes if each.is_of(cell)), None) if cell.batch_size is None else None
    return cell if size is None else dataclasses.replace(cell, batch_size=size)


def read_batch_sizes(path: Path) -> tuple[FoundBatchSize, ...]:
    """Of a run's directory, of its results.csv, or of lines ``NAME,SIZE`` (the ancestor's ``--batch-size-file``).

    Raises SelectionError for what is none of these, and where it tells no size.
    """
    file = path / ROWS if path.is_dir() else path
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            lines = [line for line in csv.reader(opened) if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SelectionError(f"{path}: batch sizes cannot be read: {error}\n  {NEXT}") from None
    found = _of_run(lines) if lines and LARGEST in lines[0] else tuple(_of_line(line, path) for line in lines)
    if not found:
        raise SelectionError(f"{path}: it tells no batch size\n  {NEXT}")
    return found


def _of_run(lines: Sequence[Sequence[str]]) -> tuple[FoundBatchSize, ...]:
    rows = (dict(zip(lines[0], line, strict=False)) for line in lines[1:])
    return tuple(
        FoundBatchSize(workload=row["name"], batch_size=int(row[LARGEST]), device=row["dev"], mode=row["mode"], precision=row["precision"])
        for row in rows
        if row.get(LARGEST, "").isdecimal()
    )


def _of_line(line: Sequence[str], path: Path) -> FoundBatchSize:
    if len(line) != 2 or not line[1].strip().isdecimal() or int(line[1]) == 0:
        raise SelectionError(f"{path}: {','.join(line)!r} is not NAME,SIZE\n  {NEXT}")
    return FoundBatchSize(workload=line[0].strip(), batch_size=int(line[1]))
