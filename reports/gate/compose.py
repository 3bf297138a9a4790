"""The report of a comparison, from what was measured and what is judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.gate.conditions import Cap, machines
from reports.gate.differences import differences, side_of
from reports.gate.judge import Judged
from reports.gate.progress import Progress
from reports.gate.report import GateReport, Side
from reports.gate.setup import GateSetup
from reports.gate.stored import CANDIDATE, Stored
from reports.gate.wording import counted


def compose(
    setup: GateSetup,
    progress: Progress,
    judged: Judged,
    manifest: Mapping[str, Any],
    run: str,
    *,
    seconds: float,
    out_of_time: bool = False,
    stored: Mapping[str, Stored] | None = None,
    caps: Sequence[Cap] = (),
) -> GateReport:
    """manifest: of the run; run: its directory; stored: sides that were measured before."""

    def side(name: str) -> Side:
        if stored and name in stored:
            return stored[name].side
        return side_of(manifest, setup.sides[name].label)

    baseline, candidate = side(setup.against), side(CANDIDATE)
    notes = judged.notes
    if out_of_time:
        notes += (f"the time was up with {counted(int(progress.wanted.sum()), 'cell')} undecided: the run can be resumed with more",)
    of_stored = (line for each in (stored or {}).values() for line in each.conditions.machines)
    return GateReport(
        decision=judged.decision,
        why=judged.why,
        baseline=baseline,
        candidate=candidate,
        cells=judged.cells,
        changes=differences(baseline, candidate),
        voided=progress.voided,
        blocks=len(progress.blocks),
        launches=len(setup.live) * len(progress.blocks),
        seconds=seconds,
        seed=setup.seed,
        procedure=setup.procedure,
        machine="; ".join(dict.fromkeys((*machines(manifest), *of_stored))) or "not known",
        run=run,
        against=setup.against,
        out_of_time=out_of_time and bool(progress.wanted.any()),
        capped="; ".join(dict.fromkeys(cap.reason for cap in caps)),
        placebo=judged.placebo,
        lost_cells=tuple(setup.lost),
        new_cells=setup.new,
        notes=notes,
    )
