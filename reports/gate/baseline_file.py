"""A baseline file: one image's rows and all that is known of it, small enough to be kept beside the code.

JSON, a row to a line. It is read as strictly as a run: what is torn or edited is no baseline.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.cell import Cell
from images.errors import UserError
from matrix.plan import PlannedImage
from matrix.store import write_text
from reports.gate.conditions import Conditions
from reports.gate.differences import LARGEST_BYTES
from reports.gate.report import Side
from reports.gate.rows import Record, records_of
from reports.gate.stored import Stored, StoredRows

VERSION = 1
AGAIN = "next: write it again with --save-baseline"


class BaselineUnreadable(UserError):
    """A file is named as a baseline, and is none."""

    exit_code = 2


class _Image(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: str
    version: str
    reference: str | None
    digest: str
    size_bytes: int | None = Field(ge=0, lt=LARGEST_BYTES)
    packages: dict[str, str]
    python: str
    layers: list[str]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    benchmatrix_baseline: Literal[1]
    image: _Image
    conditions: Conditions
    cells: tuple[Cell, ...]
    columns: list[str]
    rows: list[list[str]]
    """The block, then a text for each column; empty where there is no value."""


def write_baseline(path: Path, stored: Stored) -> None:
    """Replace the file as a whole. OSError."""
    write_text(path, _to_json(stored))


def read_baseline(path: Path) -> Stored:
    """Raises BaselineUnreadable."""
    try:
        content = path.read_bytes()
        file = _File.model_validate_json(content)
        rows = _rows(file)
        _require_sense(file.cells, rows)
    except (OSError, ValidationError, ValueError, TypeError, KeyError) as error:
        raise BaselineUnreadable(f"{path} is no baseline file: {_first_line(error)}\n  {AGAIN}") from None
    image = PlannedImage(name=file.image.name, version=file.image.version, reference=file.image.reference)
    return Stored(
        image=image,
        side=Side(
            label=image.label,
            digest=file.image.digest,
            size_bytes=file.image.size_bytes,
            packages=file.image.packages,
            python=file.image.python,
            layers=tuple(file.image.layers),
            source=str(path),
        ),
        cells=file.cells,
        rows=rows,
        conditions=file.conditions,
        digest=hashlib.sha256(content).hexdigest(),
    )


def _require_sense(cells: Sequence[Cell], rows: StoredRows) -> None:
    """ValueError for what no run leaves."""
    if not any(rows.values()):
        raise ValueError("it has no row: nothing was measured")
    names = {cell.id for cell in cells}
    if len(names) != len(cells):
        raise ValueError("a cell is named twice")
    if any(cell.batch_size is not None and cell.batch_size <= 0 for cell in cells):
        raise ValueError("a batch size is below 1")
    if min(rows, default=0) < 0 or any(not names.issuperset(found) for found in rows.values()):
        raise ValueError("a row is of no cell, or of no block")


def _rows(file: _File) -> StoredRows:
    """ValueError where a row cannot have been measured."""
    if tuple(file.columns) != Record._fields:
        raise ValueError(f"its columns are {', '.join(file.columns)}; another version wrote it")
    texts = [tuple(row[1:]) for row in file.rows]
    if any(len(text) != len(Record._fields) for text in texts):
        raise ValueError("a row has too few or too many columns")
    records = records_of(texts)
    if len(records) != len(texts):
        raise ValueError("a row holds what cannot be measured")
    found: dict[int, dict[str, Record]] = {}
    for row, record in zip(file.rows, records, strict=True):
        if found.setdefault(int(row[0]), {}).setdefault(record.cell, record) is not record:
            raise ValueError("a row is there twice")
    return found


def _to_json(stored: Stored) -> str:
    image, side = stored.image, stored.side
    head: dict[str, Any] = {
        "benchmatrix_baseline": VERSION,
        "image": {
            "name": image.name,
            "version": image.version,
            "reference": image.reference,
            "digest": side.digest,
            "size_bytes": side.size_bytes,
            "packages": dict(side.packages),
            "python": side.python,
            "layers": list(side.layers),
        },
        "conditions": dataclasses.asdict(stored.conditions),
    }
    lists: Mapping[str, list[Any]] = {
        "cells": [dataclasses.asdict(cell) for cell in stored.cells],
        "columns": list(Record._fields),
        "rows": [[str(block), *_texts(stored.rows[block][cell])] for block in sorted(stored.rows) for cell in sorted(stored.rows[block])],
    }
    separator = ",\n"
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    parts += [f"{json.dumps(key)}: [\n{separator.join(map(json.dumps, items))}\n]" for key, items in lists.items()]
    return "{\n" + separator.join(parts) + "\n}\n"


def _texts(row: Any) -> list[str]:
    values = (getattr(row, column) for column in Record._fields)
    return ["" if value is None else str(value) for value in values]


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors()[0]
        return f"{'.'.join(map(str, found['loc'])) or 'the file'}: {found['msg']}"
    return str(error).partition("\n")[0] or type(error).__name__
