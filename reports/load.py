"""Read runs and CSV files into one table. What does not read is set aside, with its reason, and never stops the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records import COLUMNS, one_line
from matrix.errors import RunNotFound
from matrix.store import INCOMING, MANIFEST, RESULTS
from reports.result_files import Key, read_rows

QUARANTINE_LIMIT = 200
"""Quarantined lines that a report names one by one; the rest is counted."""
SOURCE = "source"
"""Column of the table: the run or file that a row is from."""


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
    path: Path
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
    tables: list[pd.DataFrame] = []
    sources: list[Source] = []
    quarantined: list[Quarantined] = []
    names: set[str] = set()
    for path in paths:
        if not path.exists():
            raise RunNotFound(f"there is no {path}\n  next: name run directories (results/...) or CSV files")
        name = _unique(path.resolve().name, names)
        manifest = _manifest(path, quarantined) if path.is_dir() else {}
        if path.is_dir() and not any((path / file).exists() for file in (MANIFEST, RESULTS)):
            quarantined.append(Quarantined(file=name, line=0, reason=f"not a run: it has no {MANIFEST} and no {RESULTS}"))
        known: set[Key] = set()
        found = [_table(file, path, known, quarantined) for file in run_files(path, RESULTS)]
        planned = manifest.get("planned_rows")
        missing = max(0, planned - sum(map(len, found))) if isinstance(planned, int) else 0
        sources.append(Source(name=name, path=path, manifest=manifest, missing=missing))
        tables += [table.assign(**{SOURCE: name}) for table in found if len(table)]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*COLUMNS, SOURCE])
    return Loaded(table=table, sources=tuple(sources), quarantined=tuple(quarantined))


def run_files(path: Path, name: str) -> Iterator[Path]:
    """Of a run: its own file of that name, and what launches of a killed command have left to be collected. Of a file: itself."""
    if not path.is_dir():
        yield path
        return
    if (path / name).exists():
        yield path / name
    yield from sorted((path / INCOMING).glob(f"*/{name}"))


def _table(file: Path, source: Path, known: set[Key], quarantined: list[Quarantined]) -> pd.DataFrame:
    # As "RUN/results.csv", and not as the path that leads to it.
    name = one_line(str(file.relative_to(source.parent)), 200)
    return read_rows(file, known, lambda line, reason: quarantined.append(Quarantined(file=name, line=line, reason=reason)))


def _unique(name: str, names: set[str]) -> str:
    chosen, number = name, 2
    while chosen in names:
        chosen, number = f"{name} ({number})", number + 1
    names.add(chosen)
    return chosen


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
