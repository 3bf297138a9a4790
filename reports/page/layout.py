"""Lines, columns and entries of the matrix: which row belongs where. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness import catalog
from matrix.provenance import GATE
from reports.load import SOURCE, Source
from reports.manifest import entries, mapping
from reports.page.model import Column, Entries, Indices, Line

LINE_KEY = ["name", "dev", "mode", "precision", "shapes", "planned_batch_size"]
"""What makes two rows comparable: everything of a cell but the backend."""
IMAGE_KEY = [SOURCE, "image", "side"]
COLUMN_KEY = [*IMAGE_KEY, "backend", "options", "experiment"]
NO_BATCH_SIZE = -1.0
ENTRY, LINE, COLUMN, BLOCK, TURN, ROLE = "entry", "line", "column", "block", "turn", "role"
"""Columns that ``lay_out`` adds to the table."""

Group = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class ImageKey:
    """An image as one run measured it."""

    source: int
    label: str
    side: str
    """Of a gate that compares an image with itself; else empty."""

    @property
    def name(self) -> str:
        return f"{self.label} ({self.side})" if self.side else self.label


@dataclass(frozen=True, kw_only=True)
class Layout:
    table: pd.DataFrame
    """Rows, sorted by entry and launch: columns of ``Loaded.table``, their places in the matrix, ``block`` (which of its image's launches), ``turn``
    (its place among the blocks of its run) and ``role`` (``baseline`` or ``candidate`` in a run of the gate)."""
    images: tuple[ImageKey, ...]
    """By source, then as the run's manifest has them."""
    image_names: tuple[str, ...]
    """With the source where that is what tells them apart."""
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    entry_line: Indices
    entry_column: Indices
    cells: tuple[str, ...]
    """By entry: the cell's id."""


def lay_out(table: pd.DataFrame, sources: Sequence[Source]) -> Layout:
    """The table's rows as a matrix. Lines are by suite, and in each as the rows come."""
    laid = table.copy()
    laid["planned_batch_size"] = pd.to_numeric(laid["planned_batch_size"]).fillna(NO_BATCH_SIZE).astype(float)
    # The ancestor's files name no suite.
    laid["suite"] = [suite or name.rpartition("/")[0].partition("/")[0] for suite, name in zip(laid["suite"], laid["name"], strict=True)]
    # What every row was before there were others, and what needs no word.
    laid["experiment"] = ["" if experiment == catalog.PERFORMANCE else experiment for experiment in laid["experiment"]]
    laid["side"], laid[ROLE], laid[BLOCK] = _about_launches(laid, sources)
    # Whatever a manifest says: no number of a block is used as the size of an array.
    laid[TURN] = laid.groupby(SOURCE)[BLOCK].rank(method="dense").fillna(1).astype("int64") - 1
    images = _images(laid, sources)
    names = _told_apart([image.name for image in images], [sources[image.source].name for image in images])
    lines, laid[LINE] = _lines(laid)
    columns, laid[COLUMN] = _columns(laid, images, sources)
    laid = laid.sort_values([LINE, COLUMN, "launch", "attempt"], kind="stable", ignore_index=True)
    line, column = laid[LINE].to_numpy(dtype=np.int64), laid[COLUMN].to_numpy(dtype=np.int64)
    new = np.ones(len(laid), dtype=bool)
    new[1:] = (np.diff(line) != 0) | (np.diff(column) != 0)
    laid[ENTRY] = np.cumsum(new) - 1
    return Layout(
        table=laid,
        images=images,
        image_names=tuple(names),
        columns=columns,
        lines=lines,
        entry_line=line[new],
        entry_column=column[new],
        cells=tuple(laid["cell"][new]),
    )


def entry_table(entries: Entries, lines: int, columns: int) -> Indices:
    """Entries by line and column, -1 where there is none."""
    found = np.full((lines, columns), -1, dtype=np.int64)
    found[entries.line, entries.column] = np.arange(len(entries.line))
    return found


def _about_launches(table: pd.DataFrame, sources: Sequence[Source]) -> tuple[list[str], list[str], list[int]]:
    """Of every row: the side, where its run compares an image with itself, its role and its block."""
    about = {source.name: _launches(source) for source in sources}
    itself = {source.name: _compares_itself(source) for source in sources}
    # Without a manifest, launches are those that rows tell of.
    seen: dict[tuple[str, str], dict[int, int]] = {}
    found = table[[SOURCE, "image", "launch"]].drop_duplicates().sort_values("launch")
    for source, image, launch in found.itertuples(index=False, name=None):
        of_image = seen.setdefault((source, image), {})
        of_image[launch] = len(of_image)
    sides, roles, blocks = [], [], []
    for source, image, launch in zip(table[SOURCE], table["image"], table["launch"], strict=True):
        role, block = about[source].get(launch, ("", None))
        sides.append(role if itself[source] else "")
        roles.append(role)
        blocks.append(seen[source, image][launch] if block is None else block)
    return sides, roles, blocks


def _compares_itself(source: Source) -> bool:
    about = mapping(source.manifest, GATE)
    return bool(about) and about.get("baseline") == about.get("candidate")


def _launches(source: Source) -> Mapping[int, tuple[str, int | None]]:
    """(role, block) by launch. In a run of several images, every block has each of them once."""
    counts: Counter[str] = Counter()
    found: dict[int, tuple[str, int | None]] = {}
    for launch in entries(source.manifest, "launches"):
        number, image, block = launch.get("launch"), str(launch.get("image")), launch.get("block")
        if type(number) is int:
            found[number] = (str(launch.get("side", "")), block if type(block) is int else counts[image])
            counts[image] += 1
    return found


def _images(table: pd.DataFrame, sources: Sequence[Source]) -> tuple[ImageKey, ...]:
    places = {source.name: place for place, source in enumerate(sources)}
    orders = [[str(item.get("label")) for item in entries(source.manifest, "images")] for source in sources]
    found = [
        ImageKey(source=places[source], label=label, side=side)
        for source, label, side in table[IMAGE_KEY].drop_duplicates().itertuples(index=False, name=None)
    ]

    def order(image: ImageKey) -> tuple[int, int, str]:
        known = orders[image.source]
        return image.source, known.index(image.label) if image.label in known else len(known), image.side

    return tuple(sorted(found, key=order))


def _lines(table: pd.DataFrame) -> tuple[tuple[Line, ...], Indices]:
    codes, keys = _grouped(table, LINE_KEY)
    # A file of the ancestor's may not say what another one does.
    suites = dict[int, str]()
    for code, suite in zip(codes.tolist(), table["suite"], strict=True):
        suites[code] = suites.get(code) or suite
    ranks = {suite: place for place, suite in enumerate(dict.fromkeys(suites[place] for place in range(len(keys))))}
    order = sorted(range(len(keys)), key=lambda place: ranks[suites[place]])
    return _numbered([_line(suites[place], keys[place]) for place in order]), _renumbered(codes, order)


def _numbered(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Lines that read the same, told apart."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for line in lines:
        key = line.workload, line.detail
        seen[key] += 1
        found.append(line if seen[key] == 1 else dataclasses.replace(line, number=seen[key]))
    return tuple(found)


def _line(suite: str, key: Group) -> Line:
    workload, device, mode, precision, shapes = map(str, key[:-1])
    size = float(str(key[-1]))
    return Line(
        suite=suite,
        workload=workload,
        device=device,
        mode=mode,
        precision=precision,
        shapes=shapes,
        batch_size=None if size == NO_BATCH_SIZE else int(size),
    )


def _columns(table: pd.DataFrame, images: Sequence[ImageKey], sources: Sequence[Source]) -> tuple[tuple[Column, ...], Indices]:
    """By image, then by backend as these first come in any image."""
    codes, keys = _grouped(table, COLUMN_KEY)
    places = {(sources[image.source].name, image.label, image.side): place for place, image in enumerate(images)}
    backends = {key: place for place, key in enumerate(dict.fromkeys(key[3:] for key in keys))}
    order = sorted(range(len(keys)), key=lambda place: (places[_image_of(keys[place])], backends[keys[place][3:]]))
    numbers = _renumbered(codes, order)
    counts = [Counter[str]() for _ in order]
    for number, status in zip(numbers.tolist(), table["status"], strict=True):
        counts[number][status] += 1
    of_images = [places[_image_of(keys[place])] for place in order]
    labels = _told_apart(
        [
            " ".join(part for part in (images[image].name, *_words(keys[place])) if part)
            for image, place in zip(of_images, order, strict=True)
        ],
        [str(keys[place][0]) for place in order],
    )
    columns = tuple(
        Column(
            label=labels[number],
            image=of_images[number],
            backend=str(keys[place][3]),
            options=str(keys[place][4]),
            experiment=str(keys[place][5]),
            statuses=tuple(counts[number].most_common()),
        )
        for number, place in enumerate(order)
    )
    return columns, numbers


def _words(key: Group) -> tuple[str, str, str]:
    """Of a column, beside its image."""
    return str(key[3]), str(key[4]), f"({key[5]})" if key[5] else ""


def _image_of(key: Group) -> tuple[str, str, str]:
    return str(key[0]), str(key[1]), str(key[2])


def _told_apart(names: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Names, each with its source where it takes that, and with a number where that is not enough."""
    often = Counter(names)
    found = [name if often[name] == 1 else _of(source, name) for name, source in zip(names, sources, strict=True)]
    seen: Counter[str] = Counter()
    for place, name in enumerate(found):
        seen[name] += 1
        found[place] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return found


def _of(source: str, name: str) -> str:
    """A name with its source's; once, where the source is called after what is in it."""
    rest = source.rpartition("/")[2].removeprefix(name)
    # A run's or a file's whole name, or a file's that tells more behind it: NAME_accuracy.csv.
    return source if name and source.endswith(f"{name}{rest}") and rest[:1] in ("", "_", ".") else f"{source}: {name}"


def _grouped(table: pd.DataFrame, key: list[str]) -> tuple[Indices, list[Group]]:
    """(number of each row's group, keys of the groups), in the order in which they come."""
    codes = np.asarray(table.groupby(key, sort=False, dropna=False).ngroup(), dtype=np.int64)
    _, first = np.unique(codes, return_index=True)
    return codes, list(table[key].iloc[first].itertuples(index=False, name=None))


def _renumbered(codes: Indices, order: Sequence[int]) -> Indices:
    """order: the old numbers in their new order."""
    places = np.empty(len(order), dtype=np.int64)
    places[list(order)] = np.arange(len(order))
    found: Indices = places[codes]
    return found
