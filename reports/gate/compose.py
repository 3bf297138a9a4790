"""The report of a gate, from what was measured and what is judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.gate.differences import differences, side_of
from reports.gate.judge import Judged
from reports.gate.measure import Measured
from reports.gate.report import GateReport
from reports.gate.setup import GateSetup
from reports.manifest import entries, mapping


def compose(setup: GateSetup, measured: Measured, judged: Judged, manifest: Mapping[str, Any], run: str, capped: str = "") -> GateReport:
    """manifest: of the run; run: its directory."""
    baseline, candidate = (side_of(manifest, image.label) for image in (setup.baseline, setup.candidate))
    progress = measured.progress
    notes = judged.notes
    if measured.out_of_time:
        notes += (f"the time was up with {int(progress.wanted.sum())} cells undecided: the run can be resumed with more",)
    return GateReport(
        decision=judged.decision,
        why=judged.why,
        baseline=baseline,
        candidate=candidate,
        cells=judged.cells,
        changes=differences(baseline, candidate),
        voided=progress.voided,
        blocks=len(progress.blocks),
        launches=2 * len(progress.blocks),
        seconds=measured.seconds,
        seed=setup.seed,
        procedure=setup.procedure,
        machine="; ".join(machines(manifest)) or "not known",
        run=run,
        capped=capped,
        placebo=judged.placebo,
        lost_cells=tuple(setup.lost),
        new_cells=setup.new,
        notes=notes,
    )


def cap_of(manifest: Mapping[str, Any]) -> str:
    """Why a run's rows do not belong together; empty where they do."""
    found = machines(manifest)
    return f"launches ran on {len(found)} machines: {'; '.join(found)}" if len(found) > 1 else ""


def machines(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """A line for every machine that launches of a run ran on: processor, GPUs, driver."""
    processors: dict[str, None] = {}
    gpus: dict[str, None] = {}
    for start in entries(manifest, "starts"):
        about = mapping(start, "machine")
        if about:
            processors[f"{about.get('cpu') or 'a processor without a name'}, {about.get('cores', '?')} cores"] = None
        # An image without NVML's bindings sees no GPU, on whatever machine.
        if cards := ", ".join(f"{gpu.get('name', 'a GPU')} (driver {gpu.get('driver', '?')})" for gpu in entries(start, "gpus")):
            gpus[cards] = None
    if not processors or len(gpus) < 2:
        return tuple(f"{processor}{''.join(f' + {cards}' for cards in gpus)}" for processor in processors)
    return tuple(f"{processor} + {cards}" for processor in processors for cards in gpus)
