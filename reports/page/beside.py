"""Two images that no gate has judged, beside each other: ratios, with intervals where there are launches enough, and never a verdict. Pure."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Status
from reports.gate import wording
from reports.gate.observe import DEVICE, HOST
from reports.gate.paired import by_count, deviations, medians, paired
from reports.gate.procedure import Procedure, Verdict
from reports.gate.report import CellReport, Decision, Finding
from reports.page.columns import number
from reports.page.entries import FEWEST_LAUNCHES
from reports.page.facts import difference_of
from reports.page.layout import Layout
from reports.page.model import Compared, Comparison, Entries, Floats, ImageFacts, Indices, Machine
from reports.page.totals import geomean, is_checked
from reports.statistics import Booleans, pairwise_differences, shift_bound

ALPHA = Procedure().alpha
TWO_RUNS = "two runs: what the host did between them is in the ratios; next: nox -s gate"
UNJUDGED = "what looks slower was not measured again, and of many cells some always look slower; next: nox -s gate"
NO_INTERVAL = "ratios of their times have no interval"
FAILS, PASSES, NEITHER, SLOWER, FASTER = "fails", "passes", "neither", "slower", "faster"
LEAN_ORDER = (FAILS, SLOWER, "", NEITHER, FASTER, PASSES)


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Seconds of launches whose rows count; shape (entries, turns), NaN where there is none."""

    host: Floats
    device: Floats
    by_device: Booleans
    """Whether all such launches of an entry have device time; shape (entries,)."""


@dataclass(frozen=True, kw_only=True)
class _Ratios:
    """Arrays are (cells,): logarithms of candidate over baseline, NaN where there is none."""

    estimate: Floats
    low: Floats
    high: Floats
    launches: Indices
    """Pairs of launches, or launches of the image that has fewer."""


def beside(
    baseline: int,
    candidate: int,
    layout: Layout,
    entries: Entries,
    timed: Timed,
    images: Sequence[ImageFacts],
    machines: Sequence[Machine],
    harnesses: Sequence[str],
    replays: Sequence[str],
) -> Comparison:
    """baseline, candidate: places of images."""
    first, second = _entries_of(layout, baseline), _entries_of(layout, candidate)
    both = [(first[key], second[key]) for key in first if key in second]
    before, after = (np.array([pair[side] for pair in both], dtype=np.int64) for side in (0, 1))
    in_turns = images[baseline].source == images[candidate].source
    why_not = "" if in_turns else _incomparable(images[baseline], images[candidate], machines, harnesses)
    by_device = timed.by_device[before] & timed.by_device[after]
    seconds = [np.where(by_device[:, None], timed.device[side], timed.host[side]) for side in (before, after)]
    ratios = _paired(*seconds) if in_turns else _unpaired(*seconds)
    statuses = [[entries.status.words[code] for code in entries.status.codes[side].tolist()] for side in (before, after)]
    shown, floors = [medians(side) for side in seconds], deviations(np.log(seconds[0]))
    cells = []
    for place, (one, other) in enumerate(both):
        was, now = statuses[0][place], statuses[1][place]
        finding = _finding(place, ratios, bool(by_device[place]), [side[place] for side in shown], in_turns=in_turns, why_not=why_not)
        lean = _status_lean(was, now) or _time_lean(finding)
        report = CellReport(
            cell=layout.cells[one],
            verdict=Verdict.INCONCLUSIVE,
            findings=(_status_finding(was, now, _reason(entries, other)),)
            if was not in Status.PASSED or now not in Status.PASSED
            else (finding,),
            baseline_status=was,
            candidate_status=now,
            noise_floor=number(floors[place]),
            replay=_both_images(replays[one], images[baseline].label, images[candidate].label),
        )
        cells.append(Compared(report=report, line=int(layout.entry_line[one]), baseline=one, candidate=other, lean=lean))
    found = [cell.report.findings[0].ratio for cell in cells if is_checked(cell.report)]
    known = [ratio for ratio in found if ratio is not None]
    return Comparison(
        baseline=images[baseline].name,
        candidate=images[candidate].name,
        baseline_image=baseline,
        candidate_image=candidate,
        by_gate=False,
        decision=Decision.INCONCLUSIVE.value,
        why=_why(cells, may_have_intervals=not why_not),
        capped=why_not or (UNJUDGED if in_turns else TWO_RUNS),
        level=1 - 2 * ALPHA,
        cells=tuple(sorted(cells, key=_order)),
        lost=tuple(layout.cells[first[key]] for key in first if key not in second),
        new=tuple(layout.cells[second[key]] for key in second if key not in first),
        difference=difference_of(images, harnesses, baseline, candidate),
        geomean=geomean(known),
        compared=len(known),
        facts=(("launches", "in turns, in one run" if in_turns else "of two runs, not in turns"), ("intervals", wording.level(ALPHA))),
        notes=(),
    )


def _entries_of(layout: Layout, image: int) -> dict[tuple[int, str, str, str], int]:
    """Entries of an image by line, backend, options and experiment: what two experiments measured does not compare."""
    mine = {
        place: (column.backend, column.options, column.experiment) for place, column in enumerate(layout.columns) if column.image == image
    }
    pairs = zip(layout.entry_line.tolist(), layout.entry_column.tolist(), strict=True)
    return {(line, *mine[column]): entry for entry, (line, column) in enumerate(pairs) if column in mine}


