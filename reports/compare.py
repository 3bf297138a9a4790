"""From rows to what a page and a table show. Pure: frames in, frozen values out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from harness.measure.stability import modes
from harness.records import Status, Warn
from images.errors import UserError
from reports.load import SOURCE

ROW_KEY = ["name", "dev", "mode", "precision", "shapes", "planned_batch_size"]
"""What makes two rows comparable: everything of a cell but the backend."""
COLUMN_KEY = [SOURCE, "image", "backend", "options"]


class UnknownColumn(UserError):
    """The reference is none of the columns, or several."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One cell of one image, over its launches."""

    status: str
    """The status that all launches share, else the first that is not ``pass``."""
    launches: int
    passed: int
    speedup: float | None
    """Median over the launches that passed."""
    speedup_low: float | None
    """Bounds of the 95 % interval within a launch: the median of the launches' own."""
    speedup_high: float | None
    device_speedup: float | None
    """The same ratio by the device's clock, where there is one."""
    latency_seconds: float | None
    device_seconds: float | None
    size_bytes: float | None
    """Of an image on disk, for the cell that says it."""
    compressed_bytes: float | None
    spread: float | None
    """Of the launches' latencies: (largest - smallest) / median; None for a single one."""
    reason: str
    warnings: tuple[str, ...]
    backend_error: float | None
    log: str
    beside: float | None = None
    """How many times as fast as the reference column: by the device's clock where both have one, else by the host's."""

    @property
    def ok(self) -> bool:
        return self.status == Status.PASS


@dataclass(frozen=True, kw_only=True)
class Column:
    label: str
    source: str
    statuses: tuple[tuple[str, int], ...]
    """How many rows (launch x cell) ended in which status, most first."""
    geomean: float | None
    """Geometric mean of the speedups of the common cells; None where there are none."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A workload in a mode, a precision and shapes; entries in the order of the columns."""

    workload: str
    detail: str
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    common: int
    """Lines that every column with speedups passed: the set over which the geomeans are taken."""
    reference: str = ""
    """Label of the column that the others are set beside; empty where none was asked for."""


def compare(table: pd.DataFrame, reference: str = "") -> Comparison:
    """Lay rows out as a matrix: workloads down, image x backend across.

    reference: label of a column (or the end of one, where that is enough) to set all others beside, across images: the way to compare
    where eager is of no use. Raises UnknownColumn.
    """
    if table.empty:
        return Comparison(columns=(), lines=(), common=0)
    columns = _unique(table, COLUMN_KEY)
    keys = _unique(table, ROW_KEY)
    entries = {
        (tuple(group_key[: len(ROW_KEY)]), tuple(group_key[len(ROW_KEY) :])): _entry(group)
        for group_key, group in _plain(table).groupby([*ROW_KEY, *COLUMN_KEY], sort=False)
    }
    lines = tuple(
        Line(workload=key[0], detail=_detail(key), entries=tuple(entries.get((key, column)) for column in columns)) for key in keys
    )
    # A column without a single speedup (an accuracy file) has no mean to compare, and must not take the others' away.
    timed = [index for index in range(len(columns)) if any(_speedup(line.entries[index]) is not None for line in lines)]
    common = [line for line in lines if timed and all(_speedup(line.entries[index]) is not None for index in timed)]
    labels = _labels(columns)
    shown = tuple(
        Column(
            label=labels[index],
            source=column[0],
            statuses=_count(table, column),
            geomean=geomean([_speedup(line.entries[index]) for line in common]),
        )
        for index, column in enumerate(columns)
    )
    if not reference:
        return Comparison(columns=shown, lines=lines, common=len(common))
    index = _find(reference, labels)
    return Comparison(columns=shown, lines=tuple(_beside(line, index) for line in lines), common=len(common), reference=labels[index])


def _find(reference: str, labels: Sequence[str]) -> int:
    found = [index for index, label in enumerate(labels) if label == reference] or [
        index for index, label in enumerate(labels) if label.endswith(reference)
    ]
    if len(found) != 1:
        what = "more than one column ends with" if found else "no column is"
        raise UnknownColumn(f"{what} {reference!r}\n  next: --reference with one of: {', '.join(map(repr, labels))}")
    return found[0]


