"""Totals that hide nothing: means over common cells, what is missing from them, what passed, when compiling pays. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from harness.records import Status
from reports.gate.report import CellReport
from reports.page.layout import ENTRY, Layout, entry_table
from reports.page.model import Entries, Floats, Indices, Matrix, PassRate, Payback, Total, Tradeoff
from reports.statistics import Booleans, share_interval

ALL_SUITES = ""
CLOCKS = {"host": "speedup", "device": "device_speedup"}
"""Clock -> metric of the speedup by it."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The entries of one suite as tables; shape (lines, columns) each."""

    name: str
    entry: Indices
    """-1 where the column has no such cell."""
    passed: Booleans
    """By all launches."""
    checked: Booleans
    """Of these, what was compared with eager and float64: what was not has no times that count."""

    @property
    def planned(self) -> Booleans:
        found: Booleans = self.entry >= 0
        return found

    def of(self, values: Floats) -> Floats:
        """A metric of the entries that passed their check, NaN elsewhere."""
        found: Floats = np.where(self.checked, values[self.entry], np.nan)
        return found


def suites(matrix: Matrix) -> Iterator[Suite]:
    """All together, and each alone where there are several."""
    entries, shape = matrix.entries, (len(matrix.lines), len(matrix.columns))
    entry = entry_table(entries, *shape)
    passed, checked = _ended_in(entries, shape, Status.PASSED), _ended_in(entries, shape, {Status.PASS})
    names = [line.suite for line in matrix.lines]
    yield Suite(name=ALL_SUITES, entry=entry, passed=passed, checked=checked)
    for name in dict.fromkeys(names):
        mine = np.array([suite == name for suite in names], dtype=bool)
        if name:
            yield Suite(name=name, entry=entry[mine], passed=passed[mine], checked=checked[mine])


def _ended_in(entries: Entries, shape: tuple[int, int], statuses: Set[str]) -> Booleans:
    """Which entries have one of these statuses; shape (lines, columns)."""
    good = np.array([word in statuses for word in entries.status.words], dtype=bool)
    found = np.zeros(shape, dtype=bool)
    found[entries.line, entries.column] = good[entries.status.codes] if len(entries.line) else False
    return found


def geomean(ratios: Sequence[float] | Floats) -> float | None:
    """exp(mean(log(ratio))), slowdowns included; None for no ratios."""
    values = np.asarray(ratios, dtype=np.float64)
    return math.exp(float(np.mean(np.log(values)))) if len(values) else None


def is_checked(report: CellReport) -> bool:
    """Whether the results of both images were compared with eager and float64: what was not has no time that counts in a mean."""
    return Status.PASS_DUE_TO_SKIP not in (report.baseline_status, report.candidate_status)


def common_lines(speedups: Floats) -> Booleans:
    """Lines that every column with speedups has one of; shape (lines, columns) -> (lines,). None where no column has any.

    A column without a single one (an accuracy file) has no mean to compare, and must not take the others' away.
    """
    there = np.isfinite(speedups)
    timed = there.any(axis=0)
    found: Booleans = np.all(there[:, timed], axis=1) if timed.any() else np.zeros(len(there), dtype=bool)
    return found


def make_totals(matrix: Matrix) -> tuple[Total, ...]:
    backends = [(column.backend, column.options) for column in matrix.columns]
    return tuple(
        total
        for suite in suites(matrix)
        for clock, metric in CLOCKS.items()
        for total in _totals(suite, clock, suite.of(matrix.entries.numbers[metric]), backends)
    )


def _totals(suite: Suite, clock: str, speedups: Floats, backends: Sequence[tuple[str, str]]) -> Iterator[Total]:
    there, common = np.isfinite(speedups), common_lines(speedups)
    for column in range(speedups.shape[1]):
        mine, planned = there[:, column], suite.planned[:, column]
        if not mine.any():
            continue
        of_backend = common_lines(speedups[:, [backend == backends[column] for backend in backends]])
        # What passed and has no such speedup was not timed by this clock, or was not checked: it is no failure, and not in the mean.
        failed = planned & ~suite.passed[:, column]
        yield Total(
            column=column,
            suite=suite.name,
            clock=clock,
            geomean=geomean(speedups[common, column]),
            common=int(common.sum()),
            backend_geomean=geomean(speedups[of_backend, column]),
            backend_common=int(of_backend.sum()),
            own_geomean=geomean(speedups[mine, column]),
            own=int(mine.sum()),
            planned=int(planned.sum()),
            missing=int((planned & ~common).sum()),
            failed=int(failed.sum()),
            as_eager=geomean([*speedups[common, column], *[1.0] * int(failed.sum())]) if common.any() else None,
        )


