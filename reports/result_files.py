"""Files of rows as columns: our ``results.csv`` and the ancestor's CSV files. What does not read is set aside, with its reason, and never stops the rest.

Every row is one physical line, so a broken one costs itself alone. A row of ours and a row of the ancestor's are told apart by
the header. A file of ours is read as columns; where anything in it is wrong, line by line.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.files import row_from_fields
from harness.records import COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, Row, Status, one_line
from reports import ancestor

LINE_LIMIT = 1 << 20
"""Characters of a line beyond which it is no row of anybody's."""
INTEGER_LIMIT = 1 << 53
"""Counts beyond this are not exact in a table of doubles, and nobody's."""
TORN = "the last line has no end: its writer was killed in it"
OUR_COLUMNS = {"name", "launch", "cell", "backend", "status"}
"""What makes a file one of ours; other columns may be missing (an older schema) or more (a newer one)."""
POSITIVE_COLUMNS = (
    *("speedup", "abs_latency", "eager_latency_seconds", "backend_latency_seconds"),
    *("speedup_low", "speedup_high", "device_speedup", "eager_device_seconds", "backend_device_seconds"),
)
NUMBER_COLUMNS = FLOAT_COLUMNS | INTEGER_COLUMNS

Key = tuple[int, str, str]
"""(launch, image, cell): a row of which there is one."""
Aside = Callable[[int, str], None]
"""Told the number of a line (0: the whole file) that is no row, and why."""
Parser = Callable[[Mapping[str, str], Path], Row]
Line = tuple[int, str]
"""The number of a line, and what is to be said of it."""

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Row)}


def read_rows(path: Path, known: set[Key], set_aside: Aside) -> pd.DataFrame:
    """The rows of a file under the names of ``Row``, but those of ``known``, which learns them. Numbers that were not measured are NaN."""
    found: list[Line] = []
    try:
        table, numbers = _at_once(path, found)
    except (ValueError, OSError):
        table, numbers = _line_by_line(path, found)
    kept = []
    for place, key in enumerate(zip(table["launch"].tolist(), table["image"], table["cell"], strict=True)):
        if key in known:
            found.append((numbers[place], f"a second row of {key[2]} in launch {key[0]}: the first one counts"))
        else:
            known.add(key)
            kept.append(place)
    for line, reason in sorted(found):
        set_aside(line, one_line(reason, 200))
    return table if len(kept) == len(table) else table.iloc[kept].reset_index(drop=True)


