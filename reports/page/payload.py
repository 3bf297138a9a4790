"""How the model lies in the page's file: blocks of JSON, and drawers that are decoded when a cell is opened. Pure.

The drawers are nearly all of a large file, and no view but a cell's needs them: they come after the script, which begins before they are read.

What is large is packed: base64 of gzip of the length of its JSON in bytes (4, little endian), the JSON, a zero byte where that length is odd, and, of a
drawer, its samples' deviations (2 bytes each, little endian, signed).
"""

from __future__ import annotations

import base64
import itertools
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.records import INTEGER_COLUMNS, one_line
from reports.gate.report import CellReport, Finding
from reports.page import encode
from reports.page.columns import floats_of, words_of
from reports.page.model import Comparison, History, Indices, Matrix, Page, Samples, Words
from reports.page.names import heads

SCHEMA = 1
PACKERS = 2
MOST_WAITING = 16
"""Drawers that are made and not written yet."""
ROWS_OF_A_DRAWER = 200
"""About as many: lines are not divided."""
REASON_CHARACTERS = 200
HEAD_CHARACTERS = 32
"""Two lines of a narrow column."""
TIMES = ("latency", "image_time")
"""Metrics of which a cell has one."""
JSON, GZIP = "application/json", "application/gzip+base64"
GZIP_FRAMING = 31
"""zlib's number for a window of 32 KiB in gzip's framing."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One script element: its text needs no escaping."""

    id: str
    type: str
    text: str


def blocks(page: Page) -> Iterator[Block]:
    """All, in the file's order."""
    yield from first_blocks(page)
    yield from drawers(page)


def first_blocks(page: Page) -> Iterator[Block]:
    """What the views begin with."""
    yield Block(id="bm-page", type=JSON, text=_about(page))
    yield Block(id="bm-matrix", type=GZIP, text=_packed(_matrix(page.matrix, _first_lines(page.matrix)), b""))
    yield Block(id="bm-compare", type=GZIP, text=_packed(encode.array(_compared(comparison) for comparison in page.comparisons), b""))
    yield Block(id="bm-history", type=GZIP, text=_packed(_history(page.history), b""))


def _first_lines(matrix: Matrix) -> Indices:
    """Of each drawer; shape (drawers,)."""
    rows_of_line = np.bincount(matrix.entries.line[matrix.rows.entry], minlength=len(matrix.lines))
    drawer = (np.cumsum(rows_of_line) - rows_of_line) // ROWS_OF_A_DRAWER
    return np.flatnonzero(np.diff(drawer, prepend=-1))


def _about(page: Page) -> str:
    found = {"schema": str(SCHEMA)}
    found |= {
        name: encode.plain(getattr(page, name))
        for name in (
            *("title", "made_at", "sources", "machines", "images", "differences", "metrics", "reference", "totals", "pass_rates"),
            *("paybacks", "tradeoffs", "excluded", "quarantined", "quarantined_count"),
        )
    }
    found["samples_one_in"] = encode.plain(page.matrix.samples.one_in)
    found["columns"] = encode.plain(page.matrix.columns)
    found["heads"] = encode.plain({"images": image_heads(page), "columns": column_heads(page)})
    found["comparisons"] = encode.array(encode.without(comparison, "cells") for comparison in page.comparisons)
    found["points"], found["steps"] = encode.plain(page.history.points), encode.plain(page.history.steps)
    found["step_differences"] = encode.plain(page.history.differences)
    found["history_note"] = encode.plain(page.history.note)
    return encode.mapping(found)


def image_heads(page: Page) -> tuple[str, ...]:
    """Of the matrix: what tells images apart, by image."""
    return heads([image.name for image in page.images], HEAD_CHARACTERS)


def column_heads(page: Page) -> tuple[str, ...]:
    """What tells the columns of one image apart, by column: the same backend has the same head in all images."""
    return heads([f"{column.backend} {column.options}".strip() for column in page.matrix.columns], HEAD_CHARACTERS)


