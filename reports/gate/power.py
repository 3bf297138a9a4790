"""What a gate finds four times in five: by its own looks, margins and confirmation, over noise of a given size. Pure."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike

from reports.gate.procedure import Procedure
from reports.statistics import POWER, Floats, bound, hodges_lehmann

TRIALS = 4000
"""Gates that are drawn: a power of 0.8 is known to within 0.006 (standard error)."""
SEED = 1
CELLS_AT_ONCE = 256


@functools.cache
def _drawn(procedure: Procedure, trials: int) -> tuple[tuple[Floats, Floats, Floats], ...]:
    """By look, and last of the confirmation: (lower bound by which it is significant, estimate, upper bound by which it is equivalent) of
    differences with a standard deviation of 1; shape (trials,) each.
    """
    random = np.random.default_rng(SEED)
    screened, confirmed = (random.standard_normal((trials, blocks)) for blocks in (procedure.looks[-1], procedure.confirm))
    return tuple(
        (bound(values, procedure.alpha, "lower"), hodges_lehmann(values), bound(values, procedure.bound_level, "upper"))
        for values in (*(screened[:, :look] for look in procedure.looks), confirmed)
    )


def smallest_effect(noise: ArrayLike, delta: ArrayLike, tolerable: ArrayLike, procedure: Procedure, trials: int = TRIALS) -> Floats:
    """The slowdown (as 0.03) that a gate calls ``regressed`` with a probability of ``POWER``, where it is the only one; shape (cells,).

    noise: standard deviation of the logarithms of either image's launches, for normal noise; delta, tolerable: the margins, as 0.02 and
    0.05. Infinite where so few blocks find nothing; never below delta.

    A gate finds an effect where it finds a smaller one: each trial has an effect from which on it is found, and what is looked for is
    their quantile. Seeded: the same numbers give the same answer.
    """
    noises, worths, limits = np.broadcast_arrays(*(np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in (noise, delta, tolerable)))
    found = np.empty(noises.shape)
    for first in range(0, len(found), CELLS_AT_ONCE):
        chunk = slice(first, first + CELLS_AT_ONCE)
        found[chunk] = _smallest(noises[chunk], worths[chunk], limits[chunk], procedure, trials)
    return found


def _smallest(noise: Floats, delta: Floats, tolerable: Floats, procedure: Procedure, trials: int) -> Floats:
    # A difference of two launches varies by both. What never varies is found from delta on.
    deviation = np.maximum(np.sqrt(2) * noise, 1e-12)[:, None]
    worth, limit = np.log1p(delta)[:, None] / deviation, np.log1p(tolerable)[:, None] / deviation
    *looks, (low, estimate, _) = _drawn(procedure, trials)
    confirmed = np.maximum(-low, worth - estimate)
    # From which effect on a look flags a cell that those before it have not called equivalent.
    flagged = np.full(confirmed.shape, np.inf)
    kept = np.full(confirmed.shape, -np.inf)
    for low, estimate, high in looks:
        flagged = np.minimum(flagged, np.maximum(kept, np.maximum(-low, worth - estimate)))
        kept = np.maximum(kept, limit - high)
    enough = np.quantile(np.maximum(flagged, confirmed), POWER, axis=-1, method="higher")
    effect: Floats = np.maximum(delta, np.expm1(enough * deviation[:, 0]))
    return effect
