"""Which cells and findings the outputs show, and how many there are: the same in all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports.gate.procedure import Verdict
from reports.gate.report import CellReport, Finding, GateReport
from reports.gate.wording import counted


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Cells by verdict, in the report's order. A cell that an expected failure excuses is in ``excused`` and nowhere else."""

    regressed: tuple[CellReport, ...]
    inconclusive: tuple[CellReport, ...]
    improved: tuple[CellReport, ...]
    equivalent: tuple[CellReport, ...]
    excused: tuple[CellReport, ...]
    unexpected_passes: tuple[CellReport, ...]
    """They are among the others too."""
    warnings: tuple[tuple[CellReport, Finding], ...]
    """Regressions that do not fail the release."""

    @property
    def counts(self) -> str:
        """As "24 cells: 2 regressed, 1 inconclusive, 21 equivalent"."""
        parts = {
            "regressed": self.regressed,
            "inconclusive": self.inconclusive,
            "improved": self.improved,
            "equivalent": self.equivalent,
            "excused": self.excused,
        }
        size = sum(map(len, parts.values()))
        found = ", ".join(f"{len(cells)} {name}" for name, cells in parts.items() if cells)
        return f"{counted(size, 'cell')}: {found}" if found else "no cells"


def tally(report: GateReport) -> Tally:
    judged = [cell for cell in report.cells if not cell.expected]
    return Tally(
        regressed=_with(judged, Verdict.REGRESSED),
        inconclusive=_with(judged, Verdict.INCONCLUSIVE),
        improved=_with(judged, Verdict.IMPROVED),
        equivalent=_with(judged, Verdict.EQUIVALENT),
        excused=tuple(cell for cell in report.cells if cell.expected),
        unexpected_passes=tuple(cell for cell in report.cells if cell.unexpected_pass),
        warnings=tuple((cell, finding) for cell in report.cells for finding in _warnings(cell)),
    )


def findings_behind(cell: CellReport) -> tuple[Finding, ...]:
    """Those that give the cell its verdict: of what blocks, else of all; none where none says the same."""
    same = [finding for finding in cell.findings if finding.verdict == cell.verdict]
    return tuple(finding for finding in same if finding.blocks_release) or tuple(same)


def leading(cell: CellReport) -> Finding | None:
    """The first finding that gives the cell its verdict; None where there is none."""
    return next(iter(findings_behind(cell)), None)


def _with(cells: list[CellReport], verdict: Verdict) -> tuple[CellReport, ...]:
    return tuple(cell for cell in cells if cell.verdict == verdict)


def _warnings(cell: CellReport) -> Iterator[Finding]:
    return (finding for finding in cell.findings if finding.verdict == Verdict.REGRESSED and not finding.blocks_release)
