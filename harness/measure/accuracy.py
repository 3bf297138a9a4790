"""Is a result right? The rule of the ancestor, by torch's own function; and how large the error is, as a number.

Two results are the same when ``allclose(eager, result, tol, tol)``, or when the result's root-mean-square error against
float64 is at most ``k * eager's error + tol / 10``, with k = 2 in float32 and 3 in half precision or below 1000 elements (8 up to 500
elements and 10 up to 10, of a workload whose small tensors are mostly rounding).
Source: ``torch._dynamo.utils.same``, which ``benchmarks/dynamo/common.py`` uses with these arguments.

That rule is one of absolute errors: it lets through anything whose values are smaller than the tolerance (gradients of a mean,
probabilities over a vocabulary), shapes that broadcast, and everything beside a NaN. So structure, shapes and NaNs are compared
first, and an output's error relative to its size may be at most ``10 * eager's + 10 * tol``. And it does not let through what is right
where values are large: a gradient is as large as the loss that somebody chose, so one whose root mean square is above 1 is compared in
units of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch._dynamo.utils import same
from torch.utils import _pytree as pytree

from harness.failures import is_out_of_memory
from harness.measure.deviation import common_size, error_of, size_of
from harness.protocols import GRADIENTS, Outputs, Results, Tolerance

TOLERANCES = {
    "inference": {"float32": 1e-4, "float16": 1e-3, "bfloat16": 1e-2, "amp": 1e-2},
    "training": {"float32": 1e-3, "float16": 1e-2, "bfloat16": 1e-2, "amp": 1e-2},
}
"""Absolute and relative tolerance by mode and precision, as the ancestor's suites choose them."""


COSINE_LIMIT = 0.99
"""Smallest cosine similarity of two results that are the same; written into torch's ``same``."""
RELATIVE_FACTOR = 10.0
NEGLIGIBLE = 1e-5
"""An output whose size is below this share of the largest one's (a gradient that is zero but for rounding) has no relative error."""


def default_tolerance(mode: str, precision: str) -> Tolerance:
    return Tolerance(absolute_and_relative=TOLERANCES[mode][precision])


@dataclass(frozen=True, kw_only=True)
class Comparison:
    same: bool
    reason: str
    """What differs; empty where nothing does."""


def compare(eager: Outputs, result: Outputs, reference: Outputs | None, tolerance: Tolerance, *, in_own_units: bool = False) -> Comparison:
    """Compare a backend's result with eager's.

    reference: the same in float64, or None where there is none; in_own_units: what is larger than 1 is compared as if it were 1.
    """
    reason = _difference_of_form(eager, result)
    if reason:
        return Comparison(same=False, reason=reason)
    units = _units(eager) if in_own_units else None
    messages: list[str] = []

    def note(message: str, *arguments: object) -> None:
        messages.append(message % arguments if arguments else message)

    try:
        agreed = same(
            _without_nan(_in_units(eager, units)),
            _without_nan(_in_units(result, units)),
            None if reference is None else _without_nan(_in_units(reference, units)),
            cos_similarity=tolerance.cosine,
            tol=tolerance.absolute_and_relative,
            log_error=note,
            use_larger_multiplier_for_smaller_tensor=tolerance.larger_multiplier_for_smaller_tensors,
        )
    except Exception as error:  # whatever torch cannot compare is not the same, but want of memory says nothing of it
        if is_out_of_memory(error):
            raise
        return Comparison(same=False, reason=f"results cannot be compared: {type(error).__name__}: {error}")
    if not agreed:
        if units is not None and max(units, default=1.0) > 1:
            messages.append("what is larger than 1 is in units of its size")
        return Comparison(same=False, reason="; ".join(messages) or f"results differ by more than {tolerance}")
    if tolerance.cosine:
        reason = _other_size(eager, result, tolerance.size)
    else:
        reason = _excess_error(eager, result, reference, tolerance.absolute_and_relative)
    return Comparison(same=not reason, reason=reason)


def compare_groups(
    eager: Results, result: Results, reference: Results | None, tolerance: Tolerance, *, by_direction: Collection[str] = ()
) -> Comparison:
    """The same group by group; the reason names the first that differs. by_direction: groups of which single elements mean nothing."""
    for group in eager:
        allowed = dataclasses.replace(tolerance, cosine=True) if group in by_direction else tolerance
        exact = None if reference is None else reference[group]
        found = compare(eager[group], result[group], exact, allowed, in_own_units=group in GRADIENTS)
        if not found.same:
            return Comparison(same=False, reason=f"{group}: {found.reason}")
    return Comparison(same=True, reason="")


