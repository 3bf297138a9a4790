"""From rows to verdicts: what the gate says of every cell, and of the release. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Status
from reports.accepted import NOTHING, Accepted
from reports.gate.conditions import Cap, capped
from reports.gate.evidence import Evidence, Launched, gather
from reports.gate.expected import Expected, Standing
from reports.gate.expected import judge as standing_of
from reports.gate.failures import look
from reports.gate.latencies import judge_latencies
from reports.gate.metrics import METRICS, judge_metric
from reports.gate.observe import DEVICE
from reports.gate.procedure import Procedure, Verdict
from reports.gate.progress import Progress
from reports.gate.replay import replay_command
from reports.gate.report import CellReport, Decision, Finding, Placebo
from reports.gate.setup import GateSetup
from reports.gate.statuses import beside_accepted, judge_dead, judge_fallback, judge_lost, judge_status, status_of
from reports.gate.steadiness import placebo, steadiness
from reports.gate.wording import counted

WORST_FIRST = (Verdict.REGRESSED, Verdict.INCONCLUSIVE, Verdict.IMPROVED, Verdict.EQUIVALENT)
NAMED = 3
"""Cells that the decision's sentence names."""
NOT_MEASURED = "not measured"
"""In place of the status of a cell that the candidate has not: there is nothing to compare it with."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the rows of a gate say."""

    decision: Decision
    why: str
    cells: tuple[CellReport, ...]
    """Worst first."""
    placebo: Placebo | None
    notes: tuple[str, ...] = ()


def judge(
    setup: GateSetup,
    progress: Progress,
    expected: Sequence[Expected] = (),
    today: datetime.date = datetime.date.min,
    caps: Sequence[Cap] = (),
    accepted: Accepted = NOTHING,
) -> Judged:
    """Verdicts by what is known now.

    expected: failures that are excused until their day; caps: why verdicts are no better than ``inconclusive``, where they are not;
    accepted: what was agreed to of the candidate's version, or of the one before.
    """
    evidence = gather(setup.ids, progress.blocks, progress.clocks, setup.limits)
    progress = dataclasses.replace(progress, failures=look(progress.failures, np.ones(len(setup.cells), dtype=bool)))
    device = [progress.clocks.get(cell) == DEVICE for cell in setup.ids]
    baseline, candidate = evidence.baseline.seconds(device), evidence.candidate.seconds(device)
    differences = np.array(progress.differences, dtype=np.float64).reshape(-1, len(setup.cells)).T
    steady = steadiness(baseline, candidate, differences, progress.in_turns, progress.state.worth)
    latencies = judge_latencies(setup, progress, baseline, candidate, steady)
    findings = [tuple(capped(finding, caps) for finding in found) for found in _findings(setup, progress, evidence, latencies, accepted)]
    reports, notes = [], []
    for index, cell in enumerate(setup.cells):
        report = CellReport(
            cell=cell.id,
            verdict=verdict_of(findings[index]),
            findings=findings[index],
            baseline_status=_became(evidence.baseline, index, given_up=not progress.wanted[index]),
            candidate_status=_became(evidence.candidate, index, given_up=not progress.wanted[index]),
            noise_floor=float(floor) if math.isfinite(floor := steady.noise_floor[index]) else None,
            voided=int(progress.state.voided_in_all[index]),
            replay=replay_command(setup, cell),
        )
        if expected:
            standing = standing_of(expected, cell, setup.candidate.name, report.candidate_status, today)
            if standing.standing == Standing.EXPIRED:
                notes.append(f"{cell.id}: was expected to fail until {standing.expires}: {standing.reason}")
            report = _excused(report, standing.standing, standing.reason)
        was = accepted.statuses.get(cell.id, "")
        if was and was not in Status.PASSED and report.candidate_status in Status.PASSED:
            notes.append(f"{cell.id}: passes, and {accepted.file} has {was}: nox -s accept")
        reports.append(report)
    reports += [_lost(cell, why, caps) for cell, why in setup.lost.items()]
    decision, why = decide(reports, caps[0].reason if caps else "")
    return Judged(
        decision=decision,
        why=why,
        cells=tuple(sorted(reports, key=_order)),
        placebo=placebo(differences, [block.candidate_first for block in progress.blocks]),
        notes=tuple(notes),
    )


def decide(cells: Sequence[CellReport], cap: str = "") -> tuple[Decision, str]:
    """The release's decision and a sentence that says why. What an expected failure excuses does not count, and what does not block warns."""
    counting = [cell for cell in cells if not cell.expected]
    for verdict, decision in ((Verdict.REGRESSED, Decision.REGRESSED), (Verdict.INCONCLUSIVE, Decision.INCONCLUSIVE)):
        found = [cell for cell in counting if any(finding.verdict == verdict for finding in _blocking(cell.findings))]
        if cap and decision == Decision.INCONCLUSIVE:
            return decision, cap
        if found:
            names = ", ".join(cell.cell for cell in sorted(found, key=_order)[:NAMED])
            more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
            return decision, f"{counted(len(found), 'cell')} of {len(cells)} {verdict}: {names}{more}"
    if not any(finding.metric != "status" and finding.verdict != Verdict.INCONCLUSIVE for cell in cells for finding in cell.findings):
        return Decision.INCONCLUSIVE, "nothing could be compared: no cell has a number in both images"
    return Decision.PASS, f"none of {counted(len(cells), 'cell')} regressed" + (
        f", {len(cells) - len(counting)} excused" if len(counting) < len(cells) else ""
    )


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The worst of what blocks. Where nothing does, a cell is no worse than ``equivalent`` if anything is known of it."""
    verdicts = {finding.verdict for finding in _blocking(findings)}
    if verdicts:
        return next(verdict for verdict in WORST_FIRST if verdict in verdicts)
    known = any(finding.verdict != Verdict.INCONCLUSIVE for finding in findings)
    return Verdict.EQUIVALENT if known else Verdict.INCONCLUSIVE


def _became(image: Launched, index: int, *, given_up: bool) -> str:
    """The worst status of a cell's launches; that of lost ones where there are no others, and will be none."""
    return status_of(image.counting[index]) or (status_of(image.lost[index]) if given_up else "")