def make_pass_rates(matrix: Matrix, layout: Layout) -> tuple[PassRate, ...]:
    table = layout.table
    entry = table[ENTRY].to_numpy(dtype=np.int64)
    rows = np.bincount(entry, minlength=len(matrix.entries.line))
    rows_passed = np.bincount(entry[np.asarray(table["status"].isin(Status.PASSED), dtype=bool)], minlength=len(rows))
    words, codes = matrix.entries.status.words, matrix.entries.status.codes
    found = []
    for suite in suites(matrix):
        for column in range(len(matrix.columns)):
            mine = suite.entry[suite.planned[:, column], column]
            if not len(mine):
                continue
            statuses = Counter(words[code] for code in codes[mine].tolist())
            passed = sum(statuses[word] for word in Status.PASSED)
            low, high = share_interval(passed, len(mine))
            found.append(
                PassRate(
                    column=column,
                    suite=suite.name,
                    cells=len(mine),
                    passed=passed,
                    rows=int(rows[mine].sum()),
                    rows_passed=int(rows_passed[mine].sum()),
                    low=low,
                    high=high,
                    statuses=tuple(statuses.most_common()),
                )
            )
    return tuple(found)


def make_paybacks(matrix: Matrix) -> tuple[Payback, ...]:
    """Of columns that compile. Where the backend is faster than eager, and nothing says after how many calls it pays, that is not known."""
    entries, found = matrix.entries, []
    for suite in suites(matrix):
        calls, never_pays = suite.of(entries.numbers["break_even_calls"]), suite.of(np.where(entries.never_pays, 1.0, np.nan))
        for column in range(calls.shape[1]):
            pays = calls[np.isfinite(calls[:, column]), column]
            never = int(np.isfinite(never_pays[:, column]).sum())
            if len(pays) or never:
                low, middle, high = np.quantile(pays, [0.25, 0.5, 0.75]).tolist() if len(pays) else (math.nan,) * 3
                quartiles = (low, middle, high) if len(pays) else None
                found.append(Payback(column=column, suite=suite.name, pays=len(pays), never=never, quartiles=quartiles))
    return tuple(found)


def make_tradeoffs(matrix: Matrix) -> tuple[Tradeoff, ...]:
    """By device time where a suite's columns have it, else host time; over the lines that every column with both numbers passed."""
    numbers, found = matrix.entries.numbers, []
    for suite in suites(matrix):
        compile_seconds = suite.of(numbers["compile_seconds"])
        compile_seconds = np.where(compile_seconds > 0, compile_seconds, np.nan)
        for clock in ("device", "host"):
            both = np.where(np.isfinite(compile_seconds), suite.of(numbers[CLOCKS[clock]]), np.nan)
            common = common_lines(both)
            if common.any():
                found += _front(suite.name, clock, compile_seconds[common], both[common])
                break
    return tuple(found)


def _front(suite: str, clock: str, compile_seconds: Floats, speedups: Floats) -> list[Tradeoff]:
    points = [
        (column, geomean(compile_seconds[:, column]), geomean(speedups[:, column]))
        for column in np.flatnonzero(np.isfinite(speedups).all(axis=0)).tolist()
    ]
    known = [(column, cost, gain) for column, cost, gain in points if cost is not None and gain is not None]
    return [
        Tradeoff(
            column=column,
            suite=suite,
            compile_seconds=cost,
            speedup=gain,
            clock=clock,
            cells=len(speedups),
            on_front=not any(c <= cost and g >= gain and (c < cost or g > gain) for _, c, g in known),
        )
        for column, cost, gain in known
    ]
