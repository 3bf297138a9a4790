"""The samples of a run as columns: millions of lines in seconds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from harness.files import read_fields
from harness.records import SAMPLE_COLUMNS
from matrix.store import SAMPLES
from reports.load import run_files

READ = ("launch", "attempt", "cell", "variant", "clock", "index", "seconds", "mark")
"""Columns that anybody looks at; ``samples.csv`` has more."""
_KINDS = {"launch": "int64", "attempt": "int64", "index": "int64", "seconds": "float64"}
_TEXTS = tuple(column for column in READ if column not in _KINDS)


def load_samples(run: Path) -> pd.DataFrame:
    """The samples of a run directory, in the order of its files; columns READ, texts as categories. What does not read is left out.

    Empty for a file, and for a run without samples.
    """
    tables = [_table(file) for file in run_files(run, SAMPLES) if _is_regular(file)] if run.is_dir() else []
    found = [table for table in tables if len(table)]
    if not found:
        return pd.DataFrame({name: pd.Series(dtype=_KINDS.get(name, "category")) for name in READ})
    if len(found) == 1:
        return found[0]
    # Categories of two files are not the same ones.
    joined = pd.concat([table.astype(dict.fromkeys(_TEXTS, "object")) for table in found], ignore_index=True)
    return joined.astype(dict.fromkeys(_TEXTS, "category"))


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _table(file: Path) -> pd.DataFrame:
    try:
        return _kept(_quickly(file))
    except (ValueError, OverflowError):
        return _kept(_line_by_line(file))


def _quickly(file: Path) -> pd.DataFrame:
    """A file in which every line reads; ValueError for another."""
    text = file.read_bytes()
    # The line that a killed writer began is none.
    whole = text[: text.rfind(b"\n") + 1]
    if b"\0" in whole:
        raise ValueError("not text")
    return pd.read_csv(
        io.BytesIO(whole),
        usecols=list(READ),
        dtype=_KINDS | dict.fromkeys(_TEXTS, "category"),
        keep_default_na=False,
        na_values={"seconds": [""]},
        encoding_errors="replace",
    )[list(READ)]


def _line_by_line(file: Path) -> pd.DataFrame:
    found = pd.DataFrame(_records(file), columns=list(READ))
    return found.astype({**_KINDS, **dict.fromkeys(_TEXTS, "category")})


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


def _kept(table: pd.DataFrame) -> pd.DataFrame:
    """What can have been measured."""
    seconds = table["seconds"].to_numpy(dtype=np.float64)
    good = np.isfinite(seconds) & (seconds > 0)
    return table if good.all() else table[good].reset_index(drop=True)
