"""The record on disk: CSV files that are only ever appended to, a line per record, durable before anyone hears of them.

Standard library only: written inside the image, read by the host.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.records import COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, SAMPLE_COLUMNS, Row, Sample, one_line


def read_json(text: str | bytes) -> Any:
    """What JSON says that anybody may have written. ValueError for what is none, or is nested deeper than Python reads."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def is_regular(path: Path) -> bool:
    """Not a link, a pipe or a device: following those would reach whatever a launch has pointed them to."""
    return path.is_file() and not path.is_symlink()


def format_row(record: Row | Sample) -> list[str]:
    """Fields as text: numbers exactly (``repr``), what was not measured as an empty field."""
    return [_format(value) for value in dataclasses.astuple(record)]


def _format(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    return one_line(str(value), limit=1 << 16)


def append(path: Path, records: Iterable[Row | Sample], columns: tuple[str, ...]) -> None:
    """Append records and make them durable: one write, then fsync. A torn last line of an earlier writer is cut off first."""
    cut_torn_line(path)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        if os.fstat(descriptor).st_size == 0:
            writer.writerow(columns)
        for record in records:
            writer.writerow(format_row(record))
        data = memoryview(text.getvalue().encode("utf-8"))
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    append(path, rows, COLUMNS)


def append_samples(path: Path, samples: Iterable[Sample]) -> None:
    append(path, samples, SAMPLE_COLUMNS)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table of one cell's own, as CSV: what is None is an empty field."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def cut_torn_line(path: Path) -> None:
    """Cut off what follows the last line break: the half of a row that a killed writer left. It was never reported as written."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        position = size
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                position = start + found + 1
                break
            position = start
        if position != size:
            file.truncate(position)


def read_fields(path: Path) -> Iterator[dict[str, str]]:
    """The complete lines of one of our own files, as text. Lines that do not fit the header are passed over here; the report lists them."""
    if not path.exists():
        return
    with path.open("r", encoding="utf-8", errors="replace", newline="") as file:
        lines = (line.replace("\0", " ") for line in file if line.endswith("\n"))
        header: list[str] | None = None
        for fields in csv.reader(lines):
            if header is None:
                header = fields
            elif len(fields) == len(header):
                yield dict(zip(header, fields, strict=True))


def sample_from_fields(fields: Mapping[str, str]) -> Sample:
    """Inverse of ``format_row``. ValueError or KeyError for what is no sample."""
    return Sample(
        launch=int(fields["launch"]),
        attempt=int(fields["attempt"]),
        cell=fields["cell"],
        variant=fields["variant"],
        clock=fields["clock"],
        index=int(fields["index"]),
        started_seconds=float(fields["started_seconds"]),
        seconds=float(fields["seconds"]),
        calls=int(fields["calls"]),
        mark=fields["mark"],
    )


def row_from_fields(fields: Mapping[str, str]) -> Row:
    """Inverse of ``format_row``. ValueError names the column whose text is not what the column holds."""
    values: dict[str, object] = {}
    for column in COLUMNS:
        text = fields.get(column, "")
        if column in INTEGER_COLUMNS or column in FLOAT_COLUMNS:
            if text == "":
                continue
            try:
                values[column] = int(text) if column in INTEGER_COLUMNS else float(text)
            except ValueError:
                raise ValueError(f"{column}: not a number: {one_line(text, 40)!r}") from None
        else:
            values[column] = text
    return Row(**values)  # type: ignore[arg-type]  # columns and fields are the same names, checked value by value above
