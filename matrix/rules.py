"""Rules and marks of the configuration: which cells they are about, and what marks say of them. Pure."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable
from typing import Any

from harness.cell import Cell, Terms
from harness.choice import parse_choice
from matrix.config import MarginRule, Mark, Rule

TERMS = {field.name for field in dataclasses.fields(Terms)} - {"reason"}


def matches(rule: Rule | MarginRule, image: str, cell: Cell) -> bool:
    """Whether a rule is about this cell of this image (its name in the configuration)."""
    return (
        (not rule.image or image in rule.image)
        and (not rule.workload or is_named(cell.workload, rule.workload))
        and (not rule.backend or is_of(cell, rule.backend))
        and (not rule.mode or cell.mode in rule.mode)
        and (not rule.precision or cell.precision in rule.precision)
        and (not rule.shapes or cell.shapes in rule.shapes)
        and (not rule.device or cell.device in rule.device)
    )


def is_of(cell: Cell, backends: Iterable[str]) -> bool:
    return any(parse_choice(backend).matches(cell.backend, cell.options) for backend in backends)


def is_named(workload: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(workload, pattern) for pattern in patterns)


def left_out(marks: Iterable[Mark], image: str, cell: Cell, *, no_skip: bool, fast: bool) -> str | None:
    """Why marks leave a cell out; None where they do not."""
    skip = slow = None
    for mark in marks:
        if (mark.skip, mark.slow) != (None, None) and matches(mark, image, cell):
            skip = skip if mark.skip is None else mark if mark.skip else None
            slow = slow if mark.slow is None else mark if mark.slow else None
    if skip is not None and not no_skip:
        return skip.reason
    return f"slow: {slow.reason}" if slow is not None and fast else None


def terms_of(marks: Iterable[Mark], image: str, cell: Cell) -> Terms:
    """What marks say of a cell that is run: of each thing, the last that says it."""
    said: dict[str, Any] = {}
    for mark in marks:
        if matches(mark, image, cell):
            mine = mark.model_dump(include=TERMS, exclude_none=True)
            said |= {**mine, "reason": mark.reason} if mark.nondeterministic else mine
    return Terms(**said)
