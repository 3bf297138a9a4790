"""What each launch says of a cell, and its samples, as a page keeps them for when the cell is opened. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from harness.records import COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, Status
from reports.load import SOURCE
from reports.page.columns import words_of
from reports.page.entries import host_seconds
from reports.page.layout import ENTRY, Layout
from reports.page.model import Deviations, Floats, Indices, Rows, Samples, Words

SAID_ELSEWHERE = frozenset(
    {
        *("dev", "name", "run", "image", "cell", "suite", "backend", "mode", "precision", "shapes", "planned_batch_size", "options"),
        # In milliseconds what backend_latency_seconds has in seconds.
        "abs_latency",
    }
)
"""Columns of a row that its line and its column in the matrix say."""
FINEST = 1e-4
"""Of a series' median: steps in which samples are kept, finer than any clock repeats itself."""
LARGEST_DEVIATION = 32767
MOST_SAMPLES = 4_000_000
"""That a page holds: about 8 MB."""
VARIANTS = ("eager", "backend")
"""In the order in which they are shown; others behind."""


def make_rows(layout: Layout, voids: Words, log_tails: Mapping[tuple[str, str], str]) -> Rows:
    table = layout.table
    columns: dict[str, Floats | Words] = {}
    for name in COLUMNS:
        if name in SAID_ELSEWHERE:
            continue
        if name in FLOAT_COLUMNS | INTEGER_COLUMNS:
            values = host_seconds(table) if name == "backend_latency_seconds" else table[name].to_numpy(dtype=np.float64)
            if np.isfinite(values).any():
                columns[name] = values
        elif (words := words_of(table[name])).words not in ((), ("",)):
            columns[name] = words
    if voids.words not in ((), ("",)):
        columns["void"] = voids
    tails = [
        log_tails.get((source, log), "") if status not in Status.PASSED else ""
        for source, log, status in table[[SOURCE, "log", "status"]].itertuples(index=False, name=None)
    ]
    return Rows(entry=table[ENTRY].to_numpy(dtype=np.int64), columns=columns, log_tail=words_of(tails))


def make_samples(layout: Layout, samples: Sequence[pd.DataFrame], source_names: Sequence[str]) -> Samples:
    """samples: by source. Those of no row are left out: of cells that were measured again, or whose row does not read."""
    found = [_series(layout.table, name, table) for name, table in zip(source_names, samples, strict=True) if len(table)]
    rows = np.concatenate([series.row for series in found]) if found else np.zeros(0, dtype=np.int64)
    variants = [word for series in found for word in series.variant]
    clocks = [word for series in found for word in series.clock]
    ranks = np.array([VARIANTS.index(word) if word in VARIANTS else len(VARIANTS) for word in variants], dtype=np.int64)
    order = np.lexsort((ranks, rows))
    counts = np.concatenate([series.count for series in found]) if found else np.zeros(0, dtype=np.int64)
    seconds = np.concatenate([series.seconds for series in found]) if found else np.zeros(0)
    marks = _joined([series.marks for series in found])
    places = _gathered(counts, order)
    counts = counts[order]
    one_in = max(1, -(-len(places) // MOST_SAMPLES))
    if one_in > 1:
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        places, counts = places[within % one_in == 0], -(-counts // one_in)
    centre, step, deviations = _deviations(seconds[places], counts)
    codes = marks.codes[places]
    marked = np.array([bool(word) for word in marks.words], dtype=bool)[codes] if len(codes) else np.zeros(0, dtype=bool)
    return Samples(
        row=rows[order],
        variant=words_of(variants[place] for place in order.tolist()),
        clock=words_of(clocks[place] for place in order.tolist()),
        count=counts,
        centre=centre,
        step=step,
        one_in=one_in,
        deviations=deviations,
        marked=np.flatnonzero(marked),
        mark=words_of(marks.words[code] for code in codes[marked].tolist()),
    )


class _Series:
    """Of one source: arrays are (series,), but ``seconds`` and ``marks``, which have all series one behind the other."""

    def __init__(self, row: Indices, variant: list[str], clock: list[str], count: Indices, seconds: Floats, marks: Words) -> None:
        self.row, self.variant, self.clock, self.count, self.seconds, self.marks = row, variant, clock, count, seconds, marks


def _series(rows: pd.DataFrame, source: str, samples: pd.DataFrame) -> _Series:
    places = np.flatnonzero(rows[SOURCE] == source)
    keys = rows.iloc[places][["launch", "attempt", "cell"]].itertuples(index=False, name=None)
    row_of = dict(zip(keys, places.tolist(), strict=True))
    key = np.zeros(len(samples), dtype=np.int64)
    axes = []
    for name in ("launch", "attempt", "cell", "variant", "clock"):
        codes, values = pd.factorize(samples[name])
        key = key * len(values) + codes
        axes.append((codes, values))
    order = _in_turn(key, samples["index"].to_numpy(dtype=np.int64))
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    first = order[starts]
    launch, attempt, cell, variant, clock = (np.asarray(values, dtype=object)[codes[first]].tolist() for codes, values in axes)
    row = np.array([row_of.get(of, -1) for of in zip(launch, attempt, cell, strict=True)], dtype=np.int64)
    count = np.diff(starts, append=len(order))
    known = row >= 0
    order = order[np.repeat(known, count)]
    return _Series(
        row=row[known],
        variant=[str(word) for word, kept in zip(variant, known, strict=True) if kept],
        clock=[str(word) for word, kept in zip(clock, known, strict=True) if kept],
        count=count[known],
        seconds=samples["seconds"].to_numpy(dtype=np.float64)[order],
        marks=Words(
            words=tuple(map(str, samples["mark"].cat.categories)), codes=np.asarray(samples["mark"].cat.codes, dtype=np.int64)[order]
        ),
    )


def _in_turn(key: Indices, index: Indices) -> Indices:
    """Places by key, and by index where keys are equal. Files mostly have a cell's samples as they were taken."""
    order = np.argsort(key, kind="stable")
    ordered = index[order]
    if np.all((np.diff(ordered) > 0) | (np.diff(key[order]) > 0)):
        return order
    return np.lexsort((index, key))


def _joined(columns: Sequence[Words]) -> Words:
    """One behind the other; their words stay apart."""
    firsts = np.cumsum([0, *(len(column.words) for column in columns)])
    codes = [column.codes + first for column, first in zip(columns, firsts[:-1].tolist(), strict=True)]
    return Words(
        words=tuple(word for column in columns for word in column.words),
        codes=np.concatenate([np.zeros(0, dtype=np.int64), *codes]).astype(np.int64),
    )


def _gathered(counts: Indices, order: Indices) -> Indices:
    """Places of all samples where series of these lengths are put in another order; shape (samples,)."""
    starts = np.cumsum(counts) - counts
    ordered = counts[order]
    first = np.repeat(starts[order] - (np.cumsum(ordered) - ordered), ordered)
    found: Indices = first + np.arange(int(counts.sum()))
    return found


def _deviations(seconds: Floats, counts: Indices) -> tuple[Floats, Floats, Deviations]:
    """(median and step of each series, deviations of all samples in steps)."""
    if not len(counts):
        return np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int16)
    series = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    centre = np.empty(len(counts))
    for count in np.unique(counts):
        mine = counts == count
        centre[mine] = np.median(seconds[starts[mine][:, None] + np.arange(count)], axis=1)
    farthest = np.maximum.reduceat(np.abs(seconds - centre[series]), starts)
    step = np.maximum(FINEST * centre, farthest / LARGEST_DEVIATION)
    return centre, step, np.rint((seconds - centre[series]) / step[series]).astype(np.int16)
