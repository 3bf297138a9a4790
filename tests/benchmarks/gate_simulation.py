"""How often the gate is wrong, and what it finds: simulated matrices with a seed, beside the rules that people use. ``nox -s gate-simulation``.

A matrix has 200 cells; each cell has a standard deviation between launches and one between samples of a launch, and the host drifts. A launch is
known by the median of 30 samples. The gate is the very code that judges images (``reports.gate.procedure``).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.gate.procedure import Procedure, Verdict, advance, begin, conclude
from reports.statistics import Floats, share_interval
from tests.benchmarks.fidelity.tables import Table, markdown

SAMPLES = 30
TAIL = stats.t(3)
"""Of the samples' noise: far heavier tails than the normal's."""
MEDIAN_DEVIATION = 1 / (2 * float(TAIL.pdf(0)) * float(TAIL.std()) * math.sqrt(SAMPLES))
"""Of the median of a launch's samples, for samples with a standard deviation of 1: ``1 / (2 f(0) sqrt(n))``."""
DRIFT = 0.003
"""Standard deviation of the host's step from one launch to the next, common to all cells."""
NAIVE_LAUNCHES = 5


@dataclass(frozen=True, kw_only=True)
class Setting:
    name: str
    launches: tuple[float, float]
    """Range of the cells' standard deviations between launches."""
    samples: tuple[float, float]
    """The same between samples of a launch."""
    procedure: Procedure = field(default_factory=Procedure)


SETTINGS = (
    Setting(name="quiet (launches 0.3 to 1 %)", launches=(0.003, 0.01), samples=(0.005, 0.02)),
    Setting(name="mixed (0.5 to 3 %)", launches=(0.005, 0.03), samples=(0.005, 0.04)),
    Setting(name="noisy (2 to 5 %)", launches=(0.02, 0.05), samples=(0.02, 0.08)),
    Setting(
        name="noisy, looks at 6/10/16/24, confirm 20",
        launches=(0.02, 0.05),
        samples=(0.02, 0.08),
        procedure=Procedure(looks=(6, 10, 16, 24), confirm=20),
    ),
)


class Matrix:
    """One simulated matrix, from which launches are drawn."""

    def __init__(self, setting: Setting, cells: int, effects: Floats, random: np.random.Generator) -> None:
        """effects: logarithm of the candidate's true slowdown; shape (cells,)."""
        self.effects = effects
        self._random = random
        self._between = random.uniform(*setting.launches, cells)
        self._within = random.uniform(*setting.samples, cells)
        self._level = 0.0

    def launch(self, candidate: bool) -> Floats:
        """Logarithms of the cells' medians; shape (cells,)."""
        self._level += self._random.normal(0, DRIFT)
        noise = self._random.normal(0, self._between) + self._random.normal(0, self._within * MEDIAN_DEVIATION)
        found: Floats = self._level + noise + (self.effects if candidate else 0.0)
        return found

    def block(self) -> Floats:
        """Differences of one block, in random order; shape (cells,)."""
        if self._random.random() < 0.5:
            baseline = self.launch(candidate=False)
            return self.launch(candidate=True) - baseline
        candidate = self.launch(candidate=True)
        return candidate - self.launch(candidate=False)

    def samples(self, candidate: bool) -> Floats:
        """Logarithms of the samples of one launch; shape (cells, SAMPLES)."""
        self._level += self._random.normal(0, DRIFT)
        middle = self._level + self._random.normal(0, self._between) + (self.effects if candidate else 0.0)
        noise = self._random.standard_t(3, (len(self.effects), SAMPLES)) / float(TAIL.std())
        found: Floats = middle[:, None] + noise * self._within[:, None]
        return found


@dataclass(kw_only=True)
class Tally:
    """Counts over the matrices of a setting and an effect."""

    cells: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    """Of the planted cells."""
    false: int = 0
    """Cells without an effect that were called regressed."""
    blocked: int = 0
    inconclusive: int = 0
    """Of the cells without an effect."""
    matrices: int = 0
    launches: float = 0.0
    """Per image and cell, summed over matrices."""


def gate(setting: Setting, effect: float, slower: int, cells: int, matrices: int, random: np.random.Generator) -> Tally:
    """The procedure itself, over so many matrices of which ``slower`` cells are slower by ``effect``."""
    tally = Tally()
    planted = np.arange(cells) < slower
    void = np.zeros(cells, dtype=bool)
    for _ in range(matrices):
        matrix = Matrix(setting, cells, np.where(planted, math.log1p(effect), 0.0), random)
        state = begin(setting.procedure, np.full(cells, 0.02), np.full(cells, 0.05))
        measured = 0
        while not state.done:
            measured += int(state.wanted.sum())
            state = advance(state, np.where(state.wanted, matrix.block(), np.nan), void)
        verdict = conclude(state).verdict
        for name in Verdict:
            tally.verdicts[name] = tally.verdicts.get(name, 0) + int(np.sum(verdict[planted] == name))
        tally.cells += slower
        tally.false += int(np.sum(verdict[~planted] == Verdict.REGRESSED))
        tally.inconclusive += int(np.sum(verdict[~planted] == Verdict.INCONCLUSIVE))
        tally.blocked += bool(np.any(verdict == Verdict.REGRESSED))
        tally.matrices += 1
        tally.launches += measured / cells
    return tally


