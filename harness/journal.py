"""The journal: how a cell's process tells the launch what it found, in a way that outlives it.

JSON lines in a file, each written at once and unbuffered, so that a process that dies has said all that it knew. Standard
library only.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.records import COLUMNS, Warn


class JournalWriter:
    """The ``Report`` of a cell's process."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def phase(self, name: str) -> None:
        self._write({"phase": name})

    def set(self, **fields: object) -> None:
        unknown = fields.keys() - set(COLUMNS)
        if unknown:
            raise KeyError(f"no such column: {', '.join(sorted(unknown))}")
        self._write({"fields": {name: value for name, value in fields.items() if value is not None}})

    def warn(self, warning: Warn) -> None:
        self._write({"warning": warning.value})

    def samples(self, samples: Sequence[tuple[str, float, int]]) -> None:
        self._write({"samples": [list(sample) for sample in samples]})

    def finish(self, status: str, reason: str = "") -> None:
        """The last line: without it, the process did not end by itself."""
        self._write({"status": status, "reason": reason})

    def _write(self, entry: dict[str, object]) -> None:
        data = memoryview((json.dumps(entry) + "\n").encode())
        while data:
            data = data[os.write(self._descriptor, data) :]


@dataclass(kw_only=True)
class Journal:
    """What a cell's process said, whether it finished or not."""

    phase: str = "start"
    fields: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    samples: list[tuple[str, float, int]] = field(default_factory=list)
    status: str | None = None
    """None: the process ended without saying how."""
    reason: str = ""


def read_journal(path: Path) -> Journal:
    """Read what is there. A line that is torn or not ours is passed over: the writer may have died in it."""
    journal = Journal()
    if not path.exists():
        return journal
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict):
            continue
        journal.phase = entry.get("phase", journal.phase)
        journal.fields.update(entry.get("fields", {}))
        if "warning" in entry and entry["warning"] not in journal.warnings:
            journal.warnings.append(entry["warning"])
        journal.samples.extend((name, seconds, calls) for name, seconds, calls in entry.get("samples", []))
        if "status" in entry:
            journal.status = entry["status"]
            journal.reason = entry.get("reason", "") or str(journal.fields.get("reason", ""))
    for name, value in list(journal.fields.items()):
        # Infinite and undefined numbers are not measurements; the reason says what happened.
        if isinstance(value, float) and not math.isfinite(value):
            del journal.fields[name]
    return journal
