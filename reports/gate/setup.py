"""What a gate compares: an image beside another, the cells that both have, and by which margins. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from harness import catalog
from harness.cell import Cell
from matrix.config import BLOCKING, Gate, Margin, Margins, Matrix
from matrix.errors import SelectionError
from matrix.plan import Excluded, PlannedImage, Selection, cells_of, partitioned, selected
from matrix.rules import matches
from reports.gate.observe import Limits
from reports.gate.procedure import Procedure
from reports.gate.report import BASELINE
from reports.gate.rows import AnyRow
from reports.gate.stored import CANDIDATE, Stored, in_turn, of_one_run
from reports.statistics import Booleans

ANCHOR = "anchor"
"""What a candidate is held against beside the release before it, the baseline: one that stays the same, against many small steps."""
METRICS = tuple(Margins.model_fields)
"""That have margins."""


@dataclass(frozen=True, kw_only=True)
class GateSetup:
    """All that verdicts on one comparison depend on beside the rows that are measured."""

    against: str = BASELINE
    """``baseline`` or ``anchor``: the side of the launches of what is called the baseline here."""
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
    stored: Mapping[str, Sequence[Mapping[str, AnyRow]]] = field(default_factory=dict)
    """By side, for what was measured before: the k-th item has the k-th row of each cell, and is its row of block k."""
    stored_together: bool = False
    """Whether all sides were measured before, in the same blocks."""
    replay: tuple[str, ...] = ("",)
    """For whoever measures a cell again on this host: the configuration's file where it is another than matrix.toml, then options.
    Empty where nobody can: the configuration does not have the image."""

    @property
    def sides(self) -> Mapping[str, PlannedImage]:
        return {self.against: self.baseline, CANDIDATE: self.candidate}

    @property
    def live(self) -> Mapping[str, PlannedImage]:
        """Sides that are measured now."""
        return {side: image for side, image in self.sides.items() if side not in self.stored}

    @property
    def together(self) -> bool:
        """Whether a block's launches are measured in it, all of them."""
        return not self.stored or self.stored_together

    def used_up(self, block: int) -> Booleans:
        """Cells that a stored side has no row of for this block; shape (cells,)."""
        turns = [rows[block] if block < len(rows) else {} for rows in self.stored.values()]
        return np.array([any(cell not in turn for turn in turns) for cell in self.ids], dtype=bool)

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
        return Limits(cpu_waiting=self.gate.cpu_waiting, cpu_steal=self.gate.cpu_steal)

    @cached_property
    def margins(self) -> Mapping[str, tuple[Margin, ...]]:
        """By metric, in the order of the cells: the last rule that names a cell of either image, else the metric's own."""
        return {metric: tuple(self._margin(metric, cell) for cell in self.cells) for metric in METRICS}

    def _margin(self, metric: str, cell: Cell) -> Margin:
        names = {self.baseline.name, self.candidate.name}
        default: Margin = getattr(self.gate.margins, metric)
        rules = (
            rule.margin for rule in reversed(self.gate.margin) if rule.metric == metric and any(matches(rule, name, cell) for name in names)
        )
        chosen = next(rules, default)
        # Who narrows a margin has not said that it shall only warn.
        blocks = next((margin.blocks for margin in (chosen, default) if margin.blocks is not None), metric in BLOCKING)
        return chosen if chosen.blocks == blocks else _settled(chosen, blocks)


@lru_cache
def _settled(margin: Margin, blocks: bool) -> Margin:
    """One for all cells that have it: there are ten thousand."""
    return margin.model_copy(update={"blocks": blocks})


Source = PlannedImage | Stored
"""An image to measure, or what was measured of one."""


def make_setup(
    matrix: Matrix,
    baseline: Source,
    candidate: Source,
    selection: Selection,
    *,
    against: str = BASELINE,
    replay: tuple[str, ...] = ("",),
) -> GateSetup:
    """The cells of both images, and what only one of them has.

    Raises SelectionError where a name or pattern is wrong, and where there is no cell to compare.
    """
    # Parts are those of what is compared: images whose cells differ would be cut at other places.
    whole = dataclasses.replace(selection, partition=None)
    (before, _), (after, excluded) = (_cells(matrix, source, whole) for source in (baseline, candidate))
    names, other_names = {cell.id for cell in before}, {cell.id for cell in after}
    every = partitioned([*before, *(cell for cell in after if cell.id not in names)], selection.partition)
    reasons = {item.cell: f"a rule leaves it out: {item.reason}" for item in excluded}
    both = tuple(cell for cell in every if cell.id in names and cell.id in other_names)
    if not both:
        labels = [image_of(source).label for source in (baseline, candidate)]
        raise SelectionError(
            f"{' and '.join(labels)} have no cell in common{selection.told}\n  next: look at the cells of each with --plan, "
            "and loosen --filter, --exclude, --only or --partition"
        )
    return GateSetup(
        against=against,
        baseline=image_of(baseline),
        candidate=image_of(candidate),
        cells=both,
        lost={cell.id: reasons.get(cell.id, "it is none of its cells") for cell in every if cell.id not in other_names},
        new=tuple(cell.id for cell in every if cell.id not in names),
        gate=matrix.gate,
        seed=matrix.run.seed if selection.seed is None else selection.seed,
        stored=stored_turns({against: baseline, CANDIDATE: candidate}),
        stored_together=measured_together(baseline, candidate),
        replay=replay,
    )


def image_of(source: Source) -> PlannedImage:
    return source.image if isinstance(source, Stored) else source


def measured_together(baseline: Source, candidate: Source) -> bool:
    """Whether both were measured before, in the same blocks."""
    return of_one_run([source if isinstance(source, Stored) else None for source in (baseline, candidate)])


def stored_turns(sources: Mapping[str, Source]) -> Mapping[str, Sequence[Mapping[str, AnyRow]]]:
    """By side, of those that are stored."""
    return in_turn({side: source for side, source in sources.items() if isinstance(source, Stored)})


def _cells(matrix: Matrix, source: Source, selection: Selection) -> tuple[Sequence[Cell], Sequence[Excluded]]:
    if isinstance(source, Stored):
        return selected(matrix, source.cells, selection), ()
    return cells_of(matrix, source, selection)
