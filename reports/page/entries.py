"""The matrix's entries: what the launches of a cell say together. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from harness.measure.stability import FEWEST_VALUES, MODE_GAP, modes
from harness.records import Status, Warn
from reports.gate.metrics import GIGABYTE
from reports.gate.paired import by_count, paired
from reports.gate.procedure import Procedure
from reports.gate.report import BASELINE, GateReport
from reports.load import SOURCE
from reports.page.columns import by_place, medians_by, words_of
from reports.page.layout import BLOCK, ENTRY, ROLE, TURN, Layout
from reports.page.model import Entries, Floats, Indices, Words
from reports.statistics import Booleans, fewest_blocks

FEWEST_LAUNCHES = fewest_blocks(Procedure().alpha)
"""Without which there is no interval over launches."""
LAUNCHES, SAMPLES = "launches", "samples"

MEDIANS: Mapping[str, str] = {
    "speedup": "speedup",
    "device_speedup": "device_speedup",
    "eager_host_seconds": "eager_latency_seconds",
    "device_seconds": "backend_device_seconds",
    "eager_device_seconds": "eager_device_seconds",
    "compile_seconds": "compilation_latency",
    "warm_compile_seconds": "warm_compilation_seconds",
    "memory_ratio": "compression_ratio",
    "tokens_per_second": "tokens_per_second",
    "first_token_seconds": "time_to_first_token_seconds",
    "joules": "backend_joules",
    "eager_joules": "eager_joules",
    "eager_limit_share": "eager_limit_share",
    "eager_error": "eager_error",
    "limit_share": "backend_limit_share",
    "break_even_calls": "break_even_calls",
    "graph_breaks": "graph_breaks",
    "image_bytes": "image_bytes",
    "image_compressed_bytes": "image_compressed_bytes",
}
"""Metric -> column of the rows that it is the median of."""


def voids_of(layout: Layout, source_names: tuple[str, ...], gates: Mapping[tuple[int, str], GateReport]) -> Words:
    """Of every row: why the gate of its run did not look at it; empty where it did, and where there is no gate."""
    reasons = {
        (source_names[source], voided.block, against if voided.image == BASELINE else voided.image, voided.cell): voided.reason
        for (source, against), gate in gates.items()
        for voided in gate.voided
    }
    if not reasons:
        return words_of([""] * len(layout.table))
    keys = layout.table[[SOURCE, BLOCK, ROLE, "cell"]].itertuples(index=False, name=None)
    return words_of(reasons.get(key, "") for key in keys)


def counting_rows(layout: Layout, voids: Words) -> Booleans:
    """Rows whose numbers count: those that pass and that no gate has voided. Of a cell that has none of these, no number counts."""
    void = np.array([bool(word) for word in voids.words], dtype=bool)[voids.codes] if len(voids.codes) else np.zeros(0, dtype=bool)
    found: Booleans = np.asarray(layout.table["status"].isin(Status.PASSED), dtype=bool) & ~void
    return found


def make_entries(layout: Layout, counting: Booleans) -> Entries:
    """counting: rows whose numbers count; shape (rows,)."""
    table, count = layout.table, len(layout.entry_line)
    entry = table[ENTRY].to_numpy(dtype=np.int64)
    passed = np.asarray(table["status"].isin(Status.PASSED), dtype=bool)
    numbers = _numbers(table[counting], entry[counting], count)
    # What is wrong has an error too: it is why it is wrong.
    numbers["error"] = medians_by(_column(table, "backend_error"), entry, count)
    numbers["spread"], unstable = _launches_apart(table[counting], entry[counting], count)
    interval_of = _intervals(numbers, table[counting], entry[counting], count)
    never = _never_pays(numbers)
    numbers["break_even_calls"][never] = np.nan
    return Entries(
        line=layout.entry_line,
        column=layout.entry_column,
        **_what_became(table, entry, passed, count),
        warnings=_warnings(table["warnings"], entry, count, unstable),
        launches=np.bincount(entry, minlength=count).astype(np.int64),
        passed=np.bincount(entry[passed], minlength=count).astype(np.int64),
        voided=np.bincount(entry[passed & ~counting], minlength=count).astype(np.int64),
        numbers=numbers,
        never_pays=never,
        interval_of=interval_of,
    )


def _column(table: pd.DataFrame, name: str) -> Floats:
    return table[name].to_numpy(dtype=np.float64)


def host_seconds(table: pd.DataFrame) -> Floats:
    """Of the backend, by row. The ancestor's files have milliseconds alone."""
    seconds, milliseconds = _column(table, "backend_latency_seconds"), _column(table, "abs_latency")
    found: Floats = np.where(np.isfinite(seconds), seconds, milliseconds / 1e3)
    return found


