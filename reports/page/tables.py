"""The page's tables as values: what exports write. Numbers in full, in the unit that the column's name ends with. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from reports.gate.report import Change
from reports.page.model import Comparison, Difference, Line, Page, Rows, Words
from reports.page.payload import lead, time_of

Value = str | int | float | None
LINE_COLUMNS = ("suite", "workload", "device", "mode", "precision", "shapes", "batch_size")


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str
    """Of its file."""
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def tables(page: Page) -> tuple[Table, ...]:
    """In the order of the page; those in which nothing is are left out."""
    made: Iterable[Table] = (
        _sources(page),
        _images(page),
        _environments(page),
        *(_comparison(page, number, comparison) for number, comparison in enumerate(page.comparisons, start=1)),
        _matrix(page),
        _totals(page),
        _pass_rates(page),
        _paybacks(page),
        _tradeoffs(page),
        _history(page),
        _steps(page),
        _failures(page),
        _of(
            "excluded",
            "Left out by the configuration",
            ("image", "cell", "reason"),
            ((item.image, item.cell, item.reason) for item in page.excluded),
        ),
        _of(
            "quarantined",
            "Lines and files that do not read",
            ("file", "line", "reason"),
            ((item.file, item.line, item.reason) for item in page.quarantined),
        ),
    )
    return tuple(table for table in made if table.rows)


def _of(name: str, title: str, columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> Table:
    return Table(name=name, title=title, columns=tuple(columns), rows=tuple(tuple(map(_known, row)) for row in rows))


def _known(value: Value) -> Value:
    """None for a number that was not measured."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sources(page: Page) -> Table:
    columns = ("run", "started_at", "state", "rows", "planned_rows", "note", "facts")
    return _of(
        "runs",
        "Runs and files",
        columns,
        (
            (
                *(source.name, source.started_at, source.progress.state, source.progress.rows, source.progress.planned, source.note),
                "; ".join(f"{name}: {text}" for name, text in source.facts),
            )
            for source in page.sources
        ),
    )


def _images(page: Page) -> Table:
    columns = ("image", "run", "digest", "size_bytes", "compressed_bytes", "python", "machine", "packages")
    return _of(
        "images",
        "Images",
        columns,
        (
            (
                *(image.name, page.sources[image.source].name, image.digest, image.size_bytes, image.compressed_bytes, image.python),
                "" if image.machine is None else page.machines[image.machine].text,
                ", ".join(f"{name} {version}" for name, version in image.packages.items()),
            )
            for image in page.images
        ),
    )


def _environments(page: Page) -> Table:
    def rows() -> Iterator[tuple[Value, ...]]:
        for difference in page.differences:
            images = [page.images[place].name for place in (difference.baseline, difference.candidate) if place is not None]
            for kind, change in _changes(difference):
                yield (*images, kind, change.what, change.baseline, change.candidate)

    columns = ("baseline_image", "candidate_image", "kind", "what", "baseline", "candidate")
    return _of("environments", "What differs between the images", columns, rows())


def _changes(difference: Difference) -> Iterator[tuple[str, Change]]:
    for kind, changes in (("image", difference.changes), ("machine", difference.machine), ("harness", difference.harness)):
        for change in changes:
            yield kind, change


def _comparison(page: Page, number: int, comparison: Comparison) -> Table:
    def rows() -> Iterator[tuple[Value, ...]]:
        for cell in comparison.cells:
            report, time, leading = cell.report, time_of(cell.report), lead(cell.report)
            yield (
                *(report.cell, report.verdict.value, cell.lean, report.baseline_status, report.candidate_status),
                *(
                    getattr(time, name) if time else None
                    for name in ("clock", "ratio", "low", "high", "p", "blocks", "baseline", "candidate")
                ),
                leading.metric if leading else None,
                leading.reason if leading else None,
            )

    columns = ("cell", "verdict", "lean", "baseline_status", "candidate_status", "clock", "ratio", "ratio_low", "ratio_high", "p", "blocks")
    return _of(
        f"comparison-{number}",
        f"{comparison.candidate} against {comparison.baseline}: {comparison.decision}",
        (*columns, "baseline_seconds", "candidate_seconds", "metric", "reason"),
        rows(),
    )


def _line(line: Line) -> tuple[Value, ...]:
    return (line.suite, line.workload, line.device, line.mode, line.precision, line.shapes, line.batch_size)


def _matrix(page: Page) -> Table:
    matrix, entries = page.matrix, page.matrix.entries
    texts = ("status", "warnings", "reason", "interval_of")
    names = tuple(entries.numbers)
    words = [[column.words[code] for code in column.codes.tolist()] for column in (getattr(entries, name) for name in texts)]
    numbers = [values.tolist() for values in entries.numbers.values()]
    counts = (entries.launches.tolist(), entries.passed.tolist(), entries.voided.tolist(), entries.never_pays.astype(int).tolist())

    def rows() -> Iterator[tuple[Value, ...]]:
        places = zip(entries.line.tolist(), entries.column.tolist(), _batch_sizes(matrix.rows, len(entries.line)), strict=True)
        for (line, column, measured), *others in zip(places, *words, *counts, *numbers, matrix.replay, strict=True):
            about = matrix.columns[column]
            planned = matrix.lines[line].batch_size
            size = measured if planned is None else planned
            yield (
                *_line(matrix.lines[line])[:-1],
                size,
                page.images[about.image].name,
                about.backend,
                about.options,
                about.experiment,
                *others,
            )

    columns = (
        *LINE_COLUMNS,
        "image",
        "backend",
        "options",
        "experiment",
        *texts,
        "launches",
        "passed",
        "voided",
        "never_pays",
        *names,
        "replay",
    )
    return _of("matrix", "Matrix", columns, rows())


