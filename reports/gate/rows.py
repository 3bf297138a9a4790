"""The rows of a run, as the gate needs them: a dozen columns of a million rows in seconds."""

from __future__ import annotations

import csv
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from harness.records import FLOAT_COLUMNS, INTEGER_COLUMNS, Row, Status


class Record(NamedTuple):
    """What the gate looks at of a ``harness.records.Row``, under the same names. A whole row takes ten times as long to make."""

    launch: int
    cell: str
    status: str
    reason: str = ""
    warnings: str = ""
    throttle_reasons: str = ""
    other_gpu_processes: int | None = None
    cpu_pressure: float | None = None
    cpu_steal: float | None = None
    backend_latency_seconds: float | None = None
    backend_device_seconds: float | None = None
    backend_error: float | None = None
    tolerance: float | None = None
    dynamo_peak_mem: float | None = None
    compilation_latency: float | None = None
    graph_breaks: int | None = None
    image_bytes: int | None = None


AnyRow = Record | Row
Launches = Mapping[int, Mapping[str, AnyRow]]
"""Rows by launch and cell."""


def read_records(path: Path) -> dict[int, dict[str, Record]]:
    """The rows of a ``results.csv``, by launch and cell; the first one of a cell counts. Empty where there is no file.

    A line that is torn, or holds what nobody can have measured, is no row: its cell is as if it were lost.
    """
    found: dict[int, dict[str, Record]] = {}
    for record in _records(path):
        found.setdefault(record.launch, {}).setdefault(record.cell, record)
    return found


def _records(path: Path) -> Iterator[Record]:
    if not path.exists():
        return
    with path.open("r", encoding="utf-8", errors="replace", newline="\n") as file:
        lines = csv.reader(line.replace("\0", " ") for line in file if line.endswith("\n"))
        header = next(lines, [])
        if not set(Record._fields) <= set(header):
            return
        chosen = operator.itemgetter(*(header.index(column) for column in Record._fields))
        for fields in lines:
            if len(fields) != len(header):
                continue
            try:
                record = Record._make(parse(text) for parse, text in zip(_PARSERS, chosen(fields), strict=True))
            except ValueError:
                continue
            if Status.is_known(record.status):
                yield record


def _text(text: str) -> str:
    return text


def _count(text: str) -> int | None:
    value = int(text) if text else None
    if value is not None and value < 0:
        raise ValueError(text)
    return value


def _number(text: str) -> float | None:
    if not text:
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _above_zero(text: str) -> float | None:
    value = _number(text)
    if value is not None and value <= 0:
        raise ValueError(text)
    return value


def _parser(column: str) -> Callable[[str], object]:
    if column in {"backend_latency_seconds", "backend_device_seconds"}:
        return _above_zero
    if column in FLOAT_COLUMNS:
        return _number
    return _count if column in INTEGER_COLUMNS else _text


_PARSERS = tuple(_parser(column) for column in Record._fields)
