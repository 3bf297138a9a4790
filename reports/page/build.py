"""From what was read to the page's model. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np

from harness import catalog
from harness.records import Status
from images.errors import UserError
from reports.gate.report import WORST_FIRST
from reports.gate.setup import ANCHOR
from reports.load import QUARANTINE_LIMIT, SOURCE
from reports.page.beside import Timed, beside
from reports.page.collect import Collected
from reports.page.columns import by_place
from reports.page.entries import counting_rows, host_seconds, make_entries, voids_of
from reports.page.facts import difference_of, excluded_cells, harness_of, make_images, source_facts
from reports.page.history import make_history
from reports.page.judged import judged
from reports.page.layout import ENTRY, TURN, Layout, lay_out
from reports.page.model import Column, Comparison, Entries, Failure, ImageFacts, Machine, Matrix, Page
from reports.page.replays import make_replays
from reports.page.rows import make_rows, make_samples
from reports.page.totals import make_pass_rates, make_paybacks, make_totals, make_tradeoffs
from reports.statistics import Booleans

MOST_COMPARED = 5
"""Images that are all set beside the first one; of more, the last is set beside the first and beside the one before it."""
NAMED_SOURCES = 3


class UnknownColumn(UserError):
    """The reference is none of the columns, or several."""


def build(collected: Collected, made_at: datetime.datetime, reference: str = "") -> Page:
    """reference: label of a column (or the end of one, where that is enough) that speedups are over at first. Raises UnknownColumn."""
    loaded, sources = collected.loaded, collected.loaded.sources
    names = tuple(source.name for source in sources)
    layout = lay_out(loaded.table, sources)
    voids = voids_of(layout, names, collected.gates)
    counting = counting_rows(layout, voids)
    entries = make_entries(layout, counting)
    matrix = Matrix(
        columns=layout.columns,
        lines=layout.lines,
        entries=entries,
        rows=make_rows(layout, voids, collected.log_tails),
        samples=make_samples(layout, collected.samples, names),
        replay=make_replays(layout, sources),
    )
    images, machines = make_images(layout, sources, names)
    harnesses = tuple(map(harness_of, sources))
    timed = _timed(layout, counting)
    quarantined = (*loaded.quarantined, *collected.unread)
    comparisons = _comparisons(collected, layout, matrix, timed, images, machines, harnesses)
    return Page(
        title=", ".join(names[:NAMED_SOURCES]) + (f" and {len(names) - NAMED_SOURCES} more" if len(names) > NAMED_SOURCES else ""),
        made_at=made_at.isoformat(timespec="seconds"),
        sources=tuple(
            source_facts(source, loaded.table[loaded.table[SOURCE] == source.name], made_at, abandoned=place in collected.abandoned)
            for place, source in enumerate(sources)
        ),
        machines=machines,
        images=images,
        differences=tuple(difference_of(images, harnesses, 0, other) for other in range(1, len(images))),
        matrix=matrix,
        reference=find_column(reference, layout.columns) if reference else _baseline_of(comparisons, layout.columns),
        comparisons=comparisons,
        totals=make_totals(matrix),
        pass_rates=make_pass_rates(matrix, layout),
        paybacks=make_paybacks(matrix),
        tradeoffs=make_tradeoffs(matrix),
        history=make_history(layout, entries, timed, images, sources, harnesses),
        failures=_failures(layout, entries),
        excluded=excluded_cells(sources),
        quarantined=quarantined[:QUARANTINE_LIMIT],
        quarantined_count=len(quarantined),
    )


def _baseline_of(comparisons: Sequence[Comparison], columns: Sequence[Column]) -> int | None:
    """The column that a gate has held the others against, where all of them are eager's own: over eager each would say 1, and nothing else."""
    gated = next((each for each in comparisons if each.by_gate), None)
    if gated is None or {column.backend for column in columns} - {catalog.IMAGE_BACKEND} != {catalog.EAGER}:
        return None
    return next(
        (place for place, column in enumerate(columns) if (column.image, column.backend) == (gated.baseline_image, catalog.EAGER)), None
    )


def find_column(reference: str, columns: Sequence[Column]) -> int:
    labels = [column.label for column in columns]
    found = [place for place, label in enumerate(labels) if label == reference] or [
        place for place, label in enumerate(labels) if label.endswith(reference)
    ]
    if len(found) != 1:
        what = "more than one column ends with" if found else "no column is"
        raise UnknownColumn(f"{what} {reference!r}\n  next: --reference with one of: {', '.join(map(repr, labels))}")
    return found[0]


def _timed(layout: Layout, counting: Booleans) -> Timed:
    table, count = layout.table[counting], len(layout.entry_line)
    entry, turn = (table[name].to_numpy(dtype=np.int64) for name in (ENTRY, TURN))
    device = table["backend_device_seconds"].to_numpy(dtype=np.float64)
    rows = np.bincount(entry, minlength=count)
    return Timed(
        host=by_place(host_seconds(table), entry, turn, count),
        device=by_place(device, entry, turn, count),
        by_device=(rows > 0) & (np.bincount(entry[np.isfinite(device)], minlength=count) == rows),
    )


def _comparisons(
    collected: Collected,
    layout: Layout,
    matrix: Matrix,
    timed: Timed,
    images: tuple[ImageFacts, ...],
    machines: tuple[Machine, ...],
    harnesses: tuple[str, ...],
) -> tuple[Comparison, ...]:
    """What gates have judged first, the worst decision before all, then images beside the first one."""
    sources = collected.loaded.sources
    gates = sorted(collected.gates.items(), key=lambda item: (WORST_FIRST.index(item[1].decision), item[0][0], item[0][1] == ANCHOR))
    found = [judged(gate, source, against, layout, images, harnesses, sources[source].manifest) for (source, against), gate in gates]
    known = {(comparison.baseline_image, comparison.candidate_image) for comparison in found}
    last = len(images) - 1
    pairs = [(0, other) for other in range(1, len(images))] if len(images) <= MOST_COMPARED else [(0, last), (last - 1, last)]
    for baseline, candidate in pairs:
        if (baseline, candidate) in known or (candidate, baseline) in known:
            continue
        comparison = beside(baseline, candidate, layout, matrix.entries, timed, images, machines, harnesses, matrix.replay)
        if comparison.cells:
            found.append(comparison)
    return tuple(found)


def _failures(layout: Layout, entries: Entries) -> tuple[Failure, ...]:
    statuses, reasons = entries.status, entries.reason
    bad = np.array([word not in Status.PASSED for word in statuses.words], dtype=bool)
    places = np.flatnonzero(bad[statuses.codes]).tolist() if len(statuses.codes) else []
    return tuple(
        Failure(
            entry=place,
            workload=layout.lines[entries.line[place]].workload,
            detail=layout.lines[entries.line[place]].detail,
            column=layout.columns[entries.column[place]].label,
            status=statuses.words[statuses.codes[place]],
            launches=int(entries.launches[place]),
            failed=int(entries.launches[place] - entries.passed[place]),
            reason=reasons.words[reasons.codes[place]],
        )
        for place in places
    )