def _at_once(path: Path, aside: list[Line]) -> tuple[pd.DataFrame, Sequence[int]]:
    """(rows, numbers of their lines) of a file of ours in which nothing is wrong but its end; ValueError for another.

    Many times as fast as line by line.
    """
    if not path.is_file():
        raise ValueError("no file")
    data = np.fromfile(path, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if not len(ends) or np.diff(ends, append=len(data)).max() > LINE_LIMIT or not data.all():
        raise ValueError("a line is too long, or not text")
    header = data[: ends[0]].tobytes().decode("utf-8").split(",")
    if _kind(header) is not _parse_ours or header != [each.strip("\ufeff \r") for each in header]:
        raise ValueError("not a file of ours")
    # pandas fills up a line that is too short.
    if _widths(data, ends) != {len(header)}:
        raise ValueError("a line has more or fewer fields than the header")
    mine = [name for name in header if name in _DEFAULTS]
    numbers = [name for name in mine if name in NUMBER_COLUMNS]
    table = pd.read_csv(
        path,
        nrows=len(ends) - 1,
        dtype={name: "float64" if name in NUMBER_COLUMNS else "object" for name in header},
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
        encoding_errors="replace",
    )
    if len(table) != len(ends) - 1:
        raise ValueError("a row is not a line")
    for name in numbers:
        _check_numbers(name, table[name].to_numpy(dtype=np.float64))
    if not all(table["name"]) or not all(map(Status.is_known, table["status"].unique())):
        raise ValueError("a row has no name, or an unknown status")
    if ends[-1] != len(data) - 1:
        aside.append((len(ends) + 1, TORN))
    return pd.DataFrame({name: _column(name, table) for name in COLUMNS}), range(2, len(table) + 2)


def _widths(data: NDArray[np.uint8], ends: NDArray[np.intp]) -> set[int]:
    """How many fields lines have; 0 for one that ends in quotes."""
    quoted = np.bitwise_xor.accumulate(data == ord('"'))
    commas = np.flatnonzero((data == ord(",")) & ~quoted)
    widths = np.diff(np.searchsorted(commas, ends), prepend=0) + 1
    return set(np.where(quoted[ends], 0, widths).tolist())


def _column(name: str, table: pd.DataFrame) -> pd.Series:
    """As ``Row`` has it; its default in a file of another schema, which has not."""
    kind = _dtype(name)
    if name not in table:
        return pd.Series(_DEFAULTS[name], index=table.index, dtype=kind)
    return table[name].fillna(_DEFAULTS[name]).astype("int64") if kind == "int64" else table[name]


def _check_numbers(name: str, values: NDArray[np.float64]) -> None:
    """As ``_check``. ValueError."""
    known = values[~np.isnan(values)]
    least, most = _limits(name)
    if not (np.all(known > least) and np.all(known < most)) or (name in INTEGER_COLUMNS and np.any(known != np.rint(known))):
        raise ValueError("neither a measurement nor a count")


def _dtype(column: str) -> str:
    if column in ("launch", "attempt"):
        return "int64"
    return "float64" if column in NUMBER_COLUMNS else "object"


def _line_by_line(path: Path, aside: list[Line]) -> tuple[pd.DataFrame, Sequence[int]]:
    found = list(_rows(path, aside))
    columns = {name: pd.Series([getattr(row, name) for _, row in found], dtype=_dtype(name)) for name in COLUMNS}
    return pd.DataFrame(columns, columns=list(COLUMNS)), [number for number, _ in found]


def _rows(path: Path, aside: list[Line]) -> Iterator[tuple[int, Row]]:
    """(number of its line, row) of what reads."""
    if path.exists() and not path.is_file():
        # Whoever opens a pipe waits for its writer.
        aside.append((0, "no regular file: its rows are not read"))
        return
    try:
        with path.open("r", encoding="utf-8", errors="replace", newline="\n") as file:
            lines = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
            number, first = next(lines, (0, ""))
            header = _split(first) if first else "the file is empty"
            if isinstance(header, str):
                aside.append((number, header))
                return
            header = _columns(header)
            parse = _kind(header)
            if parse is None:
                aside.append((0, f"the header is neither ours nor the ancestor's: {','.join(header)}"))
                return
            for number, line in lines:
                try:
                    yield number, _row(_split(line), header, parse, path)
                except ValueError as error:
                    aside.append((number, str(error)))
    except OSError as error:
        aside.append((0, str(error)))


def header_of(path: Path) -> list[str]:
    """Names of a file's columns; empty where it does not read."""
    try:
        with path.open("r", encoding="utf-8", errors="replace", newline="\n") as file:
            fields = _split(next((line for line in iter(lambda: file.readline(LINE_LIMIT), "") if line.strip()), ""))
    except OSError:
        return []
    return [] if isinstance(fields, str) else _columns(fields)


def _columns(header: list[str]) -> list[str]:
    return [column.strip().removeprefix("\ufeff") for column in header]


def _limits(name: str) -> tuple[float, float]:
    """(what a number is above, what it is below)."""
    if name in INTEGER_COLUMNS:
        return -1, INTEGER_LIMIT
    return 0.0 if name in POSITIVE_COLUMNS else -math.inf, math.inf


def _split(line: str) -> list[str] | str:
    """Fields of a line; a reason in their place where it has none."""
    if len(line) > LINE_LIMIT:
        return f"a line of {len(line)} characters"
    if "\0" in line:
        return "a NUL character"
    if not line.endswith("\n"):
        return TORN
    try:
        return next(csv.reader([line.rstrip("\r\n")], strict=True))
    except (csv.Error, StopIteration) as error:
        return f"not CSV: {error}"


def _row(fields: list[str] | str, header: list[str], parse: Parser, path: Path) -> Row:
    """ValueError has the reason why the line is no row."""
    if isinstance(fields, str):
        raise ValueError(fields)  # noqa: TRY004  # it is a reason, not a wrong type
    if len(fields) != len(header):
        raise ValueError(f"{len(fields)} fields where the header has {len(header)}")
    row = parse(dict(zip(header, fields, strict=True)), path)
    _check(row)
    return row


def _kind(header: list[str]) -> Parser | None:
    if len(set(header)) != len(header):
        return None
    if set(header) >= OUR_COLUMNS:
        return _parse_ours
    if ancestor.is_ancestors(header):
        return ancestor.parse
    return None


def _parse_ours(fields: Mapping[str, str], path: Path) -> Row:
    return row_from_fields(fields)


def _check(row: Row) -> None:
    if not Status.is_known(row.status):
        raise ValueError(f"unknown status {one_line(row.status, 40)!r}")
    if not row.name:
        raise ValueError("the row names no workload")
    for column in FLOAT_COLUMNS:
        value = getattr(row, column)
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{column}: {value} is not a measurement")
    for column in INTEGER_COLUMNS:
        value = getattr(row, column)
        if value is not None and not 0 <= value <= INTEGER_LIMIT:
            raise ValueError(f"{column}: {value} is not a count")
    for column in POSITIVE_COLUMNS:
        value = getattr(row, column)
        if value is not None and value <= 0:
            raise ValueError(f"{column}: {value} is not above 0")
