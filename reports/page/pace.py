"""How long a run that goes on will still take, by what measuring has taken so far; pauses before it was resumed are no measuring. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pandas as pd

from reports.load import Source
from reports.manifest import entries

Start = tuple[int, int]
"""(launch, attempt)."""


def seconds_left(source: Source, rows: pd.DataFrame, made_at: datetime.datetime) -> float | None:
    """rows: of this source. None where nothing tells of its pace."""
    now = made_at.timestamp()
    began = {key: moment for key, moment in _starts(source) if moment <= now}
    if not began:
        return None
    ended = _ended(rows)
    # What was started last is what is running; of the others a start is over with its last row.
    ended |= {key: now for key, moment in began.items() if moment == max(began.values())}
    timed = began.keys() & ended.keys()
    measured = sum(key in timed for key in zip(rows["launch"], rows["attempt"], strict=True))
    spent = _covered((began[key], ended[key]) for key in timed)
    return spent * source.missing / measured if measured else None


def moment_of(text: object) -> datetime.datetime | None:
    """Of a text in ISO 8601, which is UTC where it does not say; None for what is none."""
    try:
        found = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)


def _starts(source: Source) -> Iterator[tuple[Start, float]]:
    for start in entries(source.manifest, "starts"):
        launch, attempt, moment = start.get("launch"), start.get("attempt", 0), moment_of(start.get("started_at"))
        if type(launch) is int and type(attempt) is int and moment is not None:
            yield (launch, attempt), moment.timestamp()


def _ended(rows: pd.DataFrame) -> dict[Start, float]:
    """When the last cell of each start ended, of those whose rows say."""
    found: dict[Start, float] = {}
    known = rows[["launch", "attempt", "started_at", "wall_seconds"]].dropna()
    for launch, attempt, text, seconds in known.itertuples(index=False, name=None):
        moment = moment_of(text)
        if moment is not None:
            found[launch, attempt] = max(found.get((launch, attempt), 0.0), moment.timestamp() + seconds)
    return found


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that are in any of these spans: starts that measure in turns run side by side."""
    edges = sorted(edge for begin, end in spans if end > begin for edge in ((begin, 1), (end, -1)))
    open_spans, total = 0, 0.0
    for (moment, change), (following, _) in pairwise(edges):
        open_spans += change
        total += (following - moment) * (open_spans > 0)
    return total
