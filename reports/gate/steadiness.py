"""Can this host tell anything of a cell? The baseline against itself, modes between launches, first launches against second ones. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.measure.stability import MODE_GAP, modes
from reports.format import duration, rounded
from reports.gate.paired import by_count, deviations
from reports.gate.report import PLACEBO_ALPHA, Placebo
from reports.statistics import Booleans, Floats, bound, hodges_lehmann, signed_rank_p

AA_ALPHA = 0.01
"""Two-sided level at which the baseline differs from itself."""
AA_PAIRS = 8
"""Pairs of the baseline's launches without which its A/A says nothing: fewer are hardly ever significant."""
MODE_LAUNCHES = 6
FEWEST_OF_A_MODE = 2
"""Launches of the smaller mode: a single one is an outlier, which the ranks take care of."""


@dataclass(frozen=True, kw_only=True)
class Steadiness:
    noise_floor: Floats
    """Standard deviation of the logarithms of the baseline's launches; shape (cells,), NaN of fewer than two. Where launches took turns, of
    either's part in the ratio of two: what both suffered is in no ratio."""
    unstable: tuple[str, ...]
    """By cell: why nothing can be said of it; empty where something can."""


def steadiness(baseline: Floats, candidate: Floats, differences: Floats, in_turns: Booleans, worth: Floats) -> Steadiness:
    """Of each cell by what it is judged by: levels of launches, or the ratios of those that took turns, whose levels move with the machine.

    baseline, candidate: seconds of launches, NaN where there are none, shape (cells, blocks); differences: logarithms of ratios, the same
    shape; in_turns: shape (cells,); worth: ``log(1 + delta)``, shape (cells,).
    """
    unstable = [""] * len(baseline)
    apart = np.where(in_turns, np.nan, 1.0)[:, None]
    for index, effect in _against_itself(np.log(baseline) * apart, worth):
        unstable[index] = f"unstable: the baseline differs from itself by {100 * math.expm1(effect):+.1f} % (odd against even launches)"
    for name, seconds in (("baseline", baseline), ("candidate", candidate)):
        for index, (low, high) in _modes(seconds * apart):
            unstable[index] = f"unstable: launches of the {name} fall into two modes, at {duration(low)} and {duration(high)}"
    ratios = differences * np.where(in_turns, 1.0, np.nan)[:, None]
    for index, effect in _against_itself(ratios, worth):
        unstable[index] = (
            f"unstable: the ratio of the launches differs from itself by {100 * math.expm1(effect):+.1f} % (odd against even blocks)"
        )
    for index, (low, high) in _modes(np.exp(ratios)):
        unstable[index] = f"unstable: the ratios of the launches fall into two modes, at {rounded(low)} and {rounded(high)}"
    floor = np.where(in_turns, deviations(differences) / math.sqrt(2), deviations(np.log(baseline)))
    return Steadiness(noise_floor=floor, unstable=tuple(unstable))


def _against_itself(logarithms: Floats, worth: Floats) -> list[tuple[int, float]]:
    """(cell, effect) of those whose launches in even places differ from those in odd places."""
    found = []
    for group, values in by_count(logarithms, least=2 * AA_PAIRS):
        pairs = values.shape[-1] // 2
        differences = values[:, 1 : 2 * pairs : 2] - values[:, 0 : 2 * pairs : 2]
        p = 2 * np.minimum(signed_rank_p(differences, "greater"), signed_rank_p(differences, "less"))
        effect = hodges_lehmann(differences)
        failed = (p <= AA_ALPHA) & (np.abs(effect) >= worth[group])
        found += [(int(cell), float(size)) for cell, size in zip(group[failed], effect[failed], strict=True)]
    return found


def _modes(seconds: Floats) -> list[tuple[int, tuple[float, float]]]:
    """(cell, medians of its modes in seconds)."""
    found = []
    for group, values in by_count(seconds, least=MODE_LAUNCHES):
        gaps = np.diff(np.sort(np.log(values), axis=-1), axis=-1)
        # What has no gap of that width has no modes; of ten thousand cells few are left.
        for index in np.flatnonzero(gaps.max(axis=-1) >= np.log1p(MODE_GAP)):
            split = modes(values[index].tolist())
            if split is None:
                continue
            slower = int(np.sum(values[index] > math.sqrt(split[0] * split[1])))
            if min(slower, values.shape[-1] - slower) >= FEWEST_OF_A_MODE:
                found.append((int(group[index]), split))
    return found


def placebo(differences: Floats, candidate_first: Sequence[bool | None]) -> Placebo | None:
    """Second launches of the blocks against first ones: what the order of starting does, whatever the images do.

    differences: shape (cells, blocks), NaN where there is none; candidate_first: shape (blocks,). A cell's own effect is the mean of its
    means in either order, and is taken away; a block, whose cells share what happened to its launches, gives one number, their median.
    None where no cell was measured in either order, and where launches have none.
    """
    if None in candidate_first:
        return None
    first = np.asarray(candidate_first, dtype=bool)
    there = np.isfinite(differences)
    values = np.where(there, differences, 0.0)
    counts = [there[:, order].sum(axis=1) for order in (first, ~first)]
    usable = (counts[0] > 0) & (counts[1] > 0)
    if not usable.any():
        return None
    means = [values[usable][:, order].sum(axis=1) / count[usable] for order, count in zip((first, ~first), counts, strict=True)]
    effect = (means[0] + means[1]) / 2
    later = np.where(first, -1.0, 1.0) * (differences[usable] - effect[:, None])
    blocks = np.array([np.median(column[np.isfinite(column)]) for column in later.T if np.isfinite(column).any()])
    low, high = (float(bound(blocks, PLACEBO_ALPHA, side)) for side in ("lower", "upper"))
    return Placebo(
        effect=math.expm1(float(hodges_lehmann(blocks))),
        low=math.expm1(low) if math.isfinite(low) else None,
        high=math.expm1(high) if math.isfinite(high) else None,
        differences=int(there[usable].sum()),
    )
