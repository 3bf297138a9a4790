"""Values of the model as text of JSON. Pure."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.page.model import Words

_TIGHT = (",", ":")
SHOWN_DIGITS = 5
"""Significant digits of a number in the file: more than anybody is shown, and fewer than a measurement has noise in."""


def numbers(values: NDArray[Any]) -> str:
    """An array as JSON has it: integers as they are, others as ``rounded`` leaves them, ``null`` for what is not finite."""
    if values.dtype.kind == "f" and len(values) and not np.isfinite(values).all():
        return json.dumps(np.where(np.isfinite(values), values, np.nan).tolist(), separators=_TIGHT).replace("NaN", "null")
    return json.dumps(values.tolist(), separators=_TIGHT)


def rounded(values: NDArray[np.float64], digits: int = SHOWN_DIGITS) -> NDArray[np.float64]:
    """To so many significant digits: numbers whose shortest text has no more."""
    known = np.isfinite(values) & (values != 0)
    scale = np.floor(np.log10(np.abs(np.where(known, values, 1.0)))).astype(np.int64) - digits + 1
    # Dividing by a power of ten that is exact gives the number nearest to the digits; multiplying by its inverse does not.
    # Numbers that are nearly 0 or infinite stay as they are.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        power = 10.0 ** np.abs(scale)
        found = np.where(scale < 0, np.rint(values * power) / power, np.rint(values / power) * power)
    return np.where(known & np.isfinite(found), found, values)


def whole(values: NDArray[np.float64]) -> NDArray[Any]:
    """Numbers that count something, without a decimal point where none is missing."""
    return values.astype(np.int64) if len(values) and np.isfinite(values).all() else values


def array(items: Iterable[str]) -> str:
    return f"[{','.join(items)}]"


def mapping(items: Mapping[str, str]) -> str:
    """Of texts that are JSON already."""
    return "{" + ",".join(f"{text(name)}:{value}" for name, value in items.items()) + "}"


def column(values: NDArray[Any] | Words) -> str:
    """An array; of texts ``{"words": [...], "codes": [...]}``."""
    if isinstance(values, Words):
        return mapping({"words": array(map(text, values.words)), "codes": numbers(values.codes)})
    return numbers(rounded(values) if values.dtype.kind == "f" else values)


def text(value: str) -> str:
    """Only ASCII, and nothing that ends a script element or opens a comment in one. Halves of characters are replaced: other readers refuse them."""
    whole = value if value.isascii() else value.encode("utf-8", errors="replace").decode("utf-8")
    return json.dumps(whole).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plain(value: Any) -> str:
    """Of dataclasses and what they hold, field by field under their own names."""
    kind = type(value)
    if value is None or kind in (bool, int):
        return json.dumps(value)
    if kind is str:
        return text(value)
    if kind is float:
        return f"{value:.{SHOWN_DIGITS}g}" if math.isfinite(value) else "null"
    if kind in (tuple, list):
        return array(map(plain, value))
    if isinstance(value, (np.ndarray, Words)):
        return column(value)
    if isinstance(value, Mapping):
        return mapping({str(name): plain(item) for name, item in value.items()})
    if isinstance(value, enum.Enum):
        return plain(value.value)
    return mapping({name: plain(getattr(value, name)) for name in _names(kind)})


def without(value: Any, *left_out: str) -> str:
    """A dataclass without some of its fields."""
    return mapping({name: plain(getattr(value, name)) for name in _names(type(value)) if name not in left_out})


def _names(kind: type[Any]) -> tuple[str, ...]:
    if kind not in _NAMES:
        _NAMES[kind] = tuple(item.name for item in dataclasses.fields(kind))
    return _NAMES[kind]


_NAMES: dict[type[Any], tuple[str, ...]] = {}
"""Of the fields of a class: asked for ten thousand times."""
