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
SHOWN_DIGITS = 6
"""Significant digits of a number in the file: more than anybody is shown, and fewer than a measurement has noise in."""
MOST_POWER = 300
"""Of ten, that a double holds."""
EXACT = 1e-6
"""Of the last digit: what is no farther from a whole one than this is that, in a computer's arithmetic."""


def numbers(values: NDArray[Any]) -> str:
    """An array as JSON has it: integers as they are, others as ``rounded`` leaves them, ``null`` for what is not finite."""
    if values.dtype.kind == "f" and len(values) and not np.isfinite(values).all():
        return json.dumps(np.where(np.isfinite(values), values, np.nan).tolist(), separators=_TIGHT).replace("NaN", "null")
    return json.dumps(values.tolist(), separators=_TIGHT)


def rounded(values: NDArray[np.float64], digits: int = SHOWN_DIGITS) -> NDArray[np.float64]:
    """To so many significant digits: numbers whose shortest text has no more, and that round to fewer digits as the whole numbers do.

    What is left out makes a last digit of 0 or 5 one more, so that no half is there which was none (rounding to odd, as binary arithmetic
    knows it; source: Boldo and Melquiond, "When double rounding is odd", 2005): 194.496 is not 194.5 first, and 195 then.
    """
    known = np.isfinite(values) & (values != 0)
    scale = np.floor(np.log10(np.abs(np.where(known, values, 1.0)))).astype(np.int64) - digits + 1
    # Dividing by a power of ten that is exact gives the number nearest to the digits; multiplying by its inverse does not.
    # Numbers that are nearly 0 or infinite stay as they are.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        power = 10.0 ** np.abs(scale)
        found = np.where(scale < 0, _kept(values * power) / power, _kept(values / power) * power)
    return np.where(known & np.isfinite(found), found, values)


def _kept(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers without what is behind their point; see ``rounded``."""
    nearest, cut = np.rint(scaled), np.trunc(scaled)
    odd = np.where(np.mod(cut, 5) == 0, cut + np.sign(scaled), cut)
    found: NDArray[np.float64] = np.where(np.abs(scaled - nearest) <= EXACT, nearest, odd)
    return found


def _rounded(value: float) -> float:
    """As ``rounded``, for a single number: an array of one takes ten times as long."""
    if value == 0:
        return value
    scale = math.floor(math.log10(abs(value))) - SHOWN_DIGITS + 1
    if abs(scale) > MOST_POWER:
        return value
    power = 10.0 ** abs(scale)
    scaled = value * power if scale < 0 else value / power
    nearest, cut = round(scaled), math.trunc(scaled)
    if abs(scaled - nearest) <= EXACT:
        kept = nearest
    else:
        kept = cut + (int(math.copysign(1, scaled)) if cut % 5 == 0 else 0)
    return kept / power if scale < 0 else kept * power


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
        return json.dumps(_rounded(value)) if math.isfinite(value) else "null"
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
