"""The commands that measure cells again. Pure."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.cell import Cell, cell_from_dict
from reports.gate.replay import LAUNCHES, cell_options
from reports.load import Source
from reports.manifest import entries, mapping
from reports.page.layout import Layout


def make_replays(layout: Layout, sources: Sequence[Source]) -> tuple[str, ...]:
    """By entry; empty where a manifest does not say what the cell is."""
    images = [(_session(sources[image.source], image.label), image.label) for image in layout.images]
    options = _options_of_images(layout, sources)
    found = []
    for column, name in zip(layout.entry_column.tolist(), layout.cells, strict=True):
        image = layout.columns[column].image
        session, label = images[image]
        selected = options[image].get(name)
        if selected is None or not session:
            found.append("")
        else:
            experiment = layout.columns[column].experiment
            words = ["nox", "-s", f"bench-{session}", "--", "--image", label, *(["--experiment", experiment] if experiment else [])]
            found.append(f"{shlex.join(words)} {selected} --launches {LAUNCHES}")
    return tuple(found)


def _options_of_images(layout: Layout, sources: Sequence[Source]) -> list[Mapping[str, str]]:
    """By image: what selects a cell, by its id. Images of one run mostly have the same ten thousand cells."""
    found: list[Mapping[str, str]] = []
    read: list[tuple[list[Mapping[str, Any]], Mapping[str, str]]] = []
    for image in layout.images:
        listed = entries(mapping(sources[image.source].manifest, "cells"), image.label)
        known = next((options for items, options in read if items == listed), None)
        if known is None:
            known = {cell.id: shlex.join(cell_options(cell)) for cell in _cells(listed)}
            read.append((listed, known))
        found.append(known)
    return found


def _session(source: Source, label: str) -> str:
    """The name of matrix.toml's image."""
    image = next((item for item in entries(source.manifest, "images") if item.get("label") == label), {})
    return str(image.get("name") or "")


def _cells(listed: Sequence[Mapping[str, Any]]) -> Iterator[Cell]:
    for item in listed:
        # One of a newer schema is measured by the harness that knows it.
        with contextlib.suppress(TypeError, ValueError, KeyError, AttributeError):
            yield cell_from_dict(dict(item))