def _matrix(matrix: Matrix, first_lines: Indices) -> str:
    lines, entries = matrix.lines, matrix.entries
    axes = ("suite", "workload", "device", "mode", "precision", "shapes")
    found = {name: encode.column(words_of([getattr(line, name) for line in lines])) for name in axes}
    found["batch_size"] = encode.plain([line.batch_size for line in lines])
    found["number"] = encode.plain([line.number for line in lines])
    names = ("line", "column", "status", "warnings", "launches", "passed", "interval_of")
    about = {name: encode.column(getattr(entries, name)) for name in names}
    about["void"] = encode.numbers(np.flatnonzero(entries.is_void))
    about["never_pays"] = encode.numbers(np.flatnonzero(entries.never_pays))
    about["reason"] = encode.column(_shortened(entries.reason))
    about["numbers"] = encode.mapping(
        {name: encode.column(values) for name, values in entries.numbers.items() if np.isfinite(values).any()}
    )
    return encode.mapping({"lines": encode.mapping(found), "entries": encode.mapping(about), "drawers": encode.numbers(first_lines)})


def _shortened(reasons: Words) -> Words:
    """Of an entry, as the matrix shows them; a cell's drawer has all of it."""
    return Words(words=tuple(one_line(word, REASON_CHARACTERS) for word in reasons.words), codes=reasons.codes)


def lead(report: CellReport) -> Finding | None:
    """The finding that a cell's verdict goes by: the first that blocks and says it, else its latency, else its first."""
    found = [finding for finding in report.findings if finding.blocks_release and finding.verdict == report.verdict]
    found += [finding for finding in report.findings if finding.metric == "latency"]
    return next(iter([*found, *report.findings]), None)


def time_of(report: CellReport) -> Finding | None:
    """The finding that a forest plot shows."""
    return next((finding for finding in report.findings if finding.metric in TIMES), None)


def _compared(comparison: Comparison) -> str:
    """Columns, in the comparison's order. ``ratio``, ``low`` and ``high`` are those of time; the other findings are in the drawers."""
    cells = comparison.cells
    reports = [cell.report for cell in cells]
    leads = [lead(report) for report in reports]
    times = list(map(time_of, reports))
    found = {
        "cell": encode.array(encode.text(report.cell) for report in reports),
        "verdict": encode.column(words_of([report.verdict.value for report in reports])),
        "lean": encode.column(words_of([cell.lean for cell in cells])),
        "line": encode.plain([cell.line for cell in cells]),
        "baseline_entry": encode.plain([cell.baseline for cell in cells]),
        "candidate_entry": encode.plain([cell.candidate for cell in cells]),
        "baseline_status": encode.column(words_of([report.baseline_status for report in reports])),
        "candidate_status": encode.column(words_of([report.candidate_status for report in reports])),
        "expected": encode.column(words_of([report.expected for report in reports])),
        "metric": encode.column(words_of([finding.metric if finding else "" for finding in leads])),
        "reason": encode.column(words_of([finding.reason if finding else "" for finding in leads])),
        "clock": encode.column(words_of([finding.clock if finding else "" for finding in times])),
    }
    for name in ("ratio", "low", "high", "p", "baseline", "candidate"):
        found[name] = encode.column(floats_of([getattr(finding, name) if finding else None for finding in times]))
    found["blocks"] = encode.plain([finding.blocks if finding else 0 for finding in times])
    return encode.mapping(found)


def _history(history: History) -> str:
    found = {name: encode.column(getattr(history, name)) for name in ("line", "backend", "options", "family", "clock", "machine")}
    for name in ("seconds", "low", "high"):
        found[name] = encode.array(map(encode.numbers, encode.rounded(getattr(history, name))))
    return encode.mapping(found)


def drawers(page: Page) -> Iterator[Block]:
    """Packed by two threads: compressing is a third of all the time that a large page takes."""
    with ThreadPoolExecutor(PACKERS) as packers:
        waiting: deque[Future[str]] = deque()
        number = itertools.count()
        for content in _contents(page, _first_lines(page.matrix)):
            waiting.append(packers.submit(_packed, *content))
            if len(waiting) > MOST_WAITING:
                yield _drawer(next(number), waiting.popleft())
        while waiting:
            yield _drawer(next(number), waiting.popleft())


