"""Comparisons that a gate has judged: its own verdicts and numbers, beside the matrix's entries. Pure."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from reports import format as formats
from reports.gate import wording
from reports.gate.procedure import Procedure
from reports.gate.report import PLACEBO_ALPHA, GateReport
from reports.gate.setup import ANCHOR
from reports.gate.stored import CANDIDATE
from reports.page.facts import difference_of
from reports.page.layout import Layout
from reports.page.model import Compared, Comparison, ImageFacts
from reports.page.payload import time_of
from reports.page.totals import geomean, is_checked


def judged(
    gate: GateReport,
    source: int,
    against: str,
    layout: Layout,
    images: tuple[ImageFacts, ...],
    harnesses: tuple[str, ...],
    manifest: Mapping[str, Any],
) -> Comparison:
    """What the gate of a run has found. source: its place; against: what its candidate was held against; harnesses: the hashes of the sources' instruments."""
    baseline, candidate = (
        _image_of(layout, source, side.label, name) for side, name in ((gate.baseline, against), (gate.candidate, CANDIDATE))
    )
    entries = {
        (layout.columns[column].image, cell): entry
        for entry, (column, cell) in enumerate(zip(layout.entry_column.tolist(), layout.cells, strict=True))
    }
    cells = []
    for report in gate.cells:
        before, after = (None if image is None else entries.get((image, report.cell)) for image in (baseline, candidate))
        place = before if before is not None else after
        line = None if place is None else int(layout.entry_line[place])
        cells.append(Compared(report=report, line=line, baseline=before, candidate=after, lean=""))
    ratios = [finding.ratio for cell in cells if is_checked(cell.report) and (finding := time_of(cell.report)) and finding.ratio]
    return Comparison(
        baseline=gate.baseline.label,
        candidate=gate.candidate.label,
        baseline_image=baseline,
        candidate_image=candidate,
        by_gate=True,
        decision=gate.decision.value,
        why=gate.why,
        capped=gate.capped,
        level=1 - 2 * gate.procedure.alpha,
        cells=tuple(cells),
        lost=gate.lost_cells,
        new=gate.new_cells,
        # The gate's own: what it looked at.
        difference=dataclasses.replace(difference_of(images, harnesses, baseline, candidate), changes=gate.changes),
        geomean=geomean(ratios),
        compared=len(ratios),
        facts=(*([("held against", "the anchor")] if against == ANCHOR else []), *_facts(gate)),
        notes=gate.notes,
        replay=_replay(manifest),
    )


def _image_of(layout: Layout, source: int, label: str, side: str) -> int | None:
    return next(
        (place for place, image in enumerate(layout.images) if (image.source, image.label) == (source, label) and image.side in ("", side)),
        None,
    )


def _facts(gate: GateReport) -> list[tuple[str, str]]:
    procedure: Procedure = gate.procedure
    found = [
        ("blocks", str(gate.blocks)),
        ("launches", str(gate.launches)),
        ("measuring took", formats.span(gate.seconds)),
        ("seed", str(gate.seed)),
        ("intervals", wording.level(procedure.alpha)),
        ("decides after", f"{', '.join(map(str, procedure.looks))} blocks"),
        ("confirms with", wording.counted(procedure.confirm, "fresh block")),
        ("machine", gate.machine),
        ("run", gate.run),
        ("left out as disturbed or lost", wording.counted(len(gate.voided), "row")),
    ]
    if gate.placebo is not None:
        bounds = wording.interval(*(None if bound is None else 1 + bound for bound in (gate.placebo.low, gate.placebo.high)))
        about = f" ({wording.level(PLACEBO_ALPHA)} interval {bounds})" if bounds else ""
        found.append(("second launches against first (0 is right)", f"{wording.effect(1 + gate.placebo.effect)}{about}"))
    return [(name, text) for name, text in found if text]


def _replay(manifest: Mapping[str, Any]) -> str:
    """The gate's own command, as nox has it: the options behind the program."""
    command = manifest.get("command")
    if not isinstance(command, list) or len(command) < 2:
        return ""
    words = [str(word) for word in command[1:] if word != "--end-with-parent"]
    return shlex.join(["nox", "-s", "gate", "--", *words])
