"""The rows of a run, as the gate needs them: a dozen columns of a million rows in seconds."""

from __future__ import annotations

import contextlib
import csv
import gc
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.records import FLOAT_COLUMNS, INTEGER_COLUMNS, Row, Status


class Record(NamedTuple):
    """What the gate looks at of a ``harness.records.Row``, under the same names. A whole row takes ten times as long to make."""

    launch: int
    cell: str
    status: str
    attempt: int = 0
    reason: str = ""
    warnings: str = ""
    throttle_reasons: str = ""
    other_gpu_processes: int | None = None
    cpu_waiting: float | None = None
    cpu_pressure: float | None = None
    cpu_steal: float | None = None
    backend_latency_seconds: float | None = None
    backend_p05_seconds: float | None = None
    backend_slice_seconds: str = ""
    backend_device_seconds: float | None = None
    backend_error: float | None = None
    tolerance: float | None = None
    dynamo_peak_mem: float | None = None
    compilation_latency: float | None = None
    graph_breaks: int | None = None
    image_bytes: int | None = None


BATCH = 256
"""Lines that are parsed together: as many as a processor's cache holds."""

NEEDED = ("launch", "cell", "status")
"""Columns without which a line says nothing."""
AnyRow = Record | Row
Launches = Mapping[int, Mapping[str, AnyRow]]
"""Rows by launch and cell."""


def read_records(path: Path) -> dict[int, dict[str, Record]]:
    """The rows of a ``results.csv``, by launch and cell; the first one of a cell counts. Empty where there is no file.

    A line that is torn, or holds what nobody can have measured, is no row: its cell is as if it were lost.
    """
    found: dict[int, dict[str, Record]] = {}
    with _uncollected():
        for lines in _batches(path):
            for record in records_of(lines):
                found.setdefault(record.launch, {}).setdefault(record.cell, record)
    return found


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles, which rows do not have: it takes a fifth of the time, the longer the more there are."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _batches(path: Path) -> Iterator[list[tuple[str, ...]]]:
    """Lines of the file, as the texts of ``Record``'s columns."""
    if not path.exists():
        return
    with path.open("r", encoding="utf-8", errors="replace", newline="\n") as file:
        lines = (line.rstrip("\r\n") for line in file if line.endswith("\n"))
        header = next(lines, "").split(",")
        if not set(NEEDED) <= set(header):
            return
        # A column that a version of the harness did not have was not measured: its place is one behind the others, and empty.
        places = [header.index(column) if column in header else -1 for column in Record._fields]
        chosen, last = operator.itemgetter(*places), max(places)
        whole = (fields for fields in (_fields(line, last) for line in lines) if len(fields) > last)
        texts = (chosen([*fields, ""]) for fields in whole) if -1 in places else map(chosen, whole)
        while batch := list(itertools.islice(texts, BATCH)):
            yield batch


def _fields(line: str, last: int) -> list[str]:
    """The fields of a line, as far as they are needed. What is quoted mostly stands behind them, and costs more to read than all else."""
    fields = line.split(",", last + 1)
    quote = line.find('"')
    if quote < 0 or (quote >= len(line) - len(fields[-1]) and len(fields) > last + 1):
        return fields
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return []


def records_of(lines: list[tuple[str, ...]]) -> list[Record]:
    """From the texts of ``Record``'s columns, without those that nobody can have measured.

    Column by column, which is twice as fast as line by line; the latter where a line of the batch does not read.
    """
    if not lines:
        return []
    try:
        columns = [parse(texts) for parse, texts in zip(_PARSERS, zip(*lines, strict=True), strict=True)]
    except ValueError:
        return [record for line in lines for record in records_of([line])] if len(lines) > 1 else []
    return list(map(Record._make, zip(*columns, strict=True)))


def _texts(texts: Sequence[str]) -> Sequence[str]:
    return texts


def _statuses(texts: Sequence[str]) -> Sequence[str]:
    for status in set(texts):
        if not Status.is_known(status):
            raise ValueError(status)
    return texts


def _counts(texts: Sequence[str]) -> Sequence[int | None]:
    if not any(texts):
        return [None] * len(texts)
    values = [int(text) if text else None for text in texts]
    if min(filter(None, values), default=0) < 0:
        raise ValueError("below 0")
    return values


def _launches(texts: Sequence[str]) -> Sequence[int]:
    return list(map(int, texts))


def _numbers(texts: Sequence[str], above: float = -math.inf) -> Sequence[float | None]:
    if not any(texts):
        return [None] * len(texts)
    values = [float(text) if text else None for text in texts]
    if not all(above < value < math.inf for value in values if value is not None):
        raise ValueError(f"not above {above}, or not finite")
    return values


def _above_zero(texts: Sequence[str]) -> Sequence[float | None]:
    return _numbers(texts, above=0.0)


def _parser(column: str) -> Callable[[Sequence[str]], Sequence[object]]:
    """From the texts of a column to its values; ValueError where one is none."""
    special = {"launch": _launches, "attempt": _launches, "status": _statuses}
    if column in special:
        return special[column]
    if column in ("backend_latency_seconds", "backend_p05_seconds", "backend_device_seconds"):
        return _above_zero
    if column in FLOAT_COLUMNS:
        return _numbers
    return _counts if column in INTEGER_COLUMNS else _texts


_PARSERS = tuple(_parser(column) for column in Record._fields)