Rule = Callable[[Matrix], NDArray[np.bool_]]
"""Which cells a rule calls slower."""


def _launches(matrix: Matrix, candidate: bool) -> Floats:
    return np.stack([matrix.launch(candidate) for _ in range(NAIVE_LAUNCHES)], axis=1)


def pooled(matrix: Matrix) -> NDArray[np.bool_]:
    a, b = (np.concatenate([matrix.samples(side) for _ in range(NAIVE_LAUNCHES)], axis=1) for side in (False, True))
    return np.asarray(stats.mannwhitneyu(b, a, axis=1, alternative="greater").pvalue < 0.05)


def paired_t(matrix: Matrix) -> NDArray[np.bool_]:
    differences = np.stack([matrix.block() for _ in range(NAIVE_LAUNCHES)], axis=1)
    return np.asarray(stats.ttest_1samp(differences, 0.0, axis=1, alternative="greater").pvalue < 0.05)


def median_beyond(share: float) -> Rule:
    def rule(matrix: Matrix) -> NDArray[np.bool_]:
        a, b = _launches(matrix, candidate=False), _launches(matrix, candidate=True)
        return np.asarray(np.median(b, axis=1) - np.median(a, axis=1) > math.log1p(share))

    return rule


def one_run(matrix: Matrix) -> NDArray[np.bool_]:
    a = matrix.launch(candidate=False)
    return np.asarray(matrix.launch(candidate=True) - a > math.log1p(0.03))


NAIVE: tuple[tuple[str, Rule], ...] = (
    ("Mann-Whitney on pooled samples, p < 0.05, 5 launches each", pooled),
    ("paired t per cell, p < 0.05, no correction, 5 launches", paired_t),
    ("median differs by 3 %, 5 launches", median_beyond(0.03)),
    ("median differs by 5 %, 5 launches", median_beyond(0.05)),
    ("one launch each, threshold 3 %", one_run),
)


def naive(
    rule: Rule, setting: Setting, effect: float, slower: int, cells: int, matrices: int, random: np.random.Generator
) -> tuple[int, int, int]:
    """(releases blocked, cells flagged, planted cells found)."""
    planted = np.arange(cells) < slower
    blocked = flagged = found = 0
    for _ in range(matrices):
        named = rule(Matrix(setting, cells, np.where(planted, math.log1p(effect), 0.0), random))
        blocked += bool(named.any())
        flagged += int(named.sum())
        found += int(named[planted].sum())
    return blocked, flagged, found


def percent(count: float, of: float) -> str:
    return f"{100 * count / of:.1f} %" if of else ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate_simulation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--matrices", type=int, default=200)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--slower", type=int, default=5, help="cells of a matrix that are slower")
    parser.add_argument("--seed", type=int, default=1337)
    options = parser.parse_args(arguments)
    shape = {"cells": options.cells, "matrices": options.matrices}
    began = time.monotonic()
    rows = []
    for number, setting in enumerate(SETTINGS):
        random = np.random.default_rng([options.seed, number])
        same = gate(setting, 0.0, 0, random=random, **shape)
        low, high = share_interval(same.blocked, same.matrices)
        line = [setting.name, f"{percent(same.blocked, same.matrices)} ({100 * low:.1f} to {100 * high:.1f})"]
        line.append(percent(same.inconclusive, options.cells * options.matrices))
        for effect in (0.02, 0.03, 0.05, 0.10):
            tally = gate(setting, effect, options.slower, random=random, **shape)
            shares = (tally.verdicts[name] for name in (Verdict.REGRESSED, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT))
            line.append(
                " / ".join(f"{100 * share / tally.cells:.0f}" for share in shares) + f"; blocked {percent(tally.blocked, tally.matrices)}"
            )
        line.append(f"{same.launches / same.matrices:.1f}")
        rows.append(line)
        print(f"  {setting.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    slower = "found / inconclusive / missed, %; releases blocked"
    columns = ["noise", "A/A: releases blocked (95 % interval)", "A/A: cells inconclusive"]
    columns += [f"{effect} % slower: {slower}" for effect in (2, 3, 5, 10)] + ["launches per image and cell, A/A"]
    print(f"{options.matrices} matrices of {options.cells} cells, {options.slower} of them slower; seed {options.seed}\n")
    print(markdown(Table(columns=tuple(columns), rows=tuple(map(tuple, rows)))))
    rows = []
    mixed = SETTINGS[1]
    for number, (name, rule) in enumerate(NAIVE):
        random = np.random.default_rng([options.seed, 100 + number])
        blocked, flagged, _ = naive(rule, mixed, 0.0, 0, random=random, **shape)
        _, _, found = naive(rule, mixed, 0.05, options.slower, random=random, **shape)
        rows.append(
            [
                name,
                percent(blocked, options.matrices),
                percent(flagged, options.matrices * options.cells),
                percent(found, options.matrices * options.slower),
            ]
        )
    print(f"\nThe rules that people use, {mixed.name}\n")
    columns = ["rule", "A/A: releases blocked", "A/A: cells flagged", "5 % slower: found"]
    print(markdown(Table(columns=tuple(columns), rows=tuple(map(tuple, rows)))))
    print(f"\n{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
