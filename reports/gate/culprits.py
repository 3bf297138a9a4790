"""Which package did what to which cells: one search for all that behaves alike. Pure, but for the function that it is handed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence

from harness.records import Status
from reports.gate.bisect import Trial, search
from reports.gate.procedure import Verdict
from reports.gate.report import CellReport, Culprit, Symptom

MOST_CELLS = 8
"""That are measured in the images in between."""

Attempt = Callable[[frozenset[str], Sequence[Symptom]], Mapping[Symptom, Trial]]
"""Builds the image that has these packages as the candidate has them, and says what becomes of each of these symptoms in it."""


def name_culprits(names: Sequence[str], symptoms: Sequence[Symptom], attempt: Attempt) -> tuple[Culprit, ...]:
    """Search for each symptom. Symptoms that have had the same outcomes so far share the next image; they part where theirs differ."""
    known: dict[Symptom, dict[frozenset[str], Trial]] = {symptom: {} for symptom in symptoms}
    found: dict[tuple[str, ...], list[Symptom]] = {}
    for symptom in symptoms:
        packages = search(names, functools.partial(_tried, symptom, known, attempt)).packages
        found.setdefault(packages, []).append(symptom)
    culprits = (Culprit(packages=packages, explains=tuple(explained)) for packages, explained in found.items())
    return tuple(sorted(culprits, key=lambda culprit: -len(culprit.explains)))


def _tried(symptom: Symptom, known: Mapping[Symptom, dict[frozenset[str], Trial]], attempt: Attempt, changed: frozenset[str]) -> Trial:
    mine = known[symptom]
    if changed not in mine:
        alike = [other for other, trials in known.items() if trials == mine]
        for other, trial in attempt(changed, alike).items():
            known[other][changed] = trial
    return mine[changed]


def symptoms_of(cell: CellReport) -> tuple[Symptom, ...]:
    """What makes it a regression: nothing where an expected failure excuses it."""
    if cell.expected:
        return ()
    metrics = (finding.metric for finding in cell.findings if finding.blocks_release and finding.verdict == Verdict.REGRESSED)
    return tuple(Symptom(cell=cell.cell, metric=metric) for metric in metrics)


def choose_cells(cells: Sequence[CellReport], backends: Mapping[str, str], most: int) -> tuple[CellReport, ...]:
    """The worst of each kind (what it is worse by, and on which backend), then the next of each: the worst of all may be of one kind.

    cells: the regressed ones, worst first; backends: by cell.
    """
    kinds: dict[object, list[CellReport]] = {}
    for cell in cells:
        kinds.setdefault((tuple(symptom.metric for symptom in symptoms_of(cell)), backends[cell.cell]), []).append(cell)
    in_turns = itertools.chain.from_iterable(itertools.zip_longest(*kinds.values()))
    return tuple(itertools.islice((cell for cell in in_turns if cell is not None), most))


def judge_again(metric: str, candidate: CellReport, now: CellReport) -> Trial:
    """Whether an image in between is worse by what the candidate is worse by. now: the cell in that image.

    An image in between may be broken by what does not fit together in it: a cell that fails otherwise than in the candidate, or fails
    where the candidate is only slow, says nothing of the candidate.
    """
    finding = next((finding for finding in now.findings if finding.metric == metric), None)
    both_pass = {now.baseline_status, now.candidate_status} <= Status.PASSED
    if finding is None:
        # Without a failure, or a fallback, there is no finding on it.
        return Trial.GOOD if both_pass and metric in ("status", "fallback") else Trial.UNDECIDED
    if finding.verdict == Verdict.REGRESSED:
        return Trial.BAD if metric != "status" or now.candidate_status == candidate.candidate_status else Trial.UNDECIDED
    if finding.verdict == Verdict.INCONCLUSIVE or (metric == "status" and now.candidate_status not in Status.PASSED):
        return Trial.UNDECIDED
    return Trial.GOOD
