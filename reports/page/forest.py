"""Two images cell by cell, as the view Compare shows them: rows of the forest plot, lists, tallies. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.records import Status
from reports.gate.procedure import Verdict
from reports.gate.report import CellReport, Finding
from reports.page.model import Compared, Comparison, Page
from reports.page.payload import lead
from reports.page.scale import Axis, of_ratios

ROWS = 100
"""Of a forest plot; what is worst comes first, and the matrix has all."""
WIDTH = 340.0
"""Of a row's drawing, and what is left free at its sides."""
SIDE = 14.0
TIMES = ("latency", "image_time")
KINDS: Mapping[str, str] = {
    "regressed": "regressed",
    "lost": "lost",
    "inconclusive": "inconclusive",
    "improved": "improved",
    "equivalent": "equivalent",
    "slower": "slower",
    "faster": "faster",
    "fails": "only the baseline passes",
    "passes": "only the candidate passes",
    "neither": "both fail",
    "unclear": "not told apart",
}
"""In the order in which they are listed, as words. The last six are said without a gate, and are no verdicts."""
LISTED = ("regressed", "lost", "inconclusive", "improved", "fails", "slower", "passes", "faster")


@dataclass(frozen=True, kw_only=True)
class Row:
    kind: str
    workload: str
    detail: str
    place: tuple[int, int] | None
    """Line and column of the cell's view: the candidate's, else the baseline's; None where no row has it."""
    time: Finding | None
    """By which its ratio is drawn."""
    reasons: tuple[str, ...]
    """Sentences of the findings that say what ``kind`` says."""
    warnings: tuple[str, ...]
    """Sentences of regressions that do not block the release."""
    metric: str
    """That ``kind`` is said of; empty where nothing is."""
    report: CellReport

    @property
    def drawn(self) -> bool:
        """Whether it has a ratio of time."""
        return self.time is not None and self.time.ratio is not None

    @property
    def instead(self) -> str:
        """What is said in a ratio's place."""
        baseline, candidate = self.report.baseline_status, self.report.candidate_status
        if not baseline and not candidate:
            return "not measured"
        if baseline in Status.PASSED and candidate in Status.PASSED:
            return "no ratio"
        return f"{baseline or 'absent'} → {candidate or 'absent'}"


@dataclass(frozen=True, kw_only=True)
class Forest:
    comparison: Comparison
    rows: tuple[Row, ...]
    """The first ones."""
    total: int
    common: str
    """The last words of the details that all rows share, and that need not be said in each."""
    axis: Axis
    lists: tuple[tuple[str, tuple[Row, ...]], ...]
    """(kind, rows), without those that nothing is to be said of."""
    tally: tuple[tuple[str, int], ...]
    """(kind, cells), in the order of the words."""


def forest(page: Page, comparison: Comparison) -> Forest:
    lost = frozenset(comparison.lost)
    rows = [_row(page, comparison, cell, lost) for cell in comparison.cells]
    listed = {row.report.cell for row in rows}
    # Without a gate what one image lacks is named only.
    rows += [_missing(name) for name in comparison.lost if name not in listed]
    counted = Counter(row.kind for row in rows)
    shown = rows[:ROWS]
    bounds = [
        bound
        for row in shown
        if row.time is not None
        for bound in (row.time.ratio, _near(row.time.low, row.time), _near(row.time.high, row.time))
    ]
    return Forest(
        comparison=comparison,
        rows=tuple(shown),
        total=len(rows),
        common=" ".join(_common([row.detail.split() for row in rows])),
        axis=of_ratios(bounds, SIDE, WIDTH - SIDE),
        lists=tuple((kind, tuple(found)) for kind in LISTED if (found := [row for row in rows if row.kind == kind])),
        tally=tuple((kind, counted[kind]) for kind in KINDS if counted[kind]),
    )


def _common(details: Sequence[Sequence[str]]) -> list[str]:
    """The longest ending of them all; empty for a single one, which says all of itself."""
    if len(details) < 2:
        return []
    shared = itertools.takewhile(lambda words: len(set(words)) == 1, zip(*(reversed(words) for words in details), strict=False))
    return [words[0] for words in shared][::-1]


def _near(bound: float | None, time: Finding) -> float | None:
    """An interval that is far wider than its ratio is from 1 is cut off, or it would make all others points."""
    return None if bound is None or time.ratio is None or not 0.5 < bound / time.ratio < 2 else bound


def _row(page: Page, comparison: Comparison, cell: Compared, lost: frozenset[str]) -> Row:
    report = cell.report
    kind = _kind(comparison, cell, lost)
    workload, _, detail = report.cell.partition(" ")
    found = lead(report)
    return Row(
        kind=kind,
        workload=workload,
        detail=detail,
        place=_place(page, (cell.candidate, cell.baseline)),
        time=next((finding for finding in report.findings if finding.metric in TIMES), None),
        reasons=tuple(
            finding.reason for finding in report.findings if finding.verdict == report.verdict and finding.blocks_release and finding.reason
        ),
        warnings=tuple(finding.reason for finding in report.findings if finding.verdict == "regressed" and not finding.blocks_release),
        metric=found.metric if found else "",
        report=report,
    )


def _missing(name: str) -> Row:
    workload, _, detail = name.partition(" ")
    report = CellReport(cell=name, verdict=Verdict.INCONCLUSIVE, findings=(), baseline_status="", candidate_status="")
    return Row(
        kind="lost",
        workload=workload,
        detail=detail,
        place=None,
        time=None,
        reasons=("the candidate does not have it",),
        warnings=(),
        metric="",
        report=report,
    )


def _kind(comparison: Comparison, cell: Compared, lost: frozenset[str]) -> str:
    if cell.report.cell in lost:
        return "lost"
    return str(cell.report.verdict.value) if comparison.by_gate else cell.lean or "unclear"


def _place(page: Page, entries: Sequence[int | None]) -> tuple[int, int] | None:
    entry = next((entry for entry in entries if entry is not None), None)
    return None if entry is None else (int(page.matrix.entries.line[entry]), int(page.matrix.entries.column[entry]))
