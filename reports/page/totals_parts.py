"""Totals as the view of that name shows them: a part per suite, each with its axes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.gate.wording import plain
from reports.page.model import Page, PassRate, Payback, Total, Tradeoff
from reports.page.names import heads, width
from reports.page.scale import Axis, of_amounts, of_ratios, of_speedups

MOST_CHARACTERS = 1000
"""Of a name in full."""
BAR = 260.0
"""Width of a bar's drawing."""
PARETO_WIDTH, PARETO_HEIGHT = 640.0, 340.0
PARETO_LEFT, PARETO_RIGHT, PARETO_TOP, PARETO_BOTTOM = 52.0, 150.0, 16.0, 44.0
"""Room for labels."""
LABEL_CHARACTERS, CHARACTER = 34, 6.7
"""Of a label, and how wide one is, about; ``ASIDE`` of its point."""
ASIDE = 9.0
LABEL_HEIGHT = 12.0


@dataclass(frozen=True, kw_only=True)
class Label:
    """A point's name."""

    text: str
    full: str
    before: bool
    """On the left of its point: on the right it would run out of the drawing."""
    below: float
    """How far it is moved down, so that it touches no other's."""


@dataclass(frozen=True, kw_only=True)
class Means:
    clock: str
    axis: Axis
    rows: tuple[Total, ...]


@dataclass(frozen=True, kw_only=True)
class Pareto:
    clock: str
    across: Axis
    """Compile time."""
    up: Axis
    """Speedup."""
    points: tuple[Tradeoff, ...]
    labels: tuple[Label, ...]
    """Of the points, in their order."""
    front: tuple[Tradeoff, ...]
    """Those that no other beats in both, by compile time."""


@dataclass(frozen=True, kw_only=True)
class Part:
    suite: str
    """Empty: all suites."""
    means: tuple[Means, ...]
    """By clock, device first."""
    pass_rates: tuple[PassRate, ...]
    paybacks: tuple[Payback, ...]
    payback_axis: Axis
    paretos: tuple[Pareto, ...]


def parts(page: Page) -> tuple[Part, ...]:
    """All suites first; where there is but one, its own part would say the same again."""
    suites = dict.fromkeys(suite for suite in (*(rate.suite for rate in page.pass_rates), *(total.suite for total in page.totals)) if suite)
    return tuple(_part(page, suite) for suite in ["", *(suites if len(suites) > 1 else ())])


def _part(page: Page, suite: str) -> Part:
    paybacks = tuple(item for item in page.paybacks if item.suite == suite)
    totals = [item for item in page.totals if item.suite == suite]
    tradeoffs = [item for item in page.tradeoffs if item.suite == suite]
    return Part(
        suite=suite,
        means=tuple(_means(clock, [item for item in totals if item.clock == clock]) for clock in _clocks(totals)),
        pass_rates=tuple(item for item in page.pass_rates if item.suite == suite),
        paybacks=paybacks,
        payback_axis=of_amounts([calls for item in paybacks if item.quartiles for calls in item.quartiles], 6.0, BAR - 6),
        paretos=tuple(_pareto(page, clock, [item for item in tradeoffs if item.clock == clock]) for clock in _clocks(tradeoffs)),
    )


def _clocks(items: list[Total] | list[Tradeoff]) -> list[str]:
    return sorted({item.clock for item in items})


def _means(clock: str, rows: list[Total]) -> Means:
    values = [value for row in rows for value in (row.geomean, row.own_geomean, row.as_eager)]
    return Means(clock=clock, axis=of_ratios(values, 6.0, BAR - 6), rows=tuple(rows))


def _pareto(page: Page, clock: str, points: list[Tradeoff]) -> Pareto:
    across = of_amounts([point.compile_seconds for point in points], PARETO_LEFT, PARETO_WIDTH - PARETO_RIGHT)
    names = [plain(page.matrix.columns[point.column].label, MOST_CHARACTERS) for point in points]
    up = of_speedups([point.speedup for point in points], PARETO_HEIGHT - PARETO_BOTTOM, PARETO_TOP)
    return Pareto(
        clock=clock,
        across=across,
        up=up,
        points=tuple(points),
        labels=_labels([(across.place(point.compile_seconds), up.place(point.speedup)) for point in points], names),
        front=tuple(sorted((point for point in points if point.on_front), key=lambda point: point.compile_seconds)),
    )


def _labels(places: Sequence[tuple[float, float]], names: Sequence[str]) -> tuple[Label, ...]:
    """places: of the points, in the drawing's units. Each label is where it touches none before it, as near to its point as that is."""
    found: list[Label] = []
    taken: list[tuple[float, float, float]] = []
    for (x, y), name, text in zip(places, names, heads(names, LABEL_CHARACTERS), strict=True):
        length = CHARACTER * width(text)
        before = x + ASIDE + length > PARETO_WIDTH
        start = x - ASIDE - length if before else x + ASIDE
        moves = [direction * LABEL_HEIGHT * step for step in range(len(places)) for direction in (1, -1)]
        below = next(
            (
                move
                for move in moves
                if not any(s < start + length and start < e and abs(y + move - at) < LABEL_HEIGHT for s, e, at in taken)
            ),
            0.0,
        )
        taken.append((start, start + length, y + below))
        found.append(Label(text=text, full=name, before=before, below=below))
    return tuple(found)
