"""The summary that a gate ends with: at most ten lines of plain text. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Set

from reports import format as formats
from reports.gate.outputs.tally import Tally, leading, tally
from reports.gate.report import CellReport, Decision, GateReport
from reports.gate.wording import counted, held_against, plain, statement, suspects

MOST_BLOCKS = 100
"""That anybody would wait for."""
LINES = 10
LINE = 140
"""Characters of a line; a command that is to be copied is never cut."""
STATEMENT = 96
"""Characters of what is said of a cell; its name has the rest of the line."""
CULPRITS = 2
"""Lines of what ``--bisect`` found."""


def summary(report: GateReport, details: str) -> str:
    """Decision and why, counts, the worst cells, what to do next. details: the file that says more."""
    found = tally(report)
    head = [
        plain(f"{report.decision.upper()}: {report.why}", LINE),
        plain(f"{report.candidate.label} beside {held_against(report)}: {found.counts}", LINE),
        plain(f"{counted(report.blocks, 'block')}, {counted(report.launches, 'launch', 'launches')}, {_beside(report, found)}", LINE),
    ]
    tail = [*_culprits(report), *_next(report, found), f"details: {plain(details)}"]
    return "\n".join([*head, *_worst(report, found, LINES - len(head) - len(tail)), *tail])


def _beside(report: GateReport, found: Tally) -> str:
    """What is behind the counts, as far as there is some."""
    parts = {
        formats.span(report.seconds): math.isfinite(report.seconds),
        f"{len(report.voided)} voided": report.voided,
        counted(len(found.warnings), "warning"): found.warnings,
        f"{counted(len(found.unexpected_passes), 'cell')} that should fail and pass": found.unexpected_passes,
        counted(len(report.new_cells), "new cell"): report.new_cells,
        counted(len(report.notes), "note"): report.notes,
    }
    return ", ".join(text for text, there in parts.items() if there)


def _worst(report: GateReport, found: Tally, room: int) -> list[str]:
    """A line per cell that is not as it was, regressions first; where they are more than lines, the last one counts the rest."""
    cells = [*found.regressed, *found.inconclusive, *found.improved]
    shown = cells if len(cells) <= room else cells[: room - 1]
    rest = Counter(str(cell.verdict) for cell in cells[len(shown) :])
    more = ", ".join(f"{count} more {verdict}" for verdict, count in rest.items())
    common = _common_words(report)
    return [*(_line(cell, report, common) for cell in shown), *([f"and {more}"] if more else [])]


def _line(cell: CellReport, report: GateReport, common: Set[str]) -> str:
    why = statement(cell, leading(cell), report.procedure.alpha, STATEMENT)
    name = " ".join(word for word in cell.cell.split(" ") if word not in common)
    return f"{plain(name, LINE - len(why) - 2)}: {why}"


def _culprits(report: GateReport) -> list[str]:
    """What did it, the one that explains most first."""
    culprits = report.bisection.culprits if report.bisection else ()
    shown = []
    for culprit in culprits[:CULPRITS]:
        about = ", ".join(f"{symptom.cell.partition(' ')[0]} ({symptom.metric})" for symptom in culprit.explains)
        shown.append(plain(f"{plain(suspects(culprit.packages, report.changes), LINE // 2)} did it: {about}", LINE))
    if len(culprits) > CULPRITS:
        shown[-1] = f"and {len(culprits) - CULPRITS + 1} more causes"
    return shown


def _common_words(report: GateReport) -> Set[str]:
    """Words that the names of all cells have, as "cpu inference float32 small": they tell nothing apart."""
    names = [set(cell.cell.split(" ")) for cell in report.cells]
    return set.intersection(*names) if len(names) > 1 else set()


def _next(report: GateReport, found: Tally) -> list[str]:
    """One line, or none."""
    if report.decision == Decision.REGRESSED:
        replays = [cell.replay for cell in found.regressed if cell.replay]
        # A command is shown as a whole, and on the line as it is typed.
        return [f"next: {plain(replays[0], 4 * LINE)}"] if replays else []
    return [] if report.decision == Decision.PASS else [f"next: {_what_decides(report, found)}"]


def _what_decides(report: GateReport, found: Tally) -> str:
    """What to do where there is no answer: what keeps all cells from one comes before what keeps some."""
    leads = [finding for cell in found.inconclusive if (finding := leading(cell))]
    needed = max((finding.blocks_needed or 0 for finding in leads), default=0)
    answers = {
        f"measure both images now, in one gate: {plain(report.capped, LINE)}": report.capped,
        f"--resume {plain(report.run, LINE)}, with more --max-duration": report.out_of_time,
        f"see {plain(report.run, LINE)}/logs: why launches end before they measure anything (memory limits? the engine?)": report.unmeasured,
        "measure both images now: what is stored has no more launches than these": report.baseline.source and report.candidate.source,
        "mend what fails now and then, or excuse it in expected_failures.toml; more blocks tell more ([gate] looks)": any(
            finding.metric == "status" for finding in leads
        ),
        f"a quieter host, or up to {needed} blocks ([gate] looks in matrix.toml) to decide what is inconclusive": 0 < needed <= MOST_BLOCKS,
    }
    return next((text for text, holds in answers.items() if holds), "mend what the reasons name, and run the gate again")
