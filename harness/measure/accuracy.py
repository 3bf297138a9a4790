"""Is a result right? The rule of the ancestor, by torch's own function; and how large the error is, as a number.

Two results are the same when ``allclose(eager, result, tol, tol)``, or when the result's root-mean-square error against
float64 is at most ``k * eager's error + tol / 10``, with k = 2 in float32 and 3 in half precision or below 1000 elements.
Source: ``torch._dynamo.utils.same``, which ``benchmarks/dynamo/common.py`` uses with these arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch._dynamo.utils import same
from torch.utils import _pytree as pytree

from harness.protocols import Outputs, Tolerance

TOLERANCES = {
    "inference": {"float32": 1e-4, "float16": 1e-3, "bfloat16": 1e-2, "amp": 1e-2},
    "training": {"float32": 1e-3, "float16": 1e-2, "bfloat16": 1e-2, "amp": 1e-2},
}
"""Absolute and relative tolerance by mode and precision, as the ancestor's suites choose them."""


def default_tolerance(mode: str, precision: str) -> Tolerance:
    return Tolerance(absolute_and_relative=TOLERANCES[mode][precision])


@dataclass(frozen=True, kw_only=True)
class Comparison:
    same: bool
    reason: str
    """What differs; empty where nothing does."""


def compare(eager: Outputs, result: Outputs, reference: Outputs | None, tolerance: Tolerance) -> Comparison:
    """Compare a backend's result with eager's. ``reference``: the same in float64, or None where there is none."""
    messages: list[str] = []

    def note(message: str, *arguments: object) -> None:
        messages.append(message % arguments if arguments else message)

    try:
        agreed = same(
            eager,
            result,
            reference,
            cos_similarity=tolerance.cosine,
            tol=tolerance.absolute_and_relative,
            equal_nan=True,
            log_error=note,
            use_larger_multiplier_for_smaller_tensor=True,
        )
    except (AssertionError, RuntimeError) as error:
        # Another structure, another shape: torch asserts where it cannot compare.
        return Comparison(same=False, reason=f"results cannot be compared: {error}")
    if agreed:
        return Comparison(same=True, reason="")
    return Comparison(same=False, reason="; ".join(messages) or f"results differ by more than {tolerance}")


def relative_error(result: Outputs, reference: Outputs | None) -> float | None:
    """Largest over the outputs of rms(result - reference) / rms(reference); None without a float64 reference.

    Integer outputs do not count. An output whose reference is zero everywhere counts with its absolute error; a result that
    is not finite where its reference is makes the error infinite.
    """
    if reference is None:
        return None
    worst: float | None = None
    for value, exact in zip(pytree.tree_leaves(result), pytree.tree_leaves(reference), strict=False):
        if not (isinstance(value, torch.Tensor) and isinstance(exact, torch.Tensor) and exact.dtype == torch.float64):
            continue
        if value.shape != exact.shape:
            return math.inf
        finite = torch.isfinite(exact)
        difference = (value.to(torch.float64) - exact)[finite]
        scale = _rms(exact[finite]) or 1.0
        error = _rms(difference) / scale
        error = math.inf if math.isnan(error) else error
        worst = error if worst is None else max(worst, error)
    return worst


def _rms(values: torch.Tensor) -> float:
    return math.sqrt(float(torch.mean(values * values))) if values.numel() else 0.0
