"""Totals as the view of that name shows them: a part per suite, each with its axes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from reports.gate.wording import plain
from reports.page.model import Page, PassRate, Payback, Total, Tradeoff
from reports.page.names import heads, width
from reports.page.scale import Axis, of_amounts, of_ratios

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


@dataclass(frozen=True, kw_only=True)
class Label:
    """A point's name."""

    text: str
    full: str
    before: bool
    """On the left of its point: on the right it would run out of the drawing."""


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
    return Pareto(
        clock=clock,
        across=across,
        up=of_amounts([*(point.speedup for point in points), 1.0], PARETO_HEIGHT - PARETO_BOTTOM, PARETO_TOP),
        points=tuple(points),
        labels=tuple(
            Label(text=text, full=name, before=across.place(point.compile_seconds) + ASIDE + CHARACTER * width(text) > PARETO_WIDTH)
            for point, name, text in zip(points, names, heads(names, LABEL_CHARACTERS), strict=True)
        ),
        front=tuple(sorted((point for point in points if point.on_front), key=lambda point: point.compile_seconds)),
    )