def _findings(
    setup: GateSetup, progress: Progress, evidence: Evidence, latencies: Sequence[Finding], accepted: Accepted
) -> list[tuple[Finding, ...]]:
    """By cell, what leads first."""
    costs, alpha = _costs(setup, evidence), setup.procedure.alpha
    worse, better = progress.failure_p
    found: list[tuple[Finding, ...]] = []
    for index, (baseline, candidate) in enumerate(zip(evidence.baseline.counting, evidence.candidate.counting, strict=True)):
        status = judge_status(baseline, candidate, worse=float(worse[index]), better=float(better[index]), alpha=alpha)
        status = beside_accepted(status, accepted, setup.ids[index], candidate)
        time = () if setup.of_image[index] else (_without_times(latencies[index], status, setup.procedure),)
        lost = evidence.baseline.lost[index], (*candidate, *evidence.candidate.lost[index])
        dead = judge_dead(baseline, *lost, setup.procedure.repeats + 1) if progress.voids[index] > setup.procedure.repeats else None
        if dead is not None:
            found.append((dead,))
        elif time and not (baseline and candidate):
            # Why no launch counts is said there.
            found.append(time)
        elif status is not None and _is_settled(status, status_of(candidate), latencies[index].blocks):
            found.append((status,))
        else:
            others = (status, judge_fallback(baseline, candidate, alpha=alpha), *time, *costs[index])
            found.append(tuple(finding for finding in others if finding is not None))
    return found


def _is_settled(status: Finding, candidate: str, times: int) -> bool:
    """Whether what became of a cell says all that there is to say: numbers of what fails are none. times: blocks that have one."""
    broken = status.verdict == Verdict.EQUIVALENT and candidate not in Status.PASSED
    return broken or status.verdict == Verdict.REGRESSED or (status.verdict == Verdict.IMPROVED and not times)


def _without_times(latency: Finding, status: Finding | None, procedure: Procedure) -> Finding:
    """A baseline that fails keeps the candidate from having a time beside it: where that is all that is wrong, it blocks nothing."""
    harmless = status is not None and status.verdict in (Verdict.EQUIVALENT, Verdict.IMPROVED)
    if harmless and latency.verdict == Verdict.INCONCLUSIVE and latency.blocks < procedure.looks[0]:
        return dataclasses.replace(latency, blocks_release=False)
    return latency


def _costs(setup: GateSetup, evidence: Evidence) -> list[list[Finding]]:
    """Findings on all metrics but time, by cell. A metric's family are the cells that can tell it."""
    found: list[list[Finding]] = [[] for _ in setup.cells]
    for name, metric in METRICS.items():
        cells = np.flatnonzero(setup.of_image == metric.of_image).tolist()
        margins = [setup.margins[name][index] for index in cells]
        if cells:
            for index, finding in zip(cells, judge_metric(name, evidence.of(cells), margins, setup.procedure), strict=True):
                found[index] += [finding] if finding is not None else []
    return found


def _excused(report: CellReport, standing: Standing, reason: str) -> CellReport:
    """An expected failure excuses a status, and no number beside it."""
    if standing == Standing.UNEXPECTED_PASS:
        return dataclasses.replace(report, unexpected_pass=True)
    bad = [finding for finding in _blocking(report.findings) if finding.verdict in (Verdict.REGRESSED, Verdict.INCONCLUSIVE)]
    if standing == Standing.EXCUSED and bad and all(finding.metric == "status" for finding in bad):
        return dataclasses.replace(report, expected=reason)
    return report


def _lost(cell: str, why: str, caps: Sequence[Cap]) -> CellReport:
    finding = capped(judge_lost(why), caps)
    return CellReport(cell=cell, verdict=finding.verdict, findings=(finding,), baseline_status=NOT_MEASURED, candidate_status="")


def _blocking(findings: Sequence[Finding]) -> Iterator[Finding]:
    return (finding for finding in findings if finding.blocks_release)


def _order(cell: CellReport) -> tuple[bool, int, float, str]:
    """Worst first, by verdict and by how far a blocking metric is from where it was; what is excused behind all."""
    effects = [abs(math.log(finding.ratio)) for finding in _blocking(cell.findings) if finding.ratio and finding.verdict == cell.verdict]
    # What has no ratio (it crashes, or is gone) is further from it than any number.
    return bool(cell.expected), WORST_FIRST.index(cell.verdict), -max(effects, default=math.inf), cell.cell