def _beside(line: Line, index: int) -> Line:
    reference = line.entries[index]
    if reference is None or not reference.ok:
        return line
    entries = tuple(entry if entry is None or not entry.ok else replace(entry, beside=_times(reference, entry)) for entry in line.entries)
    return replace(line, entries=entries)


def _times(reference: Entry, entry: Entry) -> float | None:
    """Two clocks are never mixed."""
    if reference.device_seconds and entry.device_seconds:
        return reference.device_seconds / entry.device_seconds
    if reference.latency_seconds and entry.latency_seconds:
        return reference.latency_seconds / entry.latency_seconds
    return None


def _speedup(entry: Entry | None) -> float | None:
    """Of an entry that all its launches passed."""
    return entry.speedup if entry is not None and entry.ok else None


def geomean(ratios: Sequence[float | None]) -> float | None:
    """exp(mean(log(ratio))), slowdowns included; None for no ratios."""
    values = [ratio for ratio in ratios if ratio is not None]
    return math.exp(float(np.mean(np.log(values)))) if values else None


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with keys that group: nothing is missing in them."""
    plain = table.copy()
    plain["planned_batch_size"] = plain["planned_batch_size"].fillna(0).astype(int)
    return plain


def _unique(table: pd.DataFrame, key: list[str]) -> list[tuple[str, ...]]:
    return [tuple(values) for values in _plain(table)[key].drop_duplicates().itertuples(index=False)]


def _entry(group: pd.DataFrame) -> Entry:
    passed = group[group["status"] == Status.PASS]
    failed = group[group["status"] != Status.PASS]
    shown = failed if len(failed) else group
    warnings = {warning for text in group["warnings"] for warning in str(text).split(";") if warning}
    # By the clock that cells are compared by: host time differs by launch where device time does not.
    device = passed["backend_device_seconds"].dropna()
    latencies = [float(value) for value in (device if len(device) else passed["abs_latency"].dropna() / 1e3)]
    if modes(latencies):
        # No launch can know this by itself.
        warnings.add(Warn.UNSTABLE.value)
    return Entry(
        status=str(shown["status"].iloc[0]),
        launches=len(group),
        passed=len(passed),
        speedup=_median(passed["speedup"]),
        speedup_low=_median(passed["speedup_low"]),
        speedup_high=_median(passed["speedup_high"]),
        device_speedup=_median(passed["device_speedup"]),
        latency_seconds=_median(passed["abs_latency"] / 1e3),
        device_seconds=_median(passed["backend_device_seconds"]),
        size_bytes=_median(passed["image_bytes"]),
        compressed_bytes=_median(passed["image_compressed_bytes"]),
        spread=(max(latencies) - min(latencies)) / float(np.median(latencies)) if len(latencies) > 1 else None,
        reason=str(shown["reason"].iloc[0]),
        warnings=tuple(sorted(warnings)),
        backend_error=_median(group["backend_error"]),
        log=str(shown["log"].iloc[0]),
    )


def _median(values: pd.Series) -> float | None:
    median = float(values.median())
    return None if math.isnan(median) else median


def _detail(key: tuple[object, ...]) -> str:
    words = [str(word) for word in key[1:5] if word]
    return " ".join([*words, f"batch={key[5]}"] if key[5] else words)


def _labels(columns: Sequence[tuple[str, ...]]) -> list[str]:
    """Image backend options; with the source where it takes that to tell columns apart."""
    short = [" ".join(part for part in column[1:] if part) for column in columns]
    return [label if short.count(label) == 1 else f"{column[0]}: {label}" for label, column in zip(short, columns, strict=True)]


def _count(table: pd.DataFrame, column: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    chosen = table[(table[COLUMN_KEY] == list(column)).all(axis=1)]
    return tuple((str(status), int(count)) for status, count in chosen["status"].value_counts().items())
