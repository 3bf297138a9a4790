"""Lasting changes of level in many series at once. Pure; numpy.

A series is split where the two means differ most for its noise; each half is looked at again. The largest of the two-sample t statistics over all places
is significant by Bonferroni's bound over these places, which is nearly exact (Worsley 1979, On the likelihood ratio test for a shift in location of
normal populations); of all series that are looked at together, those are taken that keep the share of false ones below ``LEVEL`` (Benjamini and Hochberg
1995). Splitting again is Vostrikova's (1981).

A library (ruptures) finds where a level changes, given a penalty; it does not say whether it changes at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.statistics import Booleans, Floats

LEVEL = 0.05
"""Largest expected share of false steps among those that are found."""
LEAST_EFFECT = 0.02
"""Relative change of the level that matters to anybody."""
FEWEST_OF_A_LEVEL = 2
"""Values on either side: a single one that is off is no level."""
FEWEST_VALUES = 2 * FEWEST_OF_A_LEVEL


@dataclass(frozen=True, kw_only=True)
class Found:
    series: int
    place: int
    """Of the first value of the new level."""
    before: int
    """Of the last value of the old one."""
    old: float
    """Mean logarithms of the values between this step and its neighbours."""
    new: float
    p: float
    """For all places together."""


@dataclass(frozen=True, kw_only=True)
class _Segment:
    series: int
    places: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Split:
    segment: _Segment
    first: int
    """How many of its places are left of the split."""
    p: float
    effect: float


def find_steps(values: Floats) -> list[Found]:
    """values: logarithms in the order of time, NaN where there is none; shape (series, points)."""
    waiting = [
        _Segment(series=series, places=tuple(np.flatnonzero(there).tolist()))
        for series, there in enumerate(np.isfinite(values))
        if there.any()
    ]
    splits: dict[int, list[_Split]] = {}
    while waiting:
        tested = [split for group in _by_length(waiting) for split in _best_splits(values, group)]
        waiting = []
        for split in _significant(tested):
            if abs(split.effect) < np.log1p(LEAST_EFFECT):
                continue
            splits.setdefault(split.segment.series, []).append(split)
            places = split.segment.places
            waiting += [_Segment(series=split.segment.series, places=part) for part in (places[: split.first], places[split.first :])]
    return [step for series, found in sorted(splits.items()) for step in _steps(values[series], found)]


def _by_length(segments: Sequence[_Segment]) -> Iterator[list[_Segment]]:
    groups: dict[int, list[_Segment]] = {}
    for segment in segments:
        if len(segment.places) >= FEWEST_VALUES:
            groups.setdefault(len(segment.places), []).append(segment)
    yield from groups.values()


def _best_splits(values: Floats, segments: Sequence[_Segment]) -> list[_Split]:
    """Of segments of one length."""
    rows = np.array([segment.series for segment in segments])[:, None]
    found = values[rows, np.array([segment.places for segment in segments])]
    found = found - found.mean(axis=1, keepdims=True)
    n = found.shape[1]
    left = np.arange(FEWEST_OF_A_LEVEL, n - FEWEST_OF_A_LEVEL + 1)
    right = n - left
    sums = np.cumsum(found, axis=1)[:, left - 1]
    # Of centred values, the right side's sum is the left one's with the other sign.
    effects = -sums / right - sums / left
    within = np.maximum(np.sum(found**2, axis=1, keepdims=True) - sums**2 / left - sums**2 / right, 0.0)
    error = np.sqrt(within / (n - 2) * (1 / left + 1 / right))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(effects == 0, 0.0, np.abs(effects) / error)
    best = np.argmax(t, axis=1)
    largest = t[np.arange(len(segments)), best]
    p = np.minimum(1.0, len(left) * 2 * stats.t.sf(largest, n - 2))
    return [
        _Split(segment=segment, first=int(left[place]), p=float(p[index]), effect=float(effects[index, place]))
        for index, (segment, place) in enumerate(zip(segments, best.tolist(), strict=True))
    ]


def _significant(splits: Sequence[_Split]) -> list[_Split]:
    """Source: Benjamini and Hochberg 1995."""
    if not splits:
        return []
    p = np.array([split.p for split in splits])
    ordered = np.sort(p)
    under: Booleans = ordered <= LEVEL * np.arange(1, len(p) + 1) / len(p)
    if not under.any():
        return []
    limit = ordered[np.flatnonzero(under)[-1]]
    return [split for split in splits if split.p <= limit]


def _steps(values: Floats, splits: Sequence[_Split]) -> Iterator[Found]:
    places = np.flatnonzero(np.isfinite(values))
    ordered = sorted(splits, key=lambda split: split.segment.places[split.first])
    firsts = [split.segment.places[split.first] for split in ordered]
    levels = [float(np.mean(values[part])) for part in np.split(places, np.searchsorted(places, firsts))]
    for index, (split, first) in enumerate(zip(ordered, firsts, strict=True)):
        before = int(places[np.searchsorted(places, first) - 1])
        yield Found(series=split.segment.series, place=first, before=before, old=levels[index], new=levels[index + 1], p=split.p)
