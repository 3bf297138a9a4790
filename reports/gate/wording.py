"""What the gate found, in words: "+4.1 % (90 % interval +3.2 to +5.0), 15 fresh paired launches, Holm p = 0.004: regressed". Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from reports import format as formats
from reports.gate.procedure import Verdict
from reports.gate.report import BASELINE, CellReport, Change, Finding, GateReport

NO_MORE = "measured no more: the time was up"
TIMES_FROM = 10.0
"""Ratios from here on are told as "12 times": a percentage would be longer, and say less."""
COUNT_DIGITS = 6
"""Of a count; beyond them it is whole."""
ABSENT_STATUS = "not in that image"
SPEAKS_FOR_ITSELF = ("latency", "status")
"""Metrics that a statement does not name."""

UNITS: Mapping[str, Callable[[float | None], str]] = {
    "latency": formats.duration,
    "compile_time": formats.duration,
    "image_time": formats.duration,
    "peak_memory": formats.size,
    "image_size": formats.size,
    "error": formats.error,
}
"""By metric; others are counts."""


def plain(text: str, limit: int = 300) -> str:
    """Text of anybody's as one line of characters that can be shown: without control sequences, line breaks, changes of direction."""
    flat = text if text.isprintable() else "".join(character if character.isprintable() else " " for character in text)
    flat = flat.strip()
    return flat if len(flat) <= limit else f"{flat[: limit - 3]}..."


def counted(count: int, one: str, many: str = "") -> str:
    """As "1 cell", "2 cells", "0 launches"."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def joined(parts: Iterable[str], separator: str = ", ") -> str:
    """Those that are not empty."""
    return separator.join(filter(None, parts))


def metric(finding: Finding) -> str:
    """As "peak memory", or "latency (device time)"."""
    clock = f" ({finding.clock} time)" if finding.clock else ""
    return plain(f"{finding.metric.replace('_', ' ')}{clock}")


def value(name: str, number: float | None) -> str:
    """A metric's value with its unit; empty where it is unknown."""
    if number is None or not math.isfinite(number):
        return formats.ABSENT
    with_unit = UNITS.get(name)
    return with_unit(number) if with_unit else formats.rounded(number, COUNT_DIGITS)


def effect(ratio: float | None) -> str:
    """A ratio's distance from 1: "+4.1 %", or "12 times"; empty where it is unknown."""
    if ratio is None or not math.isfinite(ratio):
        return ""
    return f"{formats.rounded(ratio)} times" if ratio >= TIMES_FROM else f"{100 * (ratio - 1):+z.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """As "+3.2 to +5.0" (in percent), "from +3.2", "up to +5.0"; empty where neither bound is known. Beside times, percent are named."""
    bounds = effect(low), effect(high)
    lower, upper = bounds if any(bound.endswith(" times") for bound in bounds) else (bound.removesuffix(" %") for bound in bounds)
    if lower and upper:
        return f"{lower} to {upper}"
    return f"from {lower}" if lower else f"up to {upper}" if upper else ""


def level(alpha: float) -> str:
    """Of the two-sided interval whose bounds are one-sided at ``alpha``: "90 %" of 0.05."""
    return f"{100 * (1 - 2 * alpha):.3g} %"


def evidence(finding: Finding) -> str:
    """As "15 fresh paired launches, Holm p = 0.004"; a latency's blocks with a p-value are those of the confirmation."""
    kind = "fresh paired launch" if finding.metric == "latency" and finding.p is not None else "paired launch"
    launches = counted(finding.blocks, kind, f"{kind}es") if finding.blocks else ""
    if finding.p is None or not math.isfinite(finding.p):
        return launches
    return joined((launches, "Holm p < 0.001" if finding.p < 0.001 else f"Holm p = {finding.p:.2g}"))


def sentence(finding: Finding, alpha: float) -> str:
    """A finding by its numbers, without its verdict: effect, interval, evidence. Empty without a ratio."""
    size = effect(finding.ratio)
    if not size:
        return ""
    bounds = interval(finding.low, finding.high)
    about = f"{size} ({level(alpha)} interval {bounds})" if bounds else size
    return joined((about, evidence(finding)))


def statement(cell: CellReport, finding: Finding | None, alpha: float, limit: int = 300) -> str:
    """Why a cell has its verdict, the verdict last. finding: the one it goes by; None where it has none.

    What was decided is told by its numbers; what was not, by its reason.
    """
    if finding is None:
        verdict, text = cell.verdict, statuses(cell)
    else:
        verdict = finding.verdict
        numbers = sentence(finding, alpha)
        text = (finding.reason or numbers) if verdict == Verdict.INCONCLUSIVE else (numbers or finding.reason)
        text = text if finding.metric in SPEAKS_FOR_ITSELF else f"{metric(finding)} {text}"
    ending = f": {verdict}"
    return f"{plain(text.removesuffix(ending), limit - len(ending))}{ending}"


def held_against(report: GateReport) -> str:
    """The image that the candidate is held against, named as the anchor where it is that."""
    return plain(report.baseline.label) if report.against == BASELINE else plain(f"the {report.against} {report.baseline.label}")


def statuses(cell: CellReport) -> str:
    """What became of it in both images."""
    return f"baseline {plain(cell.baseline_status) or ABSENT_STATUS}, candidate {plain(cell.candidate_status) or ABSENT_STATUS}"


def suspects(packages: Sequence[str], changes: Sequence[Change]) -> str:
    """Packages, one of which did it, with their versions as far as they are known: "numpy (2.4 to 2.5)", "one of numpy, torch"."""
    versions = {change.what: f"({change.baseline or 'absent'} to {change.candidate or 'absent'})" for change in changes}
    named = [plain(joined((name, versions.get(name, "")), " ")) for name in packages]
    return named[0] if len(named) == 1 else f"one of {', '.join(named)}"
