"""The commands that measure cells again. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from harness.cell import Cell, cell_from_dict
from reports.gate.replay import LAUNCHES, cell_options
from reports.load import Source
from reports.manifest import entries, mapping
from reports.page.layout import Layout


def make_replays(layout: Layout, sources: Sequence[Source]) -> tuple[str, ...]:
    """By entry; empty where a manifest does not say what the cell is."""
    images = [(_session(sources[image.source], image.label), image.label) for image in layout.images]
    cells = [_cells(sources[image.source], image.label) for image in layout.images]
    found = []
    for column, name in zip(layout.entry_column.tolist(), layout.cells, strict=True):
        image = layout.columns[column].image
        session, label = images[image]
        cell = cells[image].get(name)
        if cell is None or not session:
            found.append("")
        else:
            words = ["nox", "-s", f"bench-{session}", "--", "--image", label, *cell_options(cell), "--launches", str(LAUNCHES)]
            found.append(shlex.join(words))
    return tuple(found)


def _session(source: Source, label: str) -> str:
    """The name of matrix.toml's image."""
    image = next((item for item in entries(source.manifest, "images") if item.get("label") == label), {})
    return str(image.get("name") or "")


def _cells(source: Source, label: str) -> Mapping[str, Cell]:
    found = {}
    for item in entries(mapping(source.manifest, "cells"), label):
        try:
            cell = cell_from_dict(dict(item))
            found[cell.id] = cell
        except (TypeError, ValueError, KeyError):
            # Of a newer schema: it is measured by the harness that knows it.
            continue
    return found