def _incomparable(one: ImageFacts, other: ImageFacts, machines: Sequence[Machine], harnesses: Sequence[str]) -> str:
    """Why the times of two runs have no interval; empty where they may."""
    if one.machine is None or other.machine is None:
        return f"nothing says that both were measured on one machine: {NO_INTERVAL}"
    if one.machine != other.machine:
        return f"measured on two machines ({machines[one.machine].text}; {machines[other.machine].text}): {NO_INTERVAL}"
    if harnesses[one.source] != harnesses[other.source]:
        return f"measured by two harnesses: {NO_INTERVAL}"
    return ""


def _paired(before: Floats, after: Floats) -> _Ratios:
    """Launches of one run, turn by turn: what the host did to both cancels."""
    with np.errstate(invalid="ignore"):
        found = paired(np.log(after) - np.log(before), Procedure())
    return _Ratios(estimate=found.estimate, low=found.low, high=found.high, launches=found.blocks)


def _unpaired(before: Floats, after: Floats) -> _Ratios:
    cells = len(before)
    estimate, low, high = (np.full(cells, np.nan) for _ in range(3))
    launches = np.zeros(cells, dtype=np.int64)
    for group, first in by_count(np.log(before)):
        for part, second in by_count(np.log(after[group])):
            mine, values = group[part], first[part]
            estimate[mine] = np.median(pairwise_differences(values, second), axis=-1)
            low[mine], high[mine] = (shift_bound(values, second, ALPHA, side) for side in ("lower", "upper"))
            launches[mine] = min(values.shape[-1], second.shape[-1])
    return _Ratios(estimate=estimate, low=low, high=high, launches=launches)


def _finding(place: int, ratios: _Ratios, by_device: bool, shown: Sequence[float], *, in_turns: bool, why_not: str) -> Finding:
    ratio = _exp(ratios.estimate[place])
    bounds = [None if why_not else _exp(bound[place]) for bound in (ratios.low, ratios.high)]
    launches = int(ratios.launches[place])
    return Finding(
        metric="latency",
        verdict=Verdict.INCONCLUSIVE,
        blocks_release=True,
        reason=_sentence(ratio, bounds, launches, in_turns=in_turns, why_not=why_not),
        clock=DEVICE if by_device else HOST,
        ratio=ratio,
        low=bounds[0],
        high=bounds[1],
        blocks=launches,
        baseline=number(shown[0]),
        candidate=number(shown[1]),
    )


def _sentence(ratio: float | None, bounds: Sequence[float | None], launches: int, *, in_turns: bool, why_not: str) -> str:
    """Without the numbers: they are beside it, and thousands of cells have few such sentences."""
    if ratio is None:
        return "no launch has times of both images: inconclusive"
    kind = "paired launch" if in_turns else "launch"
    counted = wording.counted(launches, kind, f"{kind}es") + ("" if in_turns else " of each, in two runs")
    if why_not:
        return f"{why_not}: inconclusive"
    if bounds[0] is None and bounds[1] is None:
        return f"{counted}: too few for an interval, which takes {FEWEST_LAUNCHES}: inconclusive"
    return f"{counted}; not judged by a gate: inconclusive"


def _status_finding(was: str, now: str, reason: str) -> Finding:
    parts = [f"baseline {was}, candidate {now}", reason if now not in Status.PASSED else ""]
    return Finding(metric="status", verdict=Verdict.INCONCLUSIVE, blocks_release=True, reason=wording.joined(parts, ": "))


def _reason(entries: Entries, entry: int) -> str:
    return entries.reason.words[int(entries.reason.codes[entry])]


def _status_lean(was: str, now: str) -> str:
    if was in Status.PASSED:
        return "" if now in Status.PASSED else FAILS
    return PASSES if now in Status.PASSED else NEITHER


def _time_lean(finding: Finding) -> str:
    if finding.low is not None and finding.low > 1:
        return SLOWER
    return FASTER if finding.high is not None and finding.high < 1 else ""


def _order(cell: Compared) -> tuple[int, float, str]:
    ratio = cell.report.findings[0].ratio
    return LEAN_ORDER.index(cell.lean), -(ratio if ratio is not None else 0.0), cell.report.cell


def _why(cells: Sequence[Compared], *, may_have_intervals: bool) -> str:
    leans = [cell.lean for cell in cells]
    words = ((SLOWER, "looks slower", "look slower"), (FASTER, "looks faster", "look faster"), (FAILS, "fails", "fail"))
    parts = [f"{leans.count(lean)} {one if leans.count(lean) == 1 else many}" for lean, one, many in words if lean in leans]
    both = f"{wording.counted(len(cells), 'cell')} in both images"
    if not parts and not may_have_intervals:
        # Why that is so, the next sentence says.
        return both
    findings = [finding for cell in cells for finding in cell.report.findings]
    told = any(finding.low is not None or finding.high is not None for finding in findings)
    none = "none differs beyond its interval" if told else "no ratio has an interval"
    return f"{wording.joined(parts) or none}, of {both}"


def _both_images(replay: str, one: str, other: str) -> str:
    before = f"--image {shlex.quote(one)}"
    return replay.replace(before, f"{before} --image {shlex.quote(other)}", 1) if one != other else replay


def _exp(logarithm: float) -> float | None:
    return math.exp(logarithm) if math.isfinite(logarithm) else None
