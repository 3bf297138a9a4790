"""Launches of a study after one another: their rows on disk as they come, and later launches going by what earlier ones found."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cell import LaunchSpec
from harness.files import append_rows
from harness.records import Row
from tests.benchmarks.fidelity import about
from tests.benchmarks.fidelity.launches import Place, launch, read_rows
from tests.benchmarks.fidelity.tables import Table

Planned = tuple[LaunchSpec, Place]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a study found."""

    about: str
    """The line before the tables."""
    tables: tuple[Table, ...]
    records: tuple[Any, ...] = ()
    """Dataclasses of one kind, to be written as CSV; none where rows are on disk already."""


class Series:
    def __init__(self, path: Path | None, *, keep: bool) -> None:
        """path: of the rows, ``STUDY.csv``; what is known of the machine is beside it. keep: what is there, and add to it."""
        self.rows: list[Row] = []
        self.summaries: dict[str, dict[str, str]] = {}
        self.parameters = ""
        self._ceilings: Mapping[str, Any] | None = None
        self._path = path
        if path is None:
            return
        if keep:
            self.rows = read_rows(path)
            self._read(path.with_suffix(".json"))
        else:
            path.unlink(missing_ok=True)

    def launch(self, spec: LaunchSpec, place: Place) -> None:
        """Measure what of the launch has no row yet. Raises LaunchFailed; what has its row keeps it."""
        spec = remaining(spec, self.rows, self._ceilings)
        if not spec.cells:
            return
        found = launch(spec, place, self._heed)
        self.summaries[spec.image] = about.summary(found.facts)
        if spec.measure_ceilings and found.facts.get("ceilings"):
            self._ceilings = found.facts["ceilings"]
        self._write()

    def _heed(self, row: Row) -> None:
        self.rows.append(row)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            append_rows(self._path, [row])

    def _read(self, path: Path) -> None:
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            self.summaries, self.parameters, self._ceilings = known["summaries"], known["parameters"], known["ceilings"]

    def _write(self) -> None:
        if self._path is not None:
            known = {"summaries": self.summaries, "parameters": self.parameters, "ceilings": self._ceilings}
            self._path.with_suffix(".json").write_text(json.dumps(known, indent=1), encoding="utf-8")


def remaining(spec: LaunchSpec, rows: Sequence[Row], ceilings: Mapping[str, Any] | None) -> LaunchSpec:
    """The launch without the cells that have a row of it, in the states of the cache that the others' rows have. Pure."""
    done = {row.cell for row in rows if (row.image, row.launch) == (spec.image, spec.launch)}
    cells = tuple(cell for cell in spec.cells if cell.id not in done)
    states = {row.cell: row.cache for row in rows if row.cache}
    return dataclasses.replace(
        spec,
        cells=cells,
        hot=tuple(cell.id for cell in cells if states.get(cell.id) == "hot"),
        cold=tuple(cell.id for cell in cells if states.get(cell.id) == "cold"),
        ceilings=ceilings if spec.measure_ceilings else None,
    )


def launched(
    options: argparse.Namespace,
    planned: Iterable[Planned],
    tables: Callable[[Sequence[Row]], tuple[Table, ...]],
    *,
    keep: bool = False,
) -> Outcome:
    """Make the launches, or read their rows where ``--from`` names them. tables: pure."""
    if options.rendered is not None:
        series = Series(options.rendered, keep=True)
    else:
        series = Series(options.out and options.out / f"{options.study}.csv", keep=keep)
        series.parameters = about.parameters(options)
        for spec, place in planned:
            series.launch(spec, place)
    return Outcome(
        about=about.line(series.summaries, series.parameters or f"rows of {options.rendered}"),
        tables=tables(series.rows),
    )
