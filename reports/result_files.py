"""Files of rows as columns: our ``results.csv`` and the ancestor's CSV files. What does not read is set aside, with its reason, and never stops the rest.

Every row is one physical line, so a broken one costs itself alone. A row of ours and a row of the ancestor's are told apart by
the header. Lines are read in batches, column by column; a batch in which anything is wrong is read again line by line.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.files import row_from_fields
from harness.records import ANCESTOR_COLUMNS, COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, Row, Status, one_line

LINE_LIMIT = 1 << 20
"""Characters of a line beyond which it is no row of anybody's."""
INTEGER_LIMIT = 1 << 53
"""Counts beyond this are not exact in a table of doubles, and nobody's."""
BATCH = 512
"""Lines that are parsed together."""
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
Columns = dict[str, Sequence[object]]

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Row)}
_ANCESTOR_SUITES = ("torchbench", "huggingface", "timm")
_ANCESTOR_STATUS = {"eager_1st_run_fail": Status.EAGER_FAIL_TO_RUN, "eager_2nd_run_fail": Status.EAGER_FAIL_TO_RUN}


def read_rows(path: Path, known: set[Key], set_aside: Aside) -> pd.DataFrame:
    """The rows of a file under the names of ``Row``, but those of ``known``, which learns them. Numbers that were not measured are NaN."""
    found: list[tuple[int, str]] = []
    chunks = list(_chunks(path, lambda line, reason: found.append((line, reason))))
    numbers = [number for lines, _ in chunks for number in lines]
    columns = {name: _joined(name, chunks) for name in COLUMNS}
    kept = []
    for place, key in enumerate(zip(columns["launch"], columns["image"], columns["cell"], strict=True)):
        if key in known:
            found.append((numbers[place], f"a second row of {key[2]} in launch {key[0]}: the first one counts"))
        else:
            known.add(key)  # type: ignore[arg-type]  # launches are integers, the others texts
            kept.append(place)
    for line, reason in sorted(found):
        set_aside(line, one_line(reason, 200))
    table = pd.DataFrame({name: pd.Series(values, dtype=_dtype(name)) for name, values in columns.items()}, columns=list(COLUMNS))
    return table if len(kept) == len(table) else table.iloc[kept].reset_index(drop=True)


def _dtype(column: str) -> str:
    if column in ("launch", "attempt"):
        return "int64"
    return "float64" if column in NUMBER_COLUMNS else "object"


def _joined(name: str, chunks: Sequence[tuple[Sequence[int], Columns]]) -> list[object]:
    return list(itertools.chain.from_iterable(columns.get(name) or [_DEFAULTS[name]] * len(lines) for lines, columns in chunks))


def _chunks(path: Path, set_aside: Aside) -> Iterator[tuple[Sequence[int], Columns]]:
    """(numbers of the lines, columns) of what reads."""
    try:
        with path.open("r", encoding="utf-8", errors="replace", newline="\n") as file:
            lines = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
            number, first = next(lines, (0, ""))
            header = _split(first) if first else "the file is empty"
            if isinstance(header, str):
                set_aside(number, header)
                return
            header = [column.strip().removeprefix("\ufeff") for column in header]
            parse = _kind(header)
            if parse is None:
                set_aside(0, f"the header is neither ours nor the ancestor's: {','.join(header)}")
                return
            while batch := list(itertools.islice(lines, BATCH)):
                yield _batch(batch, header, parse, path, set_aside)
    except OSError as error:
        set_aside(0, str(error))


def _batch(lines: Sequence[Line], header: list[str], parse: Parser, path: Path, set_aside: Aside) -> tuple[Sequence[int], Columns]:
    if parse is _parse_ours:
        try:
            return [number for number, _ in lines], _columns([line for _, line in lines], header)
        except (ValueError, csv.Error):
            pass
    numbers, rows = [], []
    for number, line in lines:
        try:
            rows.append(_row(_split(line), header, parse, path))
        except ValueError as error:
            set_aside(number, str(error))
        else:
            numbers.append(number)
    return numbers, {name: [getattr(row, name) for row in rows] for name in COLUMNS}


