"""Read runs and CSV files into one table. What does not read is set aside, with its reason, and never stops the rest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.files import read_json
from harness.records import COLUMNS, one_line
from matrix.errors import RunNotFound
from matrix.store import INCOMING, MANIFEST, RESULTS
from reports.ancestor import Part, configuration_of, is_ancestors, joined, part_of, with_batch_sizes
from reports.result_files import Key, header_of, read_rows

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
    """A run directory, a CSV file, or the two files of one configuration of the ancestor's."""

    name: str
    path: Path
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Empty for a file."""
    missing: int = 0
    """Planned rows that are not there: the run was cut short, or is still going on."""
    parts: tuple[Part, ...] = ()
    """Of the ancestor's files: which halves of their configuration are there."""


@dataclass(frozen=True, kw_only=True)
class _Given:
    """One source as the command names it."""

    path: Path
    """The first one, where there are two."""
    parts: Mapping[Part, Path]
    """Of the ancestor's: the files by what they are."""
    ancestors: bool

    @property
    def name(self) -> str:
        return configuration_of(self.path) if self.is_whole else self.path.resolve().name

    @property
    def is_whole(self) -> bool:
        return len(self.parts) == len(Part)

    def is_other_half(self, path: Path, parts: Mapping[Part, Path]) -> bool:
        """Whether path is the half that is not there, of the same configuration in the same folder."""
        return (
            bool(self.parts)
            and self.parts.keys().isdisjoint(parts)
            and self.path.resolve().parent == path.resolve().parent
            and configuration_of(self.path) == configuration_of(path)
        )


@dataclass(frozen=True, kw_only=True)
class Loaded:
    table: pd.DataFrame
    """One line per row; columns of ``harness.records.Row`` and ``source``."""
    sources: tuple[Source, ...]
    quarantined: tuple[Quarantined, ...]


def load(paths: Iterable[Path]) -> Loaded:
    """Read run directories and CSV files; the two files of one configuration of the ancestor's are one source. Raises RunNotFound for a path
    that is not there.
    """
    once, again = _once(paths)
    given = _given(once)
    tables: list[pd.DataFrame] = []
    ancestors: dict[int, bool] = {}
    sources: list[Source] = []
    quarantined = [Quarantined(file=path.resolve().name, line=0, reason="given more than once: it counts once") for path in again]
    for one, name in zip(given, _names(given), strict=True):
        manifest = _manifest(one.path, quarantined) if one.path.is_dir() else {}
        if one.path.is_dir() and not any((one.path / file).exists() for file in (MANIFEST, RESULTS)):
            quarantined.append(Quarantined(file=name, line=0, reason=f"not a run: it has no {MANIFEST} and no {RESULTS}"))
        table = _rows(one, quarantined)
        planned = manifest.get("planned_rows")
        missing = max(0, planned - len(table)) if isinstance(planned, int) else 0
        sources.append(Source(name=name, path=one.path, manifest=manifest, missing=missing, parts=tuple(one.parts)))
        if len(table):
            if one.ancestors:
                ancestors[len(tables)] = list(one.parts) == [Part.ACCURACY]
            tables.append(table.assign(**{SOURCE: name}))
    sized = with_batch_sizes([tables[place] for place in ancestors], list(ancestors.values()))
    for place, table in zip(ancestors, sized, strict=True):
        tables[place] = table
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*COLUMNS, SOURCE])
    return Loaded(table=table, sources=tuple(sources), quarantined=tuple(quarantined))


def _once(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """(paths, those of them that lead where an earlier one leads)."""
    found: dict[Path, Path] = {}
    again = []
    for path in paths:
        if path.resolve() in found:
            again.append(path)
        else:
            found[path.resolve()] = path
    return list(found.values()), again


def _given(paths: Iterable[Path]) -> list[_Given]:
    """What is one source, in the order in which its first path comes."""
    found: list[_Given] = []
    for path in paths:
        if not path.exists():
            raise RunNotFound(f"there is no {path}\n  next: name run directories (results/...) or CSV files")
        header = header_of(path) if path.is_file() else []
        part = part_of(path, header) if path.is_file() else None
        parts = {part: path} if part else {}
        same = next((one for one in found if parts and one.is_other_half(path, parts)), None)
        if same is None:
            found.append(_Given(path=path, parts=parts, ancestors=is_ancestors(header)))
        else:
            found[found.index(same)] = replace(same, parts={**same.parts, **parts}, ancestors=same.ancestors or is_ancestors(header))
    return found


def _names(given: Sequence[_Given]) -> list[str]:
    """Of sources: what they are called, with their folder where that tells them apart."""
    often = Counter(one.name for one in given)
    names: set[str] = set()
    return [_unique(one.name if often[one.name] == 1 else f"{one.path.resolve().parent.name}/{one.name}", names) for one in given]


def _rows(given: _Given, quarantined: list[Quarantined]) -> pd.DataFrame:
    if given.is_whole:
        accuracy, performance = (
            _table(given.parts[part], given.parts[part], set(), quarantined) for part in (Part.ACCURACY, Part.PERFORMANCE)
        )
        return joined(accuracy, performance)
    known: set[Key] = set()
    found = [_table(file, given.path, known, quarantined) for file in run_files(given.path, RESULTS)]
    tables = [table for table in found if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def run_files(path: Path, name: str) -> Iterator[Path]:
    """Of a run: its own file of that name, and what launches of a killed command have left to be collected. Of a file: itself."""
    if not path.is_dir():
        yield path
        return
    # A link that leads nowhere is there, too: whoever reads it says that it cannot.
    if os.path.lexists(path / name):
        yield path / name
    yield from (file for folder in sorted((path / INCOMING).glob("*")) if os.path.lexists(file := folder / name))


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
        found = read_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        quarantined.append(Quarantined(file=f"{directory.name}/{MANIFEST}", line=0, reason=one_line(str(error), 200)))
        return {}
    if not isinstance(found, dict):
        quarantined.append(Quarantined(file=f"{directory.name}/{MANIFEST}", line=0, reason="not a JSON object"))
        return {}
    return found
