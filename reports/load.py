"""Read runs and CSV files into one table. What does not read is set aside, with its reason, and never stops the rest.

Every row is one physical line, so a broken one costs itself alone. A row of ours and a row of the ancestor's are told apart by
the header.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from harness.files import row_from_fields
from harness.records import ANCESTOR_COLUMNS, COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, Row, Status, one_line
from matrix.errors import RunNotFound
from matrix.store import INCOMING, MANIFEST, RESULTS

LINE_LIMIT = 1 << 20
"""Characters of a line beyond which it is no row of anybody's."""
QUARANTINE_LIMIT = 200
"""Quarantined lines that a report names one by one; the rest is counted."""
INTEGER_LIMIT = 1 << 53
"""Counts beyond this are not exact in a table of doubles, and nobody's."""
OUR_COLUMNS = {"name", "launch", "cell", "backend", "status"}
"""What makes a file one of ours; other columns may be missing (an older schema) or more (a newer one)."""
POSITIVE_COLUMNS = (
    *("speedup", "abs_latency", "eager_latency_seconds", "backend_latency_seconds"),
    *("speedup_low", "speedup_high", "device_speedup", "eager_device_seconds", "backend_device_seconds"),
)
SOURCE = "source"
"""Column of the table: the run or file that a row is from."""

Key = tuple[int, str, str]
"""(launch, image, cell): a row of which there is one."""
Parser = Callable[[Mapping[str, str], Path], Row]

_ANCESTOR_STATUS = {"eager_1st_run_fail": Status.EAGER_FAIL_TO_RUN, "eager_2nd_run_fail": Status.EAGER_FAIL_TO_RUN}


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A line, or a whole file (line 0), that is not in the table."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A run directory or a CSV file."""

    name: str
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Empty for a file."""
    missing: int = 0
    """Planned rows that are not there: the run was cut short, or is still going on."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    table: pd.DataFrame
    """One line per row; columns of ``harness.records.Row`` and ``source``."""
    sources: tuple[Source, ...]
    quarantined: tuple[Quarantined, ...]


def load(paths: Iterable[Path]) -> Loaded:
    """Read run directories and CSV files. Raises RunNotFound for a path that is not there."""
    rows: list[dict[str, object]] = []
    sources: list[Source] = []
    quarantined: list[Quarantined] = []
    names: set[str] = set()
    for path in paths:
        if not path.exists():
            raise RunNotFound(f"there is no {path}\n  next: name run directories (results/...) or CSV files")
        name = _unique(path.resolve().name, names)
        found: list[Row] = []
        manifest: dict[str, Any] = {}
        if path.is_dir():
            manifest = _manifest(path, quarantined)
            for file in _run_files(path):
                found.extend(_read(file, str(file.relative_to(path.parent)), quarantined, {_key(row) for row in found}))
            if not any((path / file).exists() for file in (MANIFEST, RESULTS)):
                quarantined.append(Quarantined(file=name, line=0, reason=f"not a run: it has no {MANIFEST} and no {RESULTS}"))
        else:
            found.extend(_read(path, path.name, quarantined, set()))
        planned = manifest.get("planned_rows")
        missing = max(0, planned - len(found)) if isinstance(planned, int) else 0
        sources.append(Source(name=name, manifest=manifest, missing=missing))
        rows.extend({**dataclasses.asdict(row), SOURCE: name} for row in found)
    table = pd.DataFrame(rows, columns=[*COLUMNS, SOURCE])
    for column in (*FLOAT_COLUMNS, *INTEGER_COLUMNS):
        table[column] = pd.to_numeric(table[column])
    return Loaded(table=table, sources=tuple(sources), quarantined=tuple(quarantined))


def _unique(name: str, names: set[str]) -> str:
    chosen, number = name, 2
    while chosen in names:
        chosen, number = f"{name} ({number})", number + 1
    names.add(chosen)
    return chosen


def _run_files(directory: Path) -> Iterator[Path]:
    """The run's own record, and what launches of a killed command have left to be collected."""
    if (directory / RESULTS).exists():
        yield directory / RESULTS
    yield from sorted((directory / INCOMING).glob(f"*/{RESULTS}"))


def _manifest(directory: Path, quarantined: list[Quarantined]) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        quarantined.append(Quarantined(file=f"{directory.name}/{MANIFEST}", line=0, reason=one_line(str(error), 200)))
        return {}
    if not isinstance(found, dict):
        quarantined.append(Quarantined(file=f"{directory.name}/{MANIFEST}", line=0, reason="not a JSON object"))
        return {}
    return found


def _read(path: Path, name: str, quarantined: list[Quarantined], known: set[Key]) -> list[Row]:
    """The rows of a file, but those of ``known``; what does not read goes to ``quarantined``."""

    def set_aside(line: int, reason: object) -> None:
        quarantined.append(Quarantined(file=one_line(name, 200), line=line, reason=one_line(str(reason), 200)))

    lines = _lines(path)
    try:
        number, header = next(lines, (0, "the file is empty"))
    except OSError as error:
        number, header = 0, str(error)
    if isinstance(header, str):
        set_aside(number, header)
        return []
    header = [column.strip().removeprefix("\ufeff") for column in header]
    parse = _kind(header)
    if parse is None:
        set_aside(0, f"the header is neither ours nor the ancestor's: {','.join(header)}")
        return []
    rows: list[Row] = []
    seen = set(known)
    for number, fields in lines:
        try:
            row = _row(fields, header, parse, path)
        except ValueError as error:
            set_aside(number, error)
            continue
        if _key(row) in seen:
            set_aside(number, f"a second row of {row.cell} in launch {row.launch}: the first one counts")
        else:
            seen.add(_key(row))
            rows.append(row)
    return rows


def _key(row: Row) -> Key:
    return (row.launch, row.image, row.cell)


def _lines(path: Path) -> Iterator[tuple[int, list[str] | str]]:
    """Number and fields of every line that is not blank; a reason in place of the fields where it has none."""
    with path.open("r", encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _split(line)


def _split(line: str) -> list[str] | str:
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
    """A row of the ancestor's CSV. It says nothing of image, mode or precision; its file name usually does."""
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
