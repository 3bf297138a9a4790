"""Accepted statuses: what became of each cell of an image version when somebody last looked, and agreed. ``nox -s accept`` writes them.

A file per version, ``accepted/IMAGE@VERSION.csv`` beside matrix.toml, is kept with the code: a change of it is read like any other. A gate holds
a candidate against its own version's, or where there is none yet against those of the release before it: what fails in both images is no
regression between the two, and still nothing that anybody has agreed to.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.records import Status
from matrix.errors import ConfigError
from matrix.store import write_text

FOLDER = "accepted"
COLUMNS = ("cell", "status")
Statuses = Mapping[str, str]
"""By the id of a cell."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What holds for a comparison."""

    file: str
    """To be named to who wants to know; empty where there is none."""
    statuses: Statuses


NOTHING = Accepted(file="", statuses={})


@dataclass(frozen=True, kw_only=True)
class Change:
    cell: str
    was: str
    """Empty: the cell is new."""
    now: str

    def __str__(self) -> str:
        return f"{self.cell}: {self.was or 'new'} -> {self.now}"


def file_of(folder: Path, label: str) -> Path:
    """label: of an image, as rows have it (``inductor-cuda@2.15``)."""
    return folder / f"{label}.csv"


def accepted_for(folder: Path, *labels: str) -> Accepted:
    """Of the first of these images that has a file. Raises ConfigError for one that does not read."""
    for label in labels:
        # A reference of the engine's is no name of a file.
        if "/" not in label and file_of(folder, label).exists():
            return Accepted(file=f"{folder.name}/{label}.csv", statuses=read_accepted(file_of(folder, label)))
    return NOTHING


def read_accepted(path: Path) -> dict[str, str]:
    """Raises ConfigError, with the file and the line, for what is no status or has a cell twice."""
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, 1, f"cannot be read: {error}") from None
    if not lines or tuple(lines[0]) != COLUMNS:
        raise _unreadable(path, 1, f"the first line is not {','.join(COLUMNS)}")
    found: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(COLUMNS):
            raise _unreadable(path, number, f"{len(line)} fields in place of {len(COLUMNS)}")
        cell, status = line
        if cell in found:
            raise _unreadable(path, number, f"{cell} is there twice")
        if not Status.is_known(status):
            raise _unreadable(path, number, f"{status!r} is no status of a cell")
        found[cell] = status
    return found


def write_accepted(path: Path, statuses: Statuses) -> None:
    """Sorted by cell, so that a change is a changed line. All of it or nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(statuses.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())


def became(statuses: Iterable[str]) -> str:
    """Of a cell's launches: the most frequent failure, else how they passed; empty without any."""
    told = list(statuses)
    failed = [status for status in told if status not in Status.PASSED]
    return Counter(failed).most_common(1)[0][0] if failed else told[0] if told else ""


def is_as_accepted(was: str, now: str) -> bool:
    """Whatever way a cell passes."""
    return was == now or (was in Status.PASSED and now in Status.PASSED)


def changes(known: Statuses, found: Statuses) -> list[Change]:
    """By cell. What was not measured has not changed."""
    return [
        Change(cell=cell, was=known.get(cell, ""), now=now)
        for cell, now in sorted(found.items())
        if cell not in known or not is_as_accepted(known[cell], now)
    ]


def _unreadable(path: Path, line: int, why: str) -> ConfigError:
    return ConfigError(f"{path}:{line}: {why}\n  next: take back what was changed in it; or delete it, and nox -s accept -- RUN")