def _drawer(number: int, packed: Future[str]) -> Block:
    return Block(id=f"bm-drawer-{number}", type=GZIP, text=packed.result())


def _contents(page: Page, first_lines: Indices) -> Iterator[tuple[str, bytes]]:
    matrix, rows, samples = page.matrix, page.matrix.rows, page.matrix.samples
    of_rows, of_series = _columns_of_rows(matrix), _columns_of_series(samples)
    line_of_row = matrix.entries.line[rows.entry]
    findings = _findings_by_line(page)
    ends = [*first_lines[1:].tolist(), len(matrix.lines)][: len(first_lines)]
    offsets = np.concatenate([[0], np.cumsum(samples.count)])
    for first, end in zip(first_lines.tolist(), ends, strict=True):
        row, row_end = np.searchsorted(line_of_row, [first, end]).tolist()
        series, series_end = np.searchsorted(samples.row, [row, row_end]).tolist()
        entry, entry_end = np.searchsorted(matrix.entries.line, [first, end]).tolist()
        sample, sample_end = int(offsets[series]), int(offsets[series_end])
        mark, mark_end = np.searchsorted(samples.marked, [sample, sample_end]).tolist()
        about = {
            "first_row": str(row),
            "first_entry": str(entry),
            "rows": encode.mapping({name: _part(values, row, row_end) for name, values in of_rows.items()}),
            "series": encode.mapping({name: _part(values, series, series_end) for name, values in of_series.items()}),
            "marked": encode.numbers(samples.marked[mark:mark_end] - sample),
            "mark": encode.array(encode.text(samples.mark.words[code]) for code in samples.mark.codes[mark:mark_end].tolist()),
            "replay": encode.array(map(encode.text, matrix.replay[entry:entry_end])),
            "compared": encode.array(text for line in range(first, end) for text in findings.get(line, ())),
        }
        yield encode.mapping(about), samples.deviations[sample:sample_end].astype("<i2").tobytes()


_Column = list[str] | NDArray[Any]
"""Texts as JSON, or numbers that are rounded."""


def _part(values: _Column, first: int, end: int) -> str:
    return encode.array(values[first:end]) if isinstance(values, list) else encode.numbers(values[first:end])


def _columns_of_rows(matrix: Matrix) -> dict[str, _Column]:
    rows = matrix.rows
    found: dict[str, _Column] = {"entry": rows.entry, "log_tail": _words(rows.log_tail)}
    for name, values in rows.columns.items():
        if isinstance(values, Words):
            found[name] = _words(values)
        else:
            found[name] = encode.whole(values) if name in INTEGER_COLUMNS else encode.rounded(values)
    return found


def _columns_of_series(samples: Samples) -> dict[str, _Column]:
    return {
        "row": samples.row,
        "variant": _words(samples.variant),
        "clock": _words(samples.clock),
        "count": samples.count,
        "centre": encode.rounded(samples.centre),
        "step": encode.rounded(samples.step),
    }


def _findings_by_line(page: Page) -> dict[int, list[str]]:
    """What gates say of a line's cells, in full. Without a gate, the comparison's columns say all there is."""
    found: dict[int, list[str]] = {}
    for number, comparison in enumerate(page.comparisons):
        for place, cell in enumerate(comparison.cells if comparison.by_gate else ()):
            if cell.line is not None:
                about = {"comparison": str(number), "place": str(place), "report": encode.plain(cell.report)}
                found.setdefault(cell.line, []).append(encode.mapping(about))
    return found


def _words(values: Words) -> list[str]:
    texts = [encode.text(word) for word in values.words]
    return [texts[code] for code in values.codes.tolist()]


def _packed(text: str, data: bytes) -> str:
    head = text.encode("ascii")
    packer = zlib.compressobj(level=6, wbits=GZIP_FRAMING)
    packed = packer.compress(len(head).to_bytes(4, "little") + head + b"\0" * (len(head) % 2) + data) + packer.flush()
    return base64.b64encode(packed).decode("ascii")
