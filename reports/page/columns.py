"""Columns of texts and of numbers, and numbers by launch. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from reports.page.model import Floats, Indices, Words


def words_of(texts: Iterable[object]) -> Words:
    """A column of texts, in the order in which they first come."""
    if isinstance(texts, pd.Series):
        found, words = pd.factorize(texts.to_numpy(dtype=object))
        return Words(words=tuple(map(str, words)), codes=found.astype(np.int64))
    places: dict[str, int] = {}
    codes = [places.setdefault(str(text), len(places)) for text in texts]
    return Words(words=tuple(places), codes=np.array(codes, dtype=np.int64))


def empty_words(count: int) -> Words:
    return Words(words=("",) if count else (), codes=np.zeros(count, dtype=np.int64))


def floats_of(values: Sequence[float | None]) -> Floats:
    """NaN for None."""
    return np.array(values, dtype=np.float64)


def number(value: float) -> float | None:
    """None for what is not finite: it was not measured."""
    return float(value) if np.isfinite(value) else None


def medians_by(values: Floats, group: Indices, groups: int) -> Floats:
    """Median of each group's numbers, NaN where it has none; shape (n,) -> (groups,)."""
    found = np.full(groups, np.nan)
    there = np.isfinite(values)
    medians = pd.Series(values[there]).groupby(group[there]).median()
    found[medians.index.to_numpy(dtype=np.int64)] = medians.to_numpy(dtype=np.float64)
    return found


def by_place(values: Floats, group: Indices, place: Indices, groups: int) -> Floats:
    """Numbers as a table: shape (n,) -> (groups, places), NaN where there is none."""
    found = np.full((groups, int(place.max(initial=-1)) + 1), np.nan)
    found[group, place] = values
    return found
