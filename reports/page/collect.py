"""What a page is made from, read from disk: rows, samples, what gates have said, the ends of logs. The rest of the page's making is pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from harness.records import Status, one_line
from matrix.store import is_abandoned
from reports.gate.outputs.as_json import NotAGateReport
from reports.gate.outputs.as_json import read as read_gate
from reports.gate.outputs.write import JSON as GATE_FILE
from reports.gate.report import BASELINE, GateReport
from reports.gate.setup import ANCHOR
from reports.load import SOURCE, Loaded, Quarantined, Source
from reports.samples import load_samples

LOG_TAIL_BYTES = 4000
LOG_TAILS_BYTES = 16 << 20
"""Of all tails of a page; what comes after them has its log named, and no more."""


Gates = Mapping[tuple[int, str], GateReport]
"""By source, and by what its candidate is held against: ``baseline`` or ``anchor``."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    loaded: Loaded
    samples: tuple[pd.DataFrame, ...]
    """By source; see ``reports.samples``."""
    gates: Gates = field(default_factory=dict)
    """Of runs of the gate."""
    log_tails: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By the source's name and the log's, of rows that did not pass."""
    abandoned: frozenset[int] = frozenset()
    """Sources that no command has open."""
    unread: tuple[Quarantined, ...] = ()
    """Files beside the rows that do not read."""


def collect(loaded: Loaded) -> Collected:
    gates: dict[tuple[int, str], GateReport] = {}
    unread: list[Quarantined] = []
    for place, source in enumerate(loaded.sources):
        for against, folder in {BASELINE: "", ANCHOR: f"{ANCHOR}/"}.items():
            path = source.path / f"{folder}{GATE_FILE}"
            if source.path.is_dir() and path.exists():
                try:
                    gates[place, against] = read_gate(path)
                except NotAGateReport as error:
                    reason = one_line(str(error).partition("\n")[0], 200)
                    unread.append(Quarantined(file=f"{source.name}/{folder}{GATE_FILE}", line=0, reason=reason))
    samples = []
    for source in loaded.sources:
        table, aside = load_samples(source.path, source.name)
        samples.append(table)
        unread += aside
    return Collected(
        loaded=loaded,
        samples=tuple(samples),
        gates=gates,
        log_tails=_log_tails(loaded),
        abandoned=frozenset(place for place, source in enumerate(loaded.sources) if not source.path.is_dir() or is_abandoned(source.path)),
        unread=tuple(unread),
    )


def _log_tails(loaded: Loaded) -> dict[tuple[str, str], str]:
    table = loaded.table
    failed = table[~table["status"].isin(Status.PASSED) & (table["log"] != "")]
    folders = {source.name: source for source in loaded.sources}
    found: dict[tuple[str, str], str] = {}
    room = LOG_TAILS_BYTES
    for source, log in failed[[SOURCE, "log"]].drop_duplicates().itertuples(index=False, name=None):
        tail = _tail(folders[source], log) if room > 0 else ""
        if tail:
            found[source, log] = tail
            room -= len(tail)
    return found


def _tail(source: Source, name: str) -> str:
    """The last whole lines of a log; empty for what is no regular file inside of the run. Its name is from a file that anybody may have written."""
    try:
        path = (source.path / name).resolve(strict=True)
        if not path.is_relative_to(source.path.resolve()) or not path.is_file():
            return ""
        return _last_lines(path)
    except (OSError, ValueError, RuntimeError):
        return ""


def _last_lines(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LOG_TAIL_BYTES))
        text = file.read(LOG_TAIL_BYTES).decode("utf-8", errors="replace")
    if size > LOG_TAIL_BYTES:
        text = text.partition("\n")[2] or text
    return text.rstrip()
