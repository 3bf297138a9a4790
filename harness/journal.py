"""The journal: how a cell's process tells the launch what it found, in a way that outlives it.

JSON lines in a file, each written at once and unbuffered, so that a process that dies has said all that it knew. Standard
library only.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.files import read_json
from harness.records import COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, MEASURED_COLUMNS, Status, Taken, Warn


class JournalWriter:
    """The ``Report`` of a cell's process."""

    def __init__(self, path: Path, artifacts: Path) -> None:
        """artifacts: the folder for files beside the row; it is made when there is one."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._artifacts = artifacts
        self._process = os.getpid()

    def phase(self, name: str) -> None:
        self._write({"phase": name})

    def set(self, **fields: object) -> None:
        unknown = fields.keys() - set(COLUMNS)
        if unknown:
            raise KeyError(f"no such column: {', '.join(sorted(unknown))}")
        self._write({"fields": {name: value for name, value in fields.items() if value is not None}})

    def warn(self, warning: Warn) -> None:
        self._write({"warning": warning.value})

    def samples(self, samples: Sequence[Taken]) -> None:
        self._write({"samples": [list(sample) for sample in samples]})

    def artifact(self, name: str) -> Path:
        self._artifacts.mkdir(parents=True, exist_ok=True)
        return self._artifacts / name

    def finish(self, status: str, reason: str = "") -> None:
        """The last line: without it, the process did not end by itself."""
        self._write({"status": status, "reason": reason})

    def lose(self, status: str, reason: str) -> None:
        """What another process of the cell's has ended with: it is behind whatever becomes of this one, unless that says otherwise."""
        self._write({"lost": [status, reason]})

    def _write(self, entry: dict[str, object]) -> None:
        if os.getpid() != self._process:
            # A workload that forks and returns in both processes: only one of them is the cell's.
            return
        data = memoryview((json.dumps(entry) + "\n").encode())
        while data:
            data = data[os.write(self._descriptor, data) :]


@dataclass(kw_only=True)
class Journal:
    """What a cell's process said, whether it finished or not."""

    phase: str = "start"
    fields: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    samples: list[Taken] = field(default_factory=list)
    status: str | None = None
    """None: the process ended without saying how."""
    reason: str = ""
    lost: tuple[str, str] | None = None
    """Status and reason of the first other process of the cell's that is gone."""


def read_journal(path: Path) -> Journal:
    """Read what is there. A line that is torn or not ours is passed over: the writer may have died in it."""
    journal = Journal()
    if not path.exists():
        return journal
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError, TypeError):
            _read_entry(read_json(line), journal)
    return journal


def _read_entry(entry: object, journal: Journal) -> None:
    """One line. Whatever is not what ``JournalWriter`` writes is passed over: the process is anybody's."""
    if not isinstance(entry, dict):
        return
    if isinstance(entry.get("phase"), str):
        journal.phase = entry["phase"]
    if isinstance(entry.get("warning"), str) and entry["warning"] not in journal.warnings:
        journal.warnings.append(entry["warning"])
    if isinstance(entry.get("fields"), dict):
        journal.fields.update((name, value) for name, value in entry["fields"].items() if _is_measured(name, value))
        journal.reason = str(entry["fields"].get("reason", journal.reason))
    if isinstance(entry.get("lost"), list) and journal.lost is None:
        status, reason = map(str, entry["lost"])
        journal.lost = (status, reason) if Status.is_known(status) else None
    if isinstance(entry.get("samples"), list):
        journal.samples.extend(_taken(*sample) for sample in entry["samples"])
    if isinstance(entry.get("status"), str) and Status.is_known(entry["status"]):
        journal.status = entry["status"]
        journal.reason = str(entry.get("reason") or journal.reason)


def _taken(variant: object, clock: object, started: float, seconds: float, calls: int, mark: object) -> Taken:
    return Taken(str(variant), str(clock), float(started), float(seconds), int(calls), str(mark))


def _is_measured(name: str, value: object) -> bool:
    """Infinite and undefined numbers are not measurements; the reason says what happened."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if name in INTEGER_COLUMNS or name in FLOAT_COLUMNS:
        return name in MEASURED_COLUMNS and isinstance(value, int | float) and not isinstance(value, bool)
    return name in MEASURED_COLUMNS and isinstance(value, str)
