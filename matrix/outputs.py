"""Outputs that an earlier run has kept (``--save-outputs``), for the cells of a plan (``--compare-outputs RUN``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import catalog
from harness.files import is_regular
from harness.output import OUTPUTS
from harness.records import Status
from matrix.config import Matrix
from matrix.errors import RunNotFound, SelectionError
from matrix.plan import Plan
from matrix.store import ARTIFACTS, MANIFEST, Run


@dataclass(frozen=True, kw_only=True)
class KeptOutputs:
    folder: Path
    """The run's artifacts."""
    files: Mapping[str, Mapping[str, str]]
    """By the label of an image and the id of a cell, relative to ``folder``."""

    def of(self, label: str, cells: Collection[str]) -> dict[str, str]:
        """Those of an image: what the run has of the same label, or of the only image that it has outputs of. SelectionError where it has
        several others.
        """
        found = self.files.get(label)
        if found is None:
            if len(self.files) > 1:
                raise SelectionError(
                    f"--compare-outputs {self.folder.parent} has outputs of {', '.join(sorted(self.files))}, and none of {label}: which are meant?\n"
                    "  next: name a run of one image"
                )
            found = next(iter(self.files.values()))
        return {cell: file for cell, file in found.items() if cell in cells}


def kept_outputs(matrix: Matrix, plan: Plan) -> KeptOutputs | None:
    """Of the run that is to be compared with; None where there is none. RunNotFound for what is no run, SelectionError where nothing compares."""
    if matrix.run.experiment != catalog.PERFORMANCE and (matrix.run.save_outputs or matrix.run.compare_outputs):
        raise SelectionError(
            f"outputs are kept and compared by the experiment {catalog.PERFORMANCE} alone, and this is {matrix.run.experiment}\n"
            "  next: leave --save-outputs and --compare-outputs out, or --experiment"
        )
    if matrix.run.compare_outputs is None:
        return None
    directory = Path(matrix.run.compare_outputs)
    if not (directory / MANIFEST).is_file():
        raise RunNotFound(
            f"--compare-outputs {directory} is not a run: it has no {MANIFEST}\n  next: name one of the directories under results/"
        )
    run = Run(directory)
    seed = run.manifest().get("seed")
    if type(seed) is not int:
        raise RunNotFound(f"--compare-outputs {directory}: its {MANIFEST} has no seed\n  next: name another run")
    if seed != plan.seed:
        raise SelectionError(
            f"--compare-outputs {directory}: inputs are drawn from the seed, {plan.seed} here and {seed} there\n  next: --seed {seed}"
        )
    kept = KeptOutputs(folder=directory / ARTIFACTS, files=_files(run))
    wanted = {launch.image.label: {cell.id for cell in launch.cells} for launch in plan.launches}
    if not kept.files or not [file for label, cells in wanted.items() for file in kept.of(label, cells)]:
        raise SelectionError(
            f"--compare-outputs {directory}: it has kept outputs of none of these cells\n  next: measure it with --save-outputs"
        )
    return kept


def _files(run: Run) -> dict[str, dict[str, str]]:
    """Of the first launch that has passed, by image and cell."""
    found: dict[str, dict[str, str]] = {}
    folder = run.directory / ARTIFACTS
    for row in sorted(run.rows(), key=lambda each: each.launch):
        path = run.directory / row.artifacts / OUTPUTS
        if row.status in Status.PASSED and row.artifacts and is_regular(path):
            found.setdefault(row.image, {}).setdefault(row.cell, str(path.relative_to(folder)))
    return found
