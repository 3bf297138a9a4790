"""Batch sizes that were found to fit, for later runs: a run of the experiment ``largest-batch``, or the ancestor's file of them."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import catalog
from harness.cell import LARGEST_BATCH, Cell
from harness.output import ROWS
from matrix.config import MOST_SHOWN
from matrix.errors import SelectionError

LARGEST = "largest_batch_size"
"""The column that only these runs fill."""
NEXT = (
    "next: --experiment largest-batch makes a run that can be given here; else a file with a line for each workload, as micro/softmax,128"
)


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
        with file.open(encoding="utf-8-sig", newline="") as opened:
            numbered = {number: line for number, line in enumerate(csv.reader(opened), 1) if any(line)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SelectionError(f"{path}: it cannot be read: {error}\n  {NEXT}") from None
    lines = [*numbered.values()]
    found = _of_run(lines, path) if lines and LARGEST in lines[0] else _of_lines(numbered, path)
    if not found:
        raise SelectionError(f"{path}: it tells no batch size\n  {NEXT}")
    return found


def require_use(sizes: Sequence[FoundBatchSize], cells: Iterable[Cell]) -> None:
    """Raises SelectionError where there are sizes, and none is of any of these cells, or two that differ are of one."""
    used = False
    for cell in cells:
        of_cell = {size.batch_size: size.workload for size in sizes if size.is_of(cell)}
        used = used or bool(of_cell)
        if len(of_cell) > 1:
            told = " and ".join(f"{size} ({name})" for size, name in of_cell.items())
            raise SelectionError(f"--batch-size-file: it has two sizes of {cell.workload}, {told}\n  next: leave one of them out")
    if sizes and not used:
        names = ", ".join(dict.fromkeys(size.workload for size in sizes[:3])) + (", ..." if len(sizes) > 3 else "")
        raise SelectionError(
            f"--batch-size-file: it has sizes of {names}, and no cell here is of these\n  next: see the names with --plan, or leave it out"
        )


def unknown_names(sizes: Sequence[FoundBatchSize], cells: Iterable[Cell]) -> list[str]:
    """Of workloads that neither the harness has nor any of these cells is of: a slip of the pen. Of suites that are somebody's own, nobody can say."""
    workloads = [*catalog.workload_names(), *(cell.workload for cell in cells)]
    known = {name for workload in workloads for name in (workload, workload.partition("/")[2])}
    suites = {"", *catalog.SUITES}
    return sorted({size.workload for size in sizes if size.workload.rpartition("/")[0] in suites} - known)


def _of_run(lines: Sequence[Sequence[str]], path: Path) -> tuple[FoundBatchSize, ...]:
    """Of several launches, what fits in each."""
    lacking = next((name for name in ("name", "dev", "mode", "precision") if name not in lines[0]), None)
    if lacking is not None:
        raise SelectionError(f"{path}: it is no results.csv: it has no column {lacking}\n  {NEXT}")
    rows = (dict(zip(lines[0], line, strict=True)) for line in lines[1:] if len(line) == len(lines[0]))
    smallest: dict[tuple[str, str, str, str], int] = {}
    for row in rows:
        if _is_size(row[LARGEST]):
            of = (row["name"], row["dev"], row["mode"], row["precision"])
            smallest[of] = min(smallest.get(of, int(row[LARGEST])), int(row[LARGEST]))
    return tuple(
        FoundBatchSize(workload=name, batch_size=size, device=device, mode=mode, precision=precision)
        for (name, device, mode, precision), size in smallest.items()
    )


def _is_size(text: str) -> bool:
    return text.isdecimal() and len(text) <= len(str(LARGEST_BATCH)) and 1 <= int(text) <= LARGEST_BATCH


def _of_lines(lines: Mapping[int, Sequence[str]], path: Path) -> tuple[FoundBatchSize, ...]:
    sizes: dict[str, int] = {}
    for number, line in lines.items():
        if len(line) != 2 or not line[0].strip() or not _is_size(line[1].strip()):
            raise SelectionError(
                f"{path}:{number}: {','.join(line)[:MOST_SHOWN]!r} is not the name of a workload, a comma and a batch size from 1 to {LARGEST_BATCH}\n  {NEXT}"
            )
        name, size = line[0].strip(), int(line[1])
        if sizes.setdefault(name, size) != size:
            raise SelectionError(
                f"{path}:{number}: it has two sizes of {name}, {sizes[name]} and {size}\n  next: leave one of the lines out"
            )
    return tuple(FoundBatchSize(workload=name, batch_size=size) for name, size in sizes.items())
