"""What one gate compares: a candidate beside its baseline, and beside an anchor where there is one; made anew, or as a manifest has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import catalog
from matrix.config import Matrix
from matrix.errors import SelectionError
from matrix.plan import Plan, PlannedImage, Selection
from matrix.provenance import GATE
from matrix.resume import Begun
from reports.gate.baseline_file import read_baseline
from reports.gate.blocks import plan_block
from reports.gate.conditions import Cap, caps, conditions_of
from reports.gate.report import BASELINE
from reports.gate.setup import ANCHOR, GateSetup, Source, make_setup, measured_together, stored_turns
from reports.gate.stored import CANDIDATE, Stored, is_run, of_one_run, read_run, requirement


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """Of one candidate."""

    setups: tuple[GateSetup, ...]
    """Against the baseline, and then against the anchor."""
    stored: Mapping[str, Stored]
    """By side, what was measured before."""

    @property
    def candidate(self) -> PlannedImage:
        return self.setups[0].candidate

    @property
    def seed(self) -> int:
        return self.setups[0].seed

    @property
    def live(self) -> tuple[PlannedImage, ...]:
        """Images that are measured now, each once."""
        return tuple(dict.fromkeys(image for setup in self.setups for image in setup.live.values()))

    @property
    def title(self) -> str:
        return f"{self.candidate.label} beside {' and '.join(setup.baseline.label for setup in self.setups)}"

    def first_block(self) -> Plan:
        """All that can be planned: what comes after it is decided by its rows."""
        everything = [np.ones(len(setup.cells), dtype=bool) for setup in self.setups]
        return Plan(seed=self.seed, launches=plan_block(self.setups, 0, everything))

    def caps(self, setup: GateSetup, manifest: Mapping[str, Any]) -> tuple[Cap, ...]:
        """Why a comparison's verdicts are no better than ``inconclusive``; manifest: of the gate's run, when it is measured."""
        sides = [self.stored.get(side) for side in setup.sides]
        own = conditions_of(manifest, setup.candidate.name)
        conditions = [own if side is None else side.conditions for side in sides] if any(sides) else [own]
        return caps(conditions, interleaved=not any(sides) or of_one_run(sides))

    def about(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            CANDIDATE: self.candidate.label,
            "comparisons": [
                {
                    "against": setup.against,
                    "baseline": setup.baseline.label,
                    "cells": setup.ids,
                    "lost": setup.lost,
                    "new": setup.new,
                }
                for setup in self.setups
            ],
            "stored": {side: requirement(stored) for side, stored in self.stored.items()},
            "replay": self.setups[0].replay,
        }


def make_comparisons(matrix: Matrix, sources: Mapping[str, Source], selection: Selection, replay: tuple[str, ...]) -> Comparisons:
    """sources: by side; the anchor may be missing. Raises SelectionError."""
    setups = tuple(
        make_setup(matrix, sources[against], sources[CANDIDATE], selection, against=against, replay=replay)
        for against in (BASELINE, ANCHOR)
        if against in sources
    )
    return Comparisons(setups=setups, stored={side: source for side, source in sources.items() if isinstance(source, Stored)})


def require_performance(matrix: Matrix) -> None:
    """SelectionError where the configuration names another experiment: no other one measures what the gate judges."""
    if matrix.run.experiment != catalog.PERFORMANCE:
        raise SelectionError(
            f"the gate judges times, errors and costs, which only the experiment {catalog.PERFORMANCE} measures, and [run] experiment is "
            f"{matrix.run.experiment!r}\n"
            f"  next: leave it out of the configuration, and give --experiment {matrix.run.experiment} to nox -s bench-NAME"
        )


def comparisons_again(begun: Begun) -> Comparisons:
    """What a run of the gate compares. SelectionError for another run, and where what it compares with has changed since."""
    about = begun.manifest.get(GATE)
    if not isinstance(about, dict) or "comparisons" not in about:
        raise SelectionError(f"{begun.directory} is no run of the gate\n  next: nox -s bench-NAME -- --resume {begun.directory}")
    stored = {side: _again(side, required) for side, required in about["stored"].items()}
    images = {launch.side: launch.image for launch in begun.plan.launches} | {side: each.image for side, each in stored.items()}
    cells = {cell.id: cell for launch in begun.plan.launches for cell in launch.cells}
    cells |= {cell.id: cell for each in stored.values() for cell in each.cells}
    setups = []
    for item in about["comparisons"]:
        against = item["against"]
        sources: dict[str, Source] = {side: stored[side] if side in stored else images[side] for side in (against, CANDIDATE)}
        setups.append(
            GateSetup(
                against=against,
                baseline=images[against],
                candidate=images[CANDIDATE],
                cells=tuple(cells[name] for name in item["cells"]),
                lost=item["lost"],
                new=tuple(item["new"]),
                gate=begun.matrix.gate,
                seed=begun.plan.seed,
                stored=stored_turns(sources),
                stored_together=measured_together(sources[against], sources[CANDIDATE]),
                replay=tuple(about["replay"]),
            )
        )
    return Comparisons(setups=tuple(setups), stored=stored)


def outputs_of(setup: GateSetup, directory: Path) -> Path:
    """Where a comparison's outputs lie, which is there: against the baseline in the run's directory, against the anchor in a folder of it."""
    found = directory if setup.against == BASELINE else directory / setup.against
    found.mkdir(exist_ok=True)
    return found


def _again(side: str, required: Mapping[str, str]) -> Stored:
    source = Path(required["source"])
    if not source.exists():
        raise SelectionError(f"the {side} of the gate was {source}, which is gone\n  next: bring it back, or start a new gate")
    found = read_run(source, required["which"]) if is_run(source) else read_baseline(source)
    if found.digest != required["sha256"]:
        raise SelectionError(f"the {side} of the gate, {source}, has changed since the gate was begun\n  next: start a new gate")
    return found