def _numbers(table: pd.DataFrame, entry: Indices, count: int) -> dict[str, Floats]:
    found = {metric: medians_by(_column(table, column), entry, count) for metric, column in MEDIANS.items()}
    found["host_seconds"] = medians_by(host_seconds(table), entry, count)
    for metric, column in (("peak_bytes", "dynamo_peak_mem"), ("eager_peak_bytes", "eager_peak_mem")):
        found[metric] = GIGABYTE * medians_by(_column(table, column), entry, count)
    return found


def _never_pays(numbers: Mapping[str, Floats]) -> Booleans:
    """What compiles and is no faster than eager, whatever a single launch said of the calls that it would take."""
    compiles = np.isfinite(numbers["compile_seconds"]) | np.isfinite(numbers["break_even_calls"])
    # By host time, as the calls themselves.
    found: Booleans = compiles & (numbers["speedup"] <= 1)
    return found


def _what_became(table: pd.DataFrame, entry: Indices, passed: Booleans, count: int) -> dict[str, Words]:
    """Status and reason: of the first launch that did not pass, else of the first."""
    first = np.full(count, len(table), dtype=np.int64)
    np.minimum.at(first, entry, np.arange(len(table)))
    failed = np.full(count, len(table), dtype=np.int64)
    np.minimum.at(failed, entry[~passed], np.flatnonzero(~passed))
    shown = np.where(failed < len(table), failed, first)
    return {name: words_of(table[name].iloc[shown]) for name in ("status", "reason")}


def _warnings(texts: pd.Series, entry: Indices, count: int, unstable: Booleans) -> Words:
    """Of all launches, and that launches fall into modes: no launch can know that by itself."""
    codes, words = pd.factorize(np.asarray(texts, dtype=object))
    found: list[set[str]] = [set() for _ in range(count)]
    names = [frozenset(filter(None, str(word).split(";"))) for word in words]
    pairs = np.unique(np.stack([entry, codes.astype(np.int64)]), axis=1)
    for place, code in pairs.T.tolist():
        found[place] |= names[code]
    for place in np.flatnonzero(unstable).tolist():
        found[place].add(Warn.UNSTABLE.value)
    return words_of(";".join(sorted(warnings)) for warnings in found)


def _launches_apart(table: pd.DataFrame, entry: Indices, count: int) -> tuple[Floats, Booleans]:
    """(largest less smallest latency over the median, whether they fall into modes); by the clock that cells are compared by."""
    latencies = clocked_seconds(table, entry, count)
    spread, unstable = np.full(count, np.nan), np.zeros(count, dtype=bool)
    for group, values in by_count(latencies, least=2):
        ordered = np.sort(values, axis=-1)
        spread[group] = (ordered[:, -1] - ordered[:, 0]) / np.median(ordered, axis=-1)
        if values.shape[-1] < FEWEST_VALUES:
            continue
        # What has no gap of that width has no modes; of ten thousand cells few are left.
        wide = np.diff(np.log(ordered), axis=-1).max(axis=-1) >= np.log1p(MODE_GAP)
        for place in np.flatnonzero(wide).tolist():
            unstable[group[place]] = modes(values[place].tolist()) is not None
    return spread, unstable


def clocked_seconds(table: pd.DataFrame, entry: Indices, count: int) -> Floats:
    """Latencies of launches: device time where a cell has any, else host time; shape (entries, turns), NaN where there is none."""
    device, host, turn = _column(table, "backend_device_seconds"), host_seconds(table), table[TURN].to_numpy(dtype=np.int64)
    by_device = np.bincount(entry[np.isfinite(device)], minlength=count) > 0
    return by_place(np.where(by_device[entry], device, host), entry, turn, count)


def _intervals(numbers: dict[str, Floats], table: pd.DataFrame, entry: Indices, count: int) -> Words:
    """Adds the bounds of the speedups: over launches where there are enough, else those that launches give themselves."""
    kinds = [""] * count
    turn = table[TURN].to_numpy(dtype=np.int64)
    for name in ("speedup", "device_speedup"):
        low, high = (medians_by(_column(table, f"{name}_{end}"), entry, count) for end in ("low", "high"))
        launches = by_place(np.log(_column(table, name)), entry, turn, count)
        found = paired(launches, Procedure())
        enough = found.blocks >= FEWEST_LAUNCHES
        for place in np.flatnonzero(np.isfinite(low) | enough).tolist():
            kinds[place] = LAUNCHES if enough[place] else SAMPLES
        numbers[f"{name}_low"], numbers[f"{name}_high"] = (
            np.where(enough, np.exp(bound), own) for bound, own in ((found.low, low), (found.high, high))
        )
    return words_of(kinds)
