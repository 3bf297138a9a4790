"""What this host lets a gate see: an image against itself. Pure.

Whatever a gate of an image against itself calls worse or better is a false alarm, and how its launches differ is the noise of the host.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reports import format as formats
from reports.gate.outputs.tally import leading
from reports.gate.power import smallest_effect
from reports.gate.procedure import Procedure, Verdict
from reports.gate.report import CellReport, GateReport
from reports.gate.wording import counted
from reports.statistics import POWER, share_interval

ALARMS = (Verdict.REGRESSED, Verdict.IMPROVED)


def calibration(report: GateReport) -> str:
    """A table of cells, noisiest first, and the false alarms with their interval; for a terminal."""
    cells = sorted(report.cells, key=lambda cell: -(cell.noise_floor or 0.0))
    rows = [_row(cell, effect) for cell, effect in zip(cells, effects_found(cells, report.procedure), strict=True)]
    head = ("cell", "noise", f"found {POWER:.0%} of the time", "verdict", "voided")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]
    return "\n".join([*lines, "", *_alarms(report)])


def _row(cell: CellReport, effect: float | None) -> tuple[str, ...]:
    return (
        cell.cell,
        formats.percent(cell.noise_floor),
        formats.percent(effect),
        f"{cell.verdict}: {_reason(cell)}" if cell.verdict == Verdict.INCONCLUSIVE else cell.verdict,
        str(cell.voided or ""),
    )


def effects_found(cells: Sequence[CellReport], procedure: Procedure) -> list[float | None]:
    """The slowdown (as 0.03) of each cell that a gate here finds with a probability of ``POWER``; None where it is not known, or none is."""
    known: dict[int, tuple[float | None, ...]] = {}
    found = np.full(len(cells), np.inf)
    for index, cell in enumerate(cells):
        latency = next((each for each in cell.findings if each.metric == "latency"), None)
        if latency is not None and None not in (margins := (cell.noise_floor, latency.delta, latency.tolerable)):
            known[index] = margins
    places = list(known)
    if places:
        noise, delta, tolerable = np.array([known[index] for index in places], dtype=np.float64).T
        found[places] = smallest_effect(noise, delta, tolerable, procedure)
    return [float(effect) if math.isfinite(effect) else None for effect in found]


def _reason(cell: CellReport) -> str:
    found = leading(cell)
    return "" if found is None else found.reason


def _alarms(report: GateReport) -> Sequence[str]:
    alarms = [cell for cell in report.cells if cell.verdict in ALARMS]
    judged = [cell for cell in report.cells if cell.verdict != Verdict.INCONCLUSIVE]
    low, high = share_interval(len(alarms), len(judged))
    decided = f"{counted(len(judged), 'cell')} that {'was' if len(judged) == 1 else 'were'}"
    lines = [
        f"false alarms: {len(alarms)} of {decided} decided ({formats.percent(low)} to {formats.percent(high)}, 95 % interval); "
        f"{len(report.cells) - len(judged)} of {len(report.cells)} inconclusive"
    ]
    lines += [f"  {cell.cell}: {_reason(cell)}" for cell in alarms]
    if report.placebo is not None and report.placebo.low is not None and report.placebo.high is not None:
        covers = "0 is within" if report.placebo.low <= 0 <= report.placebo.high else "0 is not within: launches depend on their order here"
        low, high = report.placebo.low, report.placebo.high
        lines.append(
            f"placebo, second launches against first: {100 * report.placebo.effect:+.2f} % ({100 * low:+.2f} to {100 * high:+.2f}): {covers}"
        )
    return lines
