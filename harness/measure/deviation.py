"""How large a tensor is and how far from another, in float64.

A part at a time: a check looks at results that are as large as memory allows, and what it takes for itself would decide what fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch

PART_ELEMENTS = 1 << 20
"""That are looked at at one time: some 30 MB, of which a GPU is busy for long enough and a CPU's cache holds most."""


def size_of(leaf: torch.Tensor) -> float:
    """Root mean square of what is finite in it; 0 where nothing is."""
    return _root_mean_square(((part, part.isfinite()) for (part,) in _parts(leaf)), leaf.device)


def common_size(leaf: torch.Tensor, other: torch.Tensor) -> float:
    """Root mean square of what is finite in both. The same shapes."""
    return _root_mean_square(((mine, mine.isfinite() & theirs.isfinite()) for mine, theirs in _parts(leaf, other)), leaf.device)


def error_of(result: torch.Tensor, exact: torch.Tensor) -> float:
    """Root mean square of the difference, where ``exact`` is finite; not finite where the result is not. The same shapes."""
    return _root_mean_square(_differences(result, exact), exact.device)


def largest_error(result: torch.Tensor, exact: torch.Tensor) -> float:
    """Largest absolute difference, where ``exact`` is finite; not finite where the result is not. The same shapes."""
    largest = torch.zeros((), dtype=torch.float64, device=exact.device)
    for difference, counted in _differences(result, exact):
        torch.maximum(largest, torch.where(counted, difference, 0).abs().max(), out=largest)
    return float(largest)


def _differences(result: torch.Tensor, exact: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for found, expected in _parts(result, exact):
        yield found.to(expected.device, torch.float64) - expected, expected.isfinite()


def _parts(*leaves: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Of each leaf the same elements, flat; nothing of empty ones. However they lie in memory: no more than a part is ever copied."""
    shape, elements = leaves[0].shape, leaves[0].numel()
    if elements > PART_ELEMENTS:
        dimension = next(number for number, size in enumerate(shape) if size > 1)
        rows = max(1, PART_ELEMENTS * shape[dimension] // elements)
        for pieces in zip(*(torch.split(leaf, rows, dimension) for leaf in leaves), strict=True):
            yield from _parts(*pieces)
    elif elements:
        yield tuple(leaf.detach().reshape(-1) for leaf in leaves)


def _root_mean_square(parts: Iterable[tuple[torch.Tensor, torch.Tensor]], device: torch.device) -> float:
    """Of the values of which the second of a pair is true; 0 of no values."""
    total = torch.zeros((), dtype=torch.float64, device=device)
    count = torch.zeros((), dtype=torch.int64, device=device)
    for values, counted in parts:
        kept = torch.where(counted, values.to(torch.float64), 0)
        # In place: where something small is kept of every part, the heap cannot use the room between them for the next.
        total += torch.dot(kept, kept)
        count += counted.sum()
    return math.sqrt(float(total) / int(count)) if count else 0.0