def _columns(lines: Sequence[str], header: list[str]) -> Columns:
    """Of lines in which nothing is wrong; ValueError or csv.Error where anything is. The same checks as line by line."""
    if not all(line.endswith("\n") and len(line) <= LINE_LIMIT and "\0" not in line for line in lines):
        raise ValueError("a line is cut off, too long, or not text")
    rows = list(csv.reader((line.rstrip("\r\n") for line in lines), strict=True))
    # A line has at least one row's beginning, so as many rows as lines are a row each.
    if len(rows) != len(lines) or any(len(row) != len(header) for row in rows):
        raise ValueError("a line has more or fewer fields than the header")
    found: Columns = {name: _values(name, texts) for name, texts in zip(header, zip(*rows, strict=True), strict=True) if name in _DEFAULTS}
    if not all(found["name"]) or not all(map(Status.is_known, set(map(str, found["status"])))):
        raise ValueError("a row has no name, or an unknown status")
    return found


def _values(name: str, texts: Sequence[str]) -> Sequence[object]:
    if name not in NUMBER_COLUMNS:
        return texts
    if not any(texts):
        return [_DEFAULTS[name]] * len(texts)
    parse, least, most = _limits(name)
    missing = _DEFAULTS[name]
    values = list(map(parse, texts)) if all(texts) else [parse(text) if text else missing for text in texts]
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not (np.all(known > least) and np.all(known < most)):
        raise ValueError("neither a measurement nor a count")
    return values


def _limits(name: str) -> tuple[Callable[[str], float], float, float]:
    """(from text to number, what a number is above, what it is below): not a number is neither."""
    if name in INTEGER_COLUMNS:
        return int, -1, INTEGER_LIMIT + 1
    return float, 0.0 if name in POSITIVE_COLUMNS else -math.inf, math.inf


def _split(line: str) -> list[str] | str:
    """Fields of a line; a reason in their place where it has none."""
    if len(line) > LINE_LIMIT:
        return f"a line of {len(line)} characters"
    if "\0" in line:
        return "a NUL character"
    if not line.endswith("\n"):
        return "the last line has no end: its writer was killed in it"
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
    if header[:2] == ["dev", "name"] and {"speedup", "accuracy"} & set(header):
        return _parse_ancestor
    return None


def _parse_ours(fields: Mapping[str, str], path: Path) -> Row:
    return row_from_fields(fields)


def _parse_ancestor(fields: Mapping[str, str], path: Path) -> Row:
    """A row of the ancestor's CSV. It says nothing of image, suite, mode or precision; its file name usually does."""
    stem = path.stem
    words = re.split(r"[_-]", stem)
    known = {column: fields[column] for column in ANCESTOR_COLUMNS if column in fields}
    # It pads rows of what failed with zeros; a zero in these columns was never measured.
    for column in ("speedup", "abs_latency", "compilation_latency", "compression_ratio", "eager_peak_mem", "dynamo_peak_mem"):
        if re.fullmatch(r"0*\.?0*", known.get(column, "x")):
            known[column] = ""
    for column in INTEGER_COLUMNS & known.keys():
        known[column] = known[column].removesuffix(".0")
    row = row_from_fields(known)
    accuracy = fields.get("accuracy", "")
    if accuracy:
        status = Status.OOM if accuracy.endswith("OOM") else _ANCESTOR_STATUS.get(accuracy, accuracy)
        reason = ""
    else:
        status, reason = (Status.PASS, "") if row.speedup is not None else (Status.FAIL_TO_RUN, "the ancestor's row has no speedup")
    return dataclasses.replace(
        row,
        image=stem,
        cell=f"{row.name} {row.dev}",
        suite=next((word for word in _ANCESTOR_SUITES if word in words), ""),
        mode=next((word for word in ("inference", "training") if word in words), ""),
        precision=next((word for word in ("float32", "float16", "bfloat16", "amp") if word in words), ""),
        planned_batch_size=row.batch_size,
        status=status,
        reason=reason,
    )


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
