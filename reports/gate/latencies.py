"""The finding on a cell's time: what the procedure concludes, unless nothing can be said of the cell on this host. Pure."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reports.format import rounded
from reports.gate.observe import HOST
from reports.gate.paired import deviations, exponential, medians
from reports.gate.procedure import FLAGGED, Stage, Verdict, conclude
from reports.gate.progress import TIMELESS_BLOCKS, Progress
from reports.gate.report import Finding
from reports.gate.setup import GateSetup
from reports.gate.steadiness import Steadiness
from reports.gate.wording import NO_MORE, counted, joined, sentence
from reports.statistics import Floats, blocks_needed, detectable_effect

USED_UP = "there are no more launches than these, they were measured before"


def judge_latencies(setup: GateSetup, progress: Progress, baseline: Floats, candidate: Floats, steady: Steadiness) -> list[Finding]:
    """Of every cell, those of images too: whose they are, the judge knows.

    baseline, candidate: seconds of launches, NaN where there are none; shape (cells, blocks).
    """
    state, outcome = progress.state, conclude(progress.state)
    procedure, margins = state.procedure, setup.margins["latency"]
    before, after = medians(baseline), medians(candidate)
    deviation = np.where(state.told_by_fresh_blocks, deviations(state.confirmed), deviations(state.screened))
    seen, needed = _power(deviation, outcome.blocks, state.tolerable, procedure.bound_level)
    unheard = last_reasons(progress)
    has_time = np.sum(np.isfinite(state.screened), axis=-1) + np.sum(np.isfinite(state.confirmed), axis=-1)
    found = []
    for index, cell in enumerate(setup.ids):
        verdict = Verdict(outcome.verdict[index])
        why = steady.unstable[index]
        if why:
            verdict = Verdict.INCONCLUSIVE
        elif verdict == Verdict.INCONCLUSIVE:
            without = int(progress.counted[index]) - int(has_time[index])
            used_up = bool(setup.stored) and without < TIMELESS_BLOCKS
            of = f"{without} of {counted(int(progress.counted[index]), 'block')}" if has_time[index] else ""
            why = _why(Stage(state.stage[index]), bool(progress.wanted[index]), used_up, of, unheard.get(cell, ""))
        undecided = verdict == Verdict.INCONCLUSIVE and math.isfinite(deviation[index])
        made = functools.partial(
            Finding,
            metric="latency",
            verdict=verdict,
            blocks_release=bool(margins[index].blocks),
            clock=progress.clocks.get(cell, HOST),
            ratio=exponential(outcome.estimate[index]),
            low=exponential(outcome.low[index]),
            high=exponential(outcome.high[index]),
            p=float(outcome.p[index]) if math.isfinite(outcome.p[index]) else None,
            blocks=int(outcome.blocks[index]),
            delta=margins[index].delta,
            tolerable=margins[index].tolerable,
            baseline=float(before[index]) if math.isfinite(before[index]) else None,
            candidate=float(after[index]) if math.isfinite(after[index]) else None,
            detectable=max(margins[index].delta, math.expm1(seen[index])) if undecided and math.isfinite(seen[index]) else None,
            blocks_needed=int(needed[index]) if undecided else None,
        )
        found.append(made(reason=_reason(made(reason=""), why, procedure.alpha)))
    return found


def _power(deviation: Floats, blocks: NDArray[np.int64], tolerable: Floats, level: float) -> tuple[Floats, NDArray[np.int64]]:
    """(smallest effect that the blocks could have shown, blocks that would show ``tolerable``), as logarithms; shape (cells,) each."""
    known = np.nan_to_num(deviation)
    seen = np.full(len(deviation), np.inf)
    for count in np.unique(blocks[blocks > 0]):
        seen[blocks == count] = detectable_effect(known[blocks == count], int(count), level)
    return seen, blocks_needed(known, tolerable, level)


def last_reasons(progress: Progress) -> dict[str, str]:
    """Why a cell's last void block is void, by cell."""
    return {voided.cell: voided.reason for voided in progress.voided}


def _why(stage: Stage, wanted: bool, used_up: bool, without: str, voided: str) -> str:
    """Why there is no answer. without: how many blocks have no time, where some have."""
    if stage == Stage.VOID:
        return f"void too often: {voided}"
    if wanted:
        return NO_MORE
    if stage == Stage.STOPPED:
        return USED_UP if used_up else joined(("without a time in one of the images", without), " in ")
    return "flagged, and not confirmed" if stage in FLAGGED else ""


def _reason(finding: Finding, why: str, alpha: float) -> str:
    parts: Sequence[str] = [why, sentence(finding, alpha)]
    if finding.detectable is not None:
        parts = [*parts, f"these blocks could have seen {100 * finding.detectable:.1f} %"]
    if finding.blocks_needed is not None and finding.tolerable is not None and finding.blocks_needed > finding.blocks:
        parts = [*parts, f"{counted(finding.blocks_needed, 'block')} would show {rounded(100 * finding.tolerable)} %"]
    return f"{joined(parts, '; ') or 'no block counts'}: {finding.verdict}"
