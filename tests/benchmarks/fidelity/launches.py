"""Launches as the harness is really used: ``python -m harness launch`` in a process, or a container, of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cell import LaunchSpec
from harness.files import read_fields, row_from_fields, sample_from_fields
from harness.output import FACTS, ROWS, SAMPLES
from harness.records import Row, Sample

SOURCE = Path(__file__).resolve().parents[3]
CELLS = "cells.json"
VARIABLES: Mapping[str, str] = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""Those of ``matrix.engines.engine``, which needs packages that a machine with a GPU may lack."""
TAIL_LINES = 20


class LaunchFailed(Exception):
    """The launch itself did not reach its end. The text has the last that it said."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where launches are made, and by what."""

    prefix: tuple[str, ...]
    """The command up to Python; ``{out}``, ``{source}`` in its words are paths of the launch's folder and of the repository."""
    module: str = "harness"
    variables: Mapping[str, str] = field(default_factory=dict)
    """Besides ``VARIABLES``."""
    without: str = ""
    """Variables of this prefix are taken out of the environment; empty: none."""

    def command(self, out: Path) -> list[str]:
        words = [word.replace("{out}", str(out)).replace("{source}", str(SOURCE)) for word in self.prefix]
        return [*words, "-m", self.module, "launch", "--stop-with-stdin", "--cells", str(out / CELLS), "--out", str(out)]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not (self.without and name.startswith(self.without))}
        return {**kept, **VARIABLES, **self.variables, "PYTHONPATH": str(SOURCE)}


@dataclass(frozen=True, kw_only=True)
class Launched:
    rows: tuple[Row, ...]
    samples: tuple[Sample, ...]
    facts: Mapping[str, Any]
    """What the launch says of its machine and its torch."""


def launch(spec: LaunchSpec, place: Place, heed: Callable[[Row], None] = lambda row: None) -> Launched:
    """Make a launch and read back what it leaves. heed: called with every row as soon as it is there. Raises LaunchFailed."""
    # A container may leave files of another user.
    with tempfile.TemporaryDirectory(prefix="fidelity-", ignore_cleanup_errors=True) as folder:
        out = Path(folder)
        (out / CELLS).write_text(spec.to_json(), encoding="utf-8")
        code, said = _run(place, out, heed)
        if code != 0:
            raise LaunchFailed(f"{' '.join(place.command(out))}\nleft with exit code {code}:\n{said}")
        facts: Mapping[str, Any] = json.loads((out / FACTS).read_text(encoding="utf-8"))
        return Launched(rows=_rows(out), samples=_samples(out), facts=facts)


def _run(place: Place, out: Path, heed: Callable[[Row], None]) -> tuple[int, str]:
    """Exit code, and the last lines."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    heeded = 0
    # The launch ends when its standard input is closed: by the end of this block, or of this process.
    with subprocess.Popen(
        place.command(out),
        cwd=out,
        env=place.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        # A launch prints a line when a row is written: no need to look in between, which would wake this process beside a timed cell.
        for line in process.stdout:
            tail.append(line)
            print(f"  {line.rstrip()}", file=sys.stderr, flush=True)
            for row in _rows(out)[heeded:]:
                heed(row)
                heeded += 1
    for row in _rows(out)[heeded:]:
        heed(row)
    return process.returncode, "".join(tail)


def _rows(out: Path) -> tuple[Row, ...]:
    return tuple(read_rows(out / ROWS))


def read_rows(path: Path) -> list[Row]:
    """ValueError names the column whose text is not what it holds."""
    return [row_from_fields(fields) for fields in read_fields(path)]


def _samples(out: Path) -> tuple[Sample, ...]:
    return tuple(sample_from_fields(fields) for fields in read_fields(out / SAMPLES))
