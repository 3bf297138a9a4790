"""``gate.md``: a GateReport for a pull request, or for the summary of a step of GitHub's. Pure.

Tables are cut, and say so, where all of them do not fit: GitHub refuses a text that is too long as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reports import format as formats
from reports.gate.outputs.escape import block, code, prose
from reports.gate.outputs.tally import Tally, findings_behind, tally
from reports.gate.report import BASELINE, PLACEBO_ALPHA, Bisection, CellReport, Decision, Finding, GateReport, Outcome, Side, Symptom
from reports.gate.wording import counted, effect, evidence, interval, joined, level, metric, sentence, statuses, suspects, value

COMMENT_BYTES = 65_000
"""Of a comment in a pull request: GitHub takes 65,536 characters."""
STEP_SUMMARY_BYTES = 1_000_000
"""Of a step's summary: GitHub takes 1 MiB from all that a step writes."""
LEAST_BYTES = 40_000
"""For what is never left out, with all names as long as they are shown."""

NEW_PARAGRAPH = "\n\n"
BANNERS = {
    Decision.PASS: "\N{WHITE HEAVY CHECK MARK}",
    Decision.REGRESSED: "\N{CROSS MARK}",
    Decision.INCONCLUSIVE: "\N{BLACK QUESTION MARK ORNAMENT}",
}


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what is under it: lines that belong together, of which the last may be left out."""

    title: str
    columns: Sequence[str] = ()
    """Of a table; without, the lines stand as they are."""
    lines: Sequence[str]
    what: str
    """What a line is, as in "12 more cells left out here"."""
    folded: bool = False

    @property
    def head(self) -> str:
        title = f"<details><summary>{self.title}</summary>\n\n" if self.folded else f"### {self.title}\n\n"
        return title + (f"{_row(self.columns)}{_row(['---'] * len(self.columns))}" if self.columns else "")

    @property
    def foot(self) -> str:
        return "\n</details>\n\n" if self.folded else "\n"

    def left_out(self, count: int) -> str:
        return f"\n{counted(count, f'more {self.what}')} left out here: gate.json has all.\n" if count else ""


def markdown(report: GateReport, limit_bytes: int = COMMENT_BYTES) -> str:
    """The text, which ends in a line break. limit_bytes: of its UTF-8, ``LEAST_BYTES`` at least."""
    found = tally(report)
    sections = [section for section in _sections(report, found) if section.lines]
    head = _head(report, found)
    # What every section takes whatever is left out of it.
    reserved = sum(_size(section.head + section.left_out(len(section.lines)) + section.foot) for section in sections)
    room = limit_bytes - _size(head) - reserved
    texts = [head]
    for index, section in enumerate(sections):
        # No table takes more than half of what is left, so that none keeps those behind it out; the last takes all.
        share = room if index == len(sections) - 1 else room // 2
        kept = _fitting(section.lines, share)
        room -= sum(map(_size, kept))
        texts.append(f"{section.head}{''.join(kept)}{section.left_out(len(section.lines) - len(kept))}{section.foot}")
    return "".join(texts)


def _head(report: GateReport, found: Tally) -> str:
    sides = (
        ("", prose(report.against.capitalize()), "Candidate"),
        ("---", "---", "---"),
        ("image", code(report.baseline.label), code(report.candidate.label)),
        *(row for row in _sides(report.baseline, report.candidate) if row[1] or row[2]),
    )
    cost = (counted(report.blocks, "block"), counted(report.launches, "launch", "launches"), formats.span(report.seconds))
    facts = joined((*cost, f"seed {report.seed}", prose(report.machine, 500)))
    parts = (
        f"## {BANNERS[report.decision]} Gate: {report.decision}{_against(report)}",
        prose(report.why, 1000),
        f"**{found.counts}**",
        f"No verdict is better than inconclusive: {prose(report.capped, 1000)}" if report.capped else "",
        "".join(map(_row, sides)).strip(),
        f"{facts}. Run: {code(report.run)}" if report.run else facts,
        _placebo(report),
    )
    return f"{joined(parts, NEW_PARAGRAPH)}{NEW_PARAGRAPH}"


def _against(report: GateReport) -> str:
    return "" if report.against == BASELINE else f" (against the {prose(report.against)})"


def _sides(baseline: Side, candidate: Side) -> Iterator[tuple[str, str, str]]:
    yield "digest", code(baseline.digest, 100), code(candidate.digest, 100)
    yield "Python", prose(baseline.python), prose(candidate.python)
    yield "size", formats.size(baseline.size_bytes), formats.size(candidate.size_bytes)
    yield "measured in", code(baseline.source), code(candidate.source)


def _placebo(report: GateReport) -> str:
    placebo = report.placebo
    if placebo is None:
        return ""
    bounds = interval(*(None if bound is None else 1 + bound for bound in (placebo.low, placebo.high)))
    found = effect(1 + placebo.effect) or "not known"
    shown = f" ({level(PLACEBO_ALPHA)} interval {bounds})" if bounds else ""
    return f"Placebo (second launches of the blocks against the first; 0 is right): {found}{shown}, {counted(placebo.differences, 'difference')}."


def _sections(report: GateReport, found: Tally) -> Iterator[Section]:
    """In the order of their weight: those behind get less of the room."""
    alpha = report.procedure.alpha
    names = ("Cell", "Metric", "Baseline", "Candidate", "Effect", f"{level(alpha)} interval", "Why")
    lines = [line for cell in found.regressed for line in _findings(cell, alpha)]
    yield Section(title=f"Regressed: {counted(len(found.regressed), 'cell')}", columns=names, lines=lines, what="line")
    yield from _bisection(report.bisection, report) if report.bisection else ()
    replays = [f"{code(cell.cell)}\n\n{block(cell.replay)}\n\n" for cell in found.regressed if cell.replay]
    yield Section(title="Measure a regressed cell again, alone", lines=replays, what="command", folded=True)
    lines = [line for cell in found.inconclusive for line in _findings(cell, alpha)]
    yield Section(title=f"Inconclusive: {counted(len(found.inconclusive), 'cell')}", columns=names, lines=lines, what="line")
    changes = [_row([code(change.what), prose(change.baseline), prose(change.candidate)]) for change in report.changes]
    yield Section(
        title=f"Differences of the images: {len(changes)}", columns=("What", "Baseline", "Candidate"), lines=changes, what="difference"
    )
    lost = [_row([code(cell)]) for cell in report.lost_cells]
    yield Section(title=f"Lost: {counted(len(lost), 'cell')}", columns=("Cell",), lines=lost, what="cell")
    warnings = [_finding(cell, finding, alpha) for cell, finding in found.warnings]
    yield Section(title=f"Warnings (they do not fail the release): {len(warnings)}", columns=names, lines=warnings, what="warning")
    lines = [line for cell in found.improved for line in _findings(cell, alpha)]
    yield Section(title=f"Improved: {counted(len(found.improved), 'cell')}", columns=names, lines=lines, what="line")
    yield Section(title="Notes", lines=_items(prose(note, 1000) for note in report.notes), what="note")
    yield Section(title="Passing although expected to fail", lines=_items(code(cell.cell) for cell in found.unexpected_passes), what="cell")
    yield Section(
        title="Excused by expected failures",
        columns=("Cell", "Became", "Reason"),
        lines=[_row([code(cell.cell), prose(statuses(cell)), prose(cell.expected)]) for cell in found.excused],
        what="cell",
    )
    yield Section(title="New cells (nothing to compare them with)", lines=_items(map(code, report.new_cells)), what="cell", folded=True)
    voids = [_row([str(void.block), prose(void.image), code(void.cell), prose(void.reason)]) for void in report.voided]
    yield Section(
        title=f"Voided before anyone looked at their numbers: {len(voids)}",
        columns=("Block", "Image", "Cell", "Reason"),
        lines=voids,
        what="void",
        folded=True,
    )


def _bisection(bisection: Bisection, report: GateReport) -> Iterator[Section]:
    culprits = [
        _row([prose(suspects(culprit.packages, report.changes), 1000), joined(map(_symptom, culprit.explains))])
        for culprit in bisection.culprits
    ]
    yield Section(title="Which package did it", columns=("Package", "Explains"), lines=culprits, what="cause")
    images = [
        _row(
            [
                prose(joined(image.packages), 1000),
                joined(f"{_symptom(outcome)}: {outcome.trial}" for outcome in image.outcomes),
                prose(image.reason) or code(image.run),
            ]
        )
        for image in bisection.images
    ]
    yield Section(
        title=f"Images in between: {len(images)}",
        columns=("As in the candidate", "Found", "Run"),
        lines=images,
        what="image",
        folded=True,
    )


def _symptom(symptom: Symptom | Outcome) -> str:
    return f"{code(symptom.cell)} {prose(symptom.metric.replace('_', ' '))}"


def _findings(cell: CellReport, alpha: float) -> Iterator[str]:
    """A line per finding that gives the cell its verdict; one that names its statuses where there is none."""
    behind = findings_behind(cell)
    for finding in behind:
        yield _finding(cell, finding, alpha)
    if not behind:
        yield _row([code(cell.cell), "", "", "", "", "", prose(statuses(cell))])


def _finding(cell: CellReport, finding: Finding, alpha: float) -> str:
    ratio = "" if finding.ratio is None else f"{formats.rounded(finding.ratio, 4)}x"
    return _row(
        [
            code(cell.cell),
            prose(metric(finding)),
            value(finding.metric, finding.baseline),
            value(finding.metric, finding.candidate),
            f"{effect(finding.ratio)} ({ratio})" if effect(finding.ratio) else "",
            interval(finding.low, finding.high),
            prose(_why(finding, alpha), 500),
        ]
    )


def _why(finding: Finding, alpha: float) -> str:
    """What the columns do not say: evidence and reason, which says what it would take where there is no answer."""
    reason = finding.reason.removeprefix(sentence(finding, alpha)).removesuffix(f": {finding.verdict}").lstrip(" :;,")
    return joined((evidence(finding), reason), "; ")


def _items(texts: Iterable[str]) -> list[str]:
    return [f"- {text}\n" for text in texts]


def _row(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |\n"


def _fitting(lines: Sequence[str], room: int) -> Sequence[str]:
    """As many as fit, from the first."""
    for index, line in enumerate(lines):
        room -= _size(line)
        if room < 0:
            return lines[:index]
    return lines


def _size(text: str) -> int:
    return len(text.encode())