def _batch_sizes(rows: Rows, entries: int) -> list[int | None]:
    """By entry: what its rows say, where nobody planned one. None where they say nothing, or not the same."""
    sizes = rows.columns.get("batch_size")
    if sizes is None or isinstance(sizes, Words):
        return [None] * entries
    found: list[set[int]] = [set() for _ in range(entries)]
    for entry, size in zip(rows.entry.tolist(), sizes.tolist(), strict=True):
        if math.isfinite(size):
            found[entry].add(int(size))
    return [next(iter(said)) if len(said) == 1 else None for said in found]


def _labelled(page: Page, suite: str, column: int) -> tuple[Value, ...]:
    return (page.matrix.columns[column].label, suite or "all")


def _totals(page: Page) -> Table:
    names = (
        "clock",
        "geomean",
        "common",
        "backend_geomean",
        "backend_common",
        "own_geomean",
        "own",
        "planned",
        "missing",
        "failed",
        "as_eager",
    )
    return _small(page, "totals", "Geometric means of the speedup over eager", page.totals, names)


def _pass_rates(page: Page) -> Table:
    names = ("cells", "passed", "rows", "rows_passed", "low", "high")
    found = _small(page, "pass-rates", "What passed", page.pass_rates, names)
    statuses = ["; ".join(f"{count} {status}" for status, count in rate.statuses) for rate in page.pass_rates]
    return Table(
        name=found.name,
        title=found.title,
        columns=(*found.columns, "statuses"),
        rows=tuple((*row, text) for row, text in zip(found.rows, statuses, strict=True)),
    )


def _paybacks(page: Page) -> Table:
    rows = (
        (*_labelled(page, item.suite, item.column), item.pays, item.never, *(item.quartiles or (None, None, None)))
        for item in page.paybacks
    )
    columns = ("column", "suite", "pays", "never", "first_quartile_calls", "median_calls", "third_quartile_calls")
    return _of("paybacks", "Calls until compiling pays", columns, rows)


def _tradeoffs(page: Page) -> Table:
    names = ("clock", "compile_seconds", "speedup", "cells", "on_front")
    return _small(page, "tradeoffs", "Compile time against speedup", page.tradeoffs, names)


def _small(page: Page, name: str, title: str, items: Sequence[object], names: Sequence[str]) -> Table:
    read: Callable[[object, str], Value] = getattr
    rows = (
        (*_labelled(page, str(read(item, "suite")), int(str(read(item, "column")))), *(read(item, each) for each in names))
        for item in items
    )
    return _of(name, title, ("column", "suite", *names), rows)


def _series(page: Page, series: int) -> tuple[Value, ...]:
    history = page.history
    texts = (column.words[int(column.codes[series])] for column in (history.backend, history.options, history.family, history.clock))
    return (*_line(page.matrix.lines[int(history.line[series])]), *texts)


SERIES_COLUMNS = (*LINE_COLUMNS, "backend", "options", "image", "clock")


def _history(page: Page) -> Table:
    def rows() -> Iterator[tuple[Value, ...]]:
        history = page.history
        for series in range(len(history.line)):
            about = _series(page, series)
            values = zip(history.seconds[series].tolist(), history.low[series].tolist(), history.high[series].tolist(), strict=True)
            for point, (seconds, low, high) in zip(history.points, values, strict=True):
                if math.isfinite(seconds):
                    yield (*about, point.at, page.sources[point.source].name, point.label, seconds, low, high)

    columns = (*SERIES_COLUMNS, "at", "run", "version", "seconds", "seconds_low", "seconds_high")
    return _of("history", "History", columns, rows())


def _steps(page: Page) -> Table:
    def rows() -> Iterator[tuple[Value, ...]]:
        history = page.history
        for step in history.steps:
            point = history.points[step.point]
            changes = ", ".join(
                f"{change.what} {change.baseline or 'absent'} to {change.candidate or 'absent'}"
                for _, change in _changes(history.differences[step.difference])
            )
            yield (
                *_series(page, step.series),
                *(point.at, page.sources[point.source].name, point.label),
                *(step.old_seconds, step.new_seconds, step.ratio, step.p, changes),
            )

    columns = (*SERIES_COLUMNS, "at", "run", "version", "old_seconds", "new_seconds", "ratio", "p", "changes")
    return _of("steps", "Steps", columns, rows())


def _failures(page: Page) -> Table:
    names = ("workload", "detail", "column", "status", "launches", "failed", "reason")
    return _of("failures", "What did not pass", names, (tuple(getattr(item, name) for name in names) for item in page.failures))
