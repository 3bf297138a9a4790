"""The file of recorded operators: what ran, with which arguments, how often. Standard library only: the host plans with it.

Lines of JSON, gzipped: the first says of what the rest is. Arguments are as ``harness.measure.operator_inputs`` encodes them; no tensor's values
are kept.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.files import read_json

SCHEMA = 1
SUITE = "operators"
PREFIX = f"{SUITE}:"


@dataclass(frozen=True, kw_only=True)
class OperatorCall:
    """An operator with arguments of one form."""

    operator: str
    """As torch writes it: ``aten.addmm.default``."""
    arguments: str
    """JSON: a list of the positional ones, and an object of the others."""
    calls: int
    """In one call of the workload."""
    alone: bool
    """Whether there is something to measure: it reads a tensor, and does more than view it otherwise."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    cell: str
    """The cell's id."""
    precision: str
    operators: tuple[OperatorCall, ...]

    def name(self, index: int) -> str:
        """Of a workload: unique in the file, and sorted by how often it is called."""
        return f"{index:04d}-{self.operators[index].operator}"


def write(path: Path, recording: Recording) -> None:
    head = {"schema": SCHEMA, "cell": recording.cell, "precision": recording.precision}
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for entry in (head, *map(asdict, recording.operators)):
            file.write(json.dumps(entry) + "\n")


def read(path: Path) -> Recording:
    """ValueError says what about the file is wrong; OSError where it cannot be read."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            head, *entries = (read_json(line) for line in file)
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, ValueError) as error:
        raise ValueError(f"{path} is no file of recorded operators: {error}") from None
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise ValueError(f"{path} is no file of recorded operators of schema {SCHEMA}")
    try:
        operators = tuple(OperatorCall(**entry) for entry in entries)
        return Recording(cell=head["cell"], precision=head["precision"], operators=operators)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path}: a line is not as it is written: {error}") from None


def index_of(name: str) -> int:
    """Inverse of ``Recording.name``. ValueError for another one."""
    return int(name.partition("-")[0])


def measurable(recording: Recording) -> Sequence[int]:
    return [index for index, each in enumerate(recording.operators) if each.alone]
