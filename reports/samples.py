"""The samples of a run as columns: millions of lines in seconds."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from harness.files import is_regular, read_fields
from harness.records import SAMPLE_COLUMNS, one_line
from matrix.store import SAMPLES
from reports.gate.wording import counted
from reports.load import Quarantined, run_files

READ = ("launch", "attempt", "cell", "variant", "clock", "index", "seconds", "mark")
"""Columns that anybody looks at; ``samples.csv`` has more."""
_KINDS = {"launch": "int64", "attempt": "int64", "index": "int64", "seconds": "float64"}
_TEXTS = tuple(column for column in READ if column not in _KINDS)


def load_samples(run: Path, name: str = "") -> tuple[pd.DataFrame, tuple[Quarantined, ...]]:
    """(the samples of a run directory in the order of its files, what of these files does not read). Columns READ, texts as categories.

    name: what the run is called, where that is not its folder's name. Empty for a file, and for a run without samples.
    """
    tables, aside = [], []
    for file in run_files(run, SAMPLES) if run.is_dir() else ():
        table, reason = _read(file)
        tables.append(table)
        if reason:
            aside.append(Quarantined(file=f"{name or run.name}/{file.relative_to(run)}", line=0, reason=reason))
    unread = tuple(aside)
    found = [table for table in tables if len(table)]
    if not found:
        return _empty(), unread
    if len(found) == 1:
        return found[0], unread
    # Categories of two files are not the same ones.
    joined = pd.concat([table.astype(dict.fromkeys(_TEXTS, "object")) for table in found], ignore_index=True)
    return joined.astype(dict.fromkeys(_TEXTS, "category")), unread


def _read(file: Path) -> tuple[pd.DataFrame, str]:
    """(its samples, why some or all of it are not there; empty where nothing is missing)."""
    if not is_regular(file):
        return _empty(), "no regular file: its samples are not read"
    try:
        found, lost = _table(file)
    except OSError as error:
        return _empty(), one_line(str(error), 200)
    return found, f"{counted(lost, 'line')} of it {'is no sample' if lost == 1 else 'are no samples'}" if lost else ""


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=_KINDS.get(name, "category")) for name in READ})


def _table(file: Path) -> tuple[pd.DataFrame, int]:
    try:
        found = _quickly(file)
        lines = len(found)
    except (ValueError, OverflowError):
        found = pd.DataFrame(_records(file), columns=list(READ)).astype({**_KINDS, **dict.fromkeys(_TEXTS, "category")})
        with file.open("rb") as data:
            lines = max(0, sum(1 for _ in data) - 1)
    seconds = found["seconds"].to_numpy(dtype=np.float64)
    # What can have been measured.
    good = np.isfinite(seconds) & (seconds > 0)
    return (found if good.all() else found[good].reset_index(drop=True)), lines - int(good.sum())


def _quickly(file: Path) -> pd.DataFrame:
    """A file in which every line reads; ValueError for another."""
    with file.open("rb") as data:
        if file.stat().st_size:
            data.seek(-1, 2)
            if data.read(1) != b"\n":
                raise ValueError("the last line has no end: its writer was killed in it")
            with mmap.mmap(data.fileno(), 0, access=mmap.ACCESS_READ) as text:
                if text.find(b"\0") >= 0:
                    raise ValueError("not text")
    return pd.read_csv(
        file,
        usecols=list(READ),
        dtype=_KINDS | dict.fromkeys(_TEXTS, "category"),
        keep_default_na=False,
        na_values={"seconds": [""]},
        encoding_errors="replace",
    )[list(READ)]


def _records(file: Path) -> Iterator[tuple[object, ...]]:
    for fields in read_fields(file):
        if not set(SAMPLE_COLUMNS) >= set(READ) <= fields.keys():
            return
        try:
            yield tuple(_value(name, fields[name]) for name in READ)
        except ValueError:
            continue


def _value(name: str, text: str) -> object:
    if name in _TEXTS:
        return text
    return float(text) if name == "seconds" else int(text)
