"""Launches that were measured before: one image of a run, or of a baseline file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import catalog
from harness.cell import Cell
from harness.files import read_json
from matrix.errors import SelectionError
from matrix.plan import Launch, PlannedImage
from matrix.provenance import experiment_of, plan_of
from matrix.store import MANIFEST, RESULTS
from reports.gate.conditions import Conditions, conditions_of
from reports.gate.differences import side_of
from reports.gate.report import Side
from reports.gate.rows import AnyRow, Record, read_records

SEPARATOR = "#"
"""Between a run and which of its images is meant."""
CANDIDATE = "candidate"

StoredRows = Mapping[int, Mapping[str, Record]]
"""By block and cell."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One image's rows."""

    image: PlannedImage
    side: Side
    """What was in the image; its ``source`` names the run or the file."""
    cells: tuple[Cell, ...]
    rows: StoredRows
    conditions: Conditions
    which: str = ""
    """What the run calls it: a label or a side; empty for a file."""
    digest: str
    """SHA-256 of the file that the rows are from."""


def is_run(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def read_run(directory: Path, which: str = "") -> Stored:
    """One image of a run; which: its label, or ``baseline``, ``anchor`` or ``candidate`` of a gate's run.

    Where it is left out, it is the only image there is, or a gate's candidate. SelectionError for another, RunNotFound for what is no run.
    """
    try:
        manifest = read_json((directory / MANIFEST).read_text(encoding="utf-8"))
    except ValueError as error:
        raise SelectionError(f"{directory / MANIFEST} is not JSON: {error}\n  next: name another run") from None
    launches = plan_of(manifest).launches
    _require_performance(manifest, directory)
    which, chosen = _chosen(launches, which, directory)
    image = chosen[0].image
    blocks = _blocks(launches, chosen)
    content = directory / RESULTS
    found = read_records(content)
    rows: dict[int, dict[str, Record]] = {}
    for launch in chosen:
        rows.setdefault(blocks[launch.index], {}).update(found.get(launch.index, {}))
    if not any(rows.values()):
        raise SelectionError(f"{directory} has no row of {which}: nothing was measured\n  next: --resume {directory}, or name another run")
    return Stored(
        image=image,
        side=side_of(manifest, image.label, source=str(directory)),
        cells=tuple(dict.fromkeys(cell for launch in chosen for cell in launch.cells)),
        rows=rows,
        conditions=conditions_of(manifest, image.name),
        which=which,
        digest=hashlib.sha256(content.read_bytes() if content.exists() else b"").hexdigest(),
    )


def _require_performance(manifest: Mapping[str, Any], directory: Path) -> None:
    """SelectionError for a run of another experiment: its rows have nothing that the gate judges, or times of another thing."""
    experiment = experiment_of(manifest)
    if experiment != catalog.PERFORMANCE:
        raise SelectionError(
            f"{directory} measured {experiment}, and the gate judges times, errors and costs, which only the experiment "
            f"{catalog.PERFORMANCE} measures\n"
            f"  next: name a run of nox -s bench-NAME -- --experiment {catalog.PERFORMANCE} --launches 10 or more, or look at this one with "
            f"nox -s report -- {directory}"
        )


def _chosen(launches: Sequence[Launch], which: str, directory: Path) -> tuple[str, list[Launch]]:
    sides = {launch.side for launch in launches if launch.side}
    labels = dict.fromkeys(launch.image.label for launch in launches)
    if not which and CANDIDATE in sides:
        which = CANDIDATE
    elif not which and len(labels) == 1:
        which = next(iter(labels))
    found = [launch for launch in launches if which and which in (launch.side, launch.image.label)]
    if not found:
        known = ", ".join(f"{directory}{SEPARATOR}{name}" for name in (*sorted(sides), *labels))
        what = f"has no {which!r}" if which else "has several images"
        raise SelectionError(f"{directory} {what}\n  next: name one as {known or 'another run: this one has no launch'}")
    return which, found


def _blocks(launches: Sequence[Launch], chosen: Sequence[Launch]) -> dict[int, int]:
    """The block of each chosen launch: what a gate says, else as ``bench`` interleaves its images, each once in a block."""
    seen: Counter[str] = Counter()
    blocks = {}
    for launch in sorted(launches, key=lambda each: each.index):
        blocks[launch.index] = seen[launch.image.label] if launch.block is None else launch.block
        seen[launch.image.label] += 1
    found = {launch.index: blocks[launch.index] for launch in chosen}
    # Both sides of a gate of an image against itself have its label.
    return found if len(set(found.values())) == len(found) else {index: index for index in found}


def of_one_run(sides: Iterable[Stored | None]) -> bool:
    """Whether all are stored, and were measured in turns: in one run."""
    found = list(sides)
    return all(side is not None and is_run(Path(side.side.source)) for side in found) and len({s.side.source for s in found if s}) == 1


def in_turn(sides: Mapping[str, Stored]) -> dict[str, tuple[Mapping[str, AnyRow], ...]]:
    """What a gate takes for its blocks: by side, the k-th item has the k-th row of each cell.

    Of one run, only blocks count in which all sides have the cell: these were measured together, and stay so.
    """
    together = len(sides) > 1 and of_one_run(sides.values())
    return {
        name: _in_turn(side.rows, [other.rows for other in sides.values()] if together else [side.rows]) for name, side in sides.items()
    }


def _in_turn(rows: StoredRows, all_rows: Sequence[StoredRows]) -> tuple[Mapping[str, AnyRow], ...]:
    turns: list[dict[str, AnyRow]] = []
    count: dict[str, int] = {}
    for block in sorted(rows):
        for cell, row in rows[block].items():
            if all(cell in each.get(block, {}) for each in all_rows):
                place = count.get(cell, 0)
                if place == len(turns):
                    turns.append({})
                turns[place][cell] = row
                count[cell] = place + 1
    return tuple(turns)


def requirement(stored: Stored) -> dict[str, Any]:
    """For the manifest of a gate that uses it: what a resumed gate has to find again."""
    return {"source": stored.side.source, "which": stored.which, "sha256": stored.digest}
