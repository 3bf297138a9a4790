"""Runs in the order of time: what each cell took, and where its level changed. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.records import Status
from reports.gate.observe import DEVICE, HOST
from reports.gate.paired import medians, paired
from reports.gate.procedure import Procedure
from reports.load import SOURCE, Source
from reports.manifest import entries as entries_of
from reports.page.beside import Timed
from reports.page.columns import words_of
from reports.page.entries import FEWEST_LAUNCHES
from reports.page.facts import difference_of
from reports.page.layout import Layout
from reports.page.model import Entries, Floats, History, ImageFacts, Indices, Point, Step, Words
from reports.steps import FEWEST_VALUES, LEAST_EFFECT, LEVEL, Found, find_steps

UNKNOWN_MACHINE = -1
SERIES_KEY = ["line", "backend", "options", "family", "clock", "machine"]


def make_history(
    layout: Layout, entries: Entries, timed: Timed, images: Sequence[ImageFacts], sources: Sequence[Source], harnesses: Sequence[str]
) -> History:
    points = _points(layout, images, sources)
    if len({point.source for point in points}) < 2:
        return _nothing("One run is no history: name several.")
    found = _table(layout, entries, timed, images, sources, points)
    codes = found.groupby(SERIES_KEY, sort=False).ngroup().to_numpy(dtype=np.int64)
    # A single point is no line.
    counts = np.bincount(codes, minlength=1)
    kept = counts[codes] > 1 if len(codes) else np.zeros(0, dtype=bool)
    found, codes = found[kept], codes[kept]
    if not len(found):
        return _nothing("No cell was measured twice on the same machine.", points)
    _, first, series = np.unique(codes, return_index=True, return_inverse=True)
    shape = (len(first), len(points))
    seconds, low, high = (_filled(shape, series, found, name) for name in ("seconds", "low", "high"))
    steps = find_steps(np.log(seconds))
    pairs = list(dict.fromkeys((points[step.before].image, points[step.place].image) for step in steps))
    keys = found.iloc[first]
    return History(
        points=points,
        line=keys["line"].to_numpy(dtype=np.int64),
        machine=keys["machine"].to_numpy(dtype=np.int64),
        **{name: words_of(keys[name]) for name in ("backend", "options", "family", "clock")},
        seconds=seconds,
        low=low,
        high=high,
        steps=tuple(
            _step(step, points, pairs) for step in sorted(steps, key=lambda step: (-abs(step.new - step.old), step.series, step.place))
        ),
        differences=tuple(difference_of(images, harnesses, one, other) for one, other in pairs),
        note=(
            f"Steps: changes of level by at least {100 * LEAST_EFFECT:g} %, of which at most {100 * LEVEL:g} % are expected to be false; a run counts "
            f"once, and a series needs {FEWEST_VALUES} of them, two on either side."
        ),
    )


def _points(layout: Layout, images: Sequence[ImageFacts], sources: Sequence[Source]) -> tuple[Point, ...]:
    """Images whose time is known."""
    earliest = layout.table[layout.table["started_at"] != ""].groupby([SOURCE, "image"])["started_at"].min().to_dict()
    found = []
    for place, image in enumerate(images):
        source = sources[image.source]
        starts = [
            str(start["started_at"])
            for start in entries_of(source.manifest, "starts")
            if start.get("image") == image.label and start.get("started_at")
        ]
        at = min(starts, default="") or str(earliest.get((source.name, image.label), ""))
        if at:
            found.append(Point(image=place, source=image.source, at=at, label=image.label, machine=image.machine))
    return tuple(sorted(found, key=lambda point: (point.at, point.image)))


def _table(
    layout: Layout, entries: Entries, timed: Timed, images: Sequence[ImageFacts], sources: Sequence[Source], points: Sequence[Point]
) -> pd.DataFrame:
    """A line per entry that passed in an image with a time."""
    of_image = {point.image: place for place, point in enumerate(points)}
    families = [_family(sources[image.source], image.label) for image in images]
    columns = [layout.columns[column] for column in layout.entry_column.tolist()]
    seconds = np.where(timed.by_device[:, None], timed.device, timed.host)
    with np.errstate(invalid="ignore"):
        interval = paired(np.log(seconds), Procedure())
    enough = interval.blocks >= FEWEST_LAUNCHES
    good = np.array([word in Status.PASSED for word in entries.status.words], dtype=bool)
    table = pd.DataFrame(
        {
            "line": layout.entry_line,
            "backend": [column.backend for column in columns],
            "options": [column.options for column in columns],
            "family": [families[column.image] for column in columns],
            "clock": np.where(timed.by_device, DEVICE, HOST),
            "machine": [UNKNOWN_MACHINE if (machine := images[column.image].machine) is None else machine for column in columns],
            "point": [of_image.get(column.image, -1) for column in columns],
            "seconds": np.where(good[entries.status.codes] if columns else False, medians(seconds), np.nan),
            "low": np.where(enough, np.exp(interval.low), np.nan),
            "high": np.where(enough, np.exp(interval.high), np.nan),
        }
    )
    # Runs of which nobody knows where they ran are not joined.
    known = (table["machine"] != UNKNOWN_MACHINE) & (table["point"] >= 0) & np.isfinite(table["seconds"])
    found: pd.DataFrame = table[known].reset_index(drop=True)
    return found


def _family(source: Source, label: str) -> str:
    """The image without its version: its name in matrix.toml, or its reference without tag and digest."""
    image = next((item for item in entries_of(source.manifest, "images") if item.get("label") == label), {})
    if image.get("reference") is None:
        return str(image.get("name") or label)
    repository, _, name = label.partition("@")[0].rpartition("/")
    return f"{repository}/{name.partition(':')[0]}"


def _filled(shape: tuple[int, int], series: Indices, table: pd.DataFrame, name: str) -> Floats:
    found = np.full(shape, np.nan)
    found[series, table["point"].to_numpy(dtype=np.int64)] = table[name].to_numpy(dtype=np.float64)
    return found


def _step(step: Found, points: Sequence[Point], pairs: Sequence[tuple[int, int]]) -> Step:
    return Step(
        series=step.series,
        point=step.place,
        before=step.before,
        old_seconds=math.exp(step.old),
        new_seconds=math.exp(step.new),
        ratio=math.exp(step.new - step.old),
        p=step.p,
        difference=pairs.index((points[step.before].image, points[step.place].image)),
    )


def _nothing(note: str, points: tuple[Point, ...] = ()) -> History:
    nothing, table = Words(words=(), codes=np.zeros(0, dtype=np.int64)), np.zeros((0, len(points)))
    return History(
        points=points,
        line=np.zeros(0, dtype=np.int64),
        backend=nothing,
        options=nothing,
        family=nothing,
        clock=nothing,
        machine=np.zeros(0, dtype=np.int64),
        seconds=table,
        low=table,
        high=table,
        steps=(),
        differences=(),
        note=note,
    )