def compare_forms(eager: Results, result: Results) -> Comparison:
    """Structure, shapes and places of NaN alone: for results that no two runs of eager agree in."""
    for group in eager:
        if reason := _difference_of_form(eager[group], result[group]):
            return Comparison(same=False, reason=f"{group}: {reason}")
    return Comparison(same=True, reason="")


def _difference_of_form(eager: Outputs, result: Outputs) -> str:
    """What differs in structure, shapes or places of NaN; empty where nothing does."""
    expected, found = pytree.tree_leaves(eager), pytree.tree_leaves(result)
    if len(expected) != len(found):
        return f"{len(found)} outputs where eager has {len(expected)}"
    for index, (one, other) in enumerate(zip(expected, found, strict=True)):
        if isinstance(one, torch.Tensor) != isinstance(other, torch.Tensor):
            return f"output {index} is a {type(other).__name__} where eager has a {type(one).__name__}"
        if not isinstance(one, torch.Tensor):
            continue
        if one.shape != other.shape:
            return f"output {index} has the shape {tuple(other.shape)} where eager has {tuple(one.shape)}"
        if one.is_floating_point() and other.is_floating_point() and not torch.equal(one.isnan(), other.isnan()):
            return f"output {index} is not a number in other places than eager"
    return ""


def _units(tree: Outputs) -> list[float]:
    """Of each leaf: the power of 2 below its root mean square, where that is above 1 (by which division is exact); else 1."""
    return [
        2.0 ** math.floor(math.log2(max(1.0, size_of(leaf)))) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else 1.0
        for leaf in pytree.tree_leaves(tree)
    ]


def _in_units(tree: Outputs, units: list[float] | None) -> Outputs:
    """The tree, each leaf divided by its unit; itself where there are none."""
    if units is None:
        return tree
    leaves, spec = pytree.tree_flatten(tree)
    return pytree.tree_unflatten([leaf if unit == 1 else leaf / unit for leaf, unit in zip(leaves, units, strict=True)], spec)


def _without_nan(tree: Outputs) -> Outputs:
    """NaNs as zeros: they are compared by their places, and would hide everything beside them. What has none is not copied."""

    def cleared(tensor: torch.Tensor) -> torch.Tensor:
        return torch.where(places, 0, tensor) if tensor.is_floating_point() and (places := tensor.isnan()).any() else tensor

    return pytree.tree_map_only(torch.Tensor, cleared, tree)


def relative_error(result: Outputs, reference: Outputs | None) -> float | None:
    """Largest over the outputs of rms(result - reference) / rms(reference); None without a float64 reference.

    Integer outputs do not count, nor outputs that are nothing but rounding beside the others (``NEGLIGIBLE``). A result that is not
    finite where its reference is makes the error infinite.
    """
    errors = None if reference is None else _relative_errors(result, reference)
    return max(errors.values()) if errors else None


def _excess_error(eager: Outputs, result: Outputs, reference: Outputs | None, tolerance: float) -> str:
    """The output whose relative error is far beyond eager's; empty where there is none."""
    if reference is None:
        return ""
    allowed, found = _relative_errors(eager, reference), _relative_errors(result, reference)
    for index, error in found.items():
        limit = RELATIVE_FACTOR * (allowed[index] + tolerance)
        if not error <= limit:
            return f"output {index} has the relative error {error:.2g} against float64; eager has {allowed[index]:.2g}, and {limit:.2g} is allowed"
    return ""


def _other_size(eager: Outputs, result: Outputs, share: float) -> str:
    """The output whose root mean square differs from eager's by more than ``share`` of it; empty where there is none."""
    for index, (one, other) in enumerate(zip(pytree.tree_leaves(eager), pytree.tree_leaves(result), strict=True)):
        if not isinstance(one, torch.Tensor) or not one.is_floating_point():
            continue
        size, found = common_size(one, other), common_size(other, one)
        if abs(found - size) > share * size:
            return (
                f"output {index} has the root mean square {found:.3g} where eager has {size:.3g}, and {share:.0%} of difference is allowed"
            )
    return ""


def _relative_errors(result: Outputs, reference: Outputs) -> dict[int, float]:
    """By the index of the output."""
    exact = {
        index: leaf
        for index, leaf in enumerate(pytree.tree_leaves(reference))
        if isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float64
    }
    leaves = pytree.tree_leaves(result)
    sizes = {index: size_of(leaf) for index, leaf in exact.items()}
    largest = max(sizes.values(), default=0.0)
    errors = {}
    for index, leaf in exact.items():
        size = sizes[index]
        value = leaves[index] if index < len(leaves) else None
        if not isinstance(value, torch.Tensor) or size <= NEGLIGIBLE * largest:
            continue
        if value.shape != leaf.shape:
            errors[index] = math.inf
            continue
        error = error_of(value, leaf) / size
        errors[index] = math.inf if math.isnan(error) else error
    return errors
