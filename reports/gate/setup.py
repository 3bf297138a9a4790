"""What a gate compares: two images, the cells that both have, and by which margins. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness import catalog
from harness.cell import Cell
from matrix.config import Gate, Margin, Margins, Matrix
from matrix.errors import SelectionError
from matrix.plan import PlannedImage, Selection, cells_of, matches, partitioned
from reports.gate.observe import Limits
from reports.gate.procedure import Procedure
from reports.statistics import Booleans

BASELINE, CANDIDATE = "baseline", "candidate"
METRICS = tuple(Margins.model_fields)
"""That have margins."""


@dataclass(frozen=True, kw_only=True)
class GateSetup:
    """All that verdicts depend on beside the rows."""

    baseline: PlannedImage
    candidate: PlannedImage
    cells: tuple[Cell, ...]
    """Of both images. Every array of cells is in their order."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Cells that the baseline has and the candidate has not, and why."""
    new: tuple[str, ...] = ()
    """Cells that only the candidate has."""
    gate: Gate
    seed: int

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(cell.id for cell in self.cells)

    @cached_property
    def of_image(self) -> Booleans:
        """Cells that say what an image costs, and have no call that could be slow; shape (cells,)."""
        return np.array([cell.suite == catalog.IMAGE_SUITE for cell in self.cells], dtype=bool)

    @property
    def procedure(self) -> Procedure:
        gate = self.gate
        return Procedure(alpha=gate.alpha, looks=gate.looks, confirm=gate.confirm, repeats=gate.repeats)

    @property
    def limits(self) -> Limits:
        return Limits(cpu_pressure=self.gate.cpu_pressure, cpu_steal=self.gate.cpu_steal)

    @cached_property
    def margins(self) -> Mapping[str, tuple[Margin, ...]]:
        """By metric, in the order of the cells: the last rule that names a cell of either image, else the metric's own."""
        return {metric: tuple(self._margin(metric, cell) for cell in self.cells) for metric in METRICS}

    def _margin(self, metric: str, cell: Cell) -> Margin:
        names = {self.baseline.name, self.candidate.name}
        for rule in reversed(self.gate.margin):
            if rule.metric == metric and any(matches(rule, name, cell) for name in names):
                return rule.margin
        default: Margin = getattr(self.gate.margins, metric)
        return default


def make_setup(matrix: Matrix, baseline: PlannedImage, candidate: PlannedImage, selection: Selection) -> GateSetup:
    """The cells of both images, and what only one of them has.

    Raises SelectionError where a name or pattern is wrong, and where there is no cell to compare.
    """
    # Parts are those of what is compared: images whose cells differ would be cut at other places.
    whole = dataclasses.replace(selection, partition=None)
    (before, _), (after, excluded) = (cells_of(matrix, image, whole) for image in (baseline, candidate))
    names, other_names = {cell.id for cell in before}, {cell.id for cell in after}
    every = partitioned([*before, *(cell for cell in after if cell.id not in names)], selection.partition)
    reasons = {item.cell: f"a rule leaves it out: {item.reason}" for item in excluded}
    both = tuple(cell for cell in every if cell.id in names and cell.id in other_names)
    if not both:
        raise SelectionError(
            f"{baseline.label} and {candidate.label} have no cell in common\n  next: look at the cells of each with --plan, "
            "and loosen --filter, --exclude, --only or --partition"
        )
    return GateSetup(
        baseline=baseline,
        candidate=candidate,
        cells=both,
        lost={cell.id: reasons.get(cell.id, "it is none of its cells") for cell in every if cell.id not in other_names},
        new=tuple(cell.id for cell in every if cell.id not in names),
        gate=matrix.gate,
        seed=matrix.run.seed if selection.seed is None else selection.seed,
    )
