"""Accuracy: is a result right, and how large is its error?"""

from __future__ import annotations

import math

import pytest
import torch

from harness.measure import accuracy
from harness.measure.accuracy import compare, compare_groups, default_tolerance, relative_error
from harness.protocols import Tolerance

FP32 = default_tolerance("inference", "float32")


def test_equal_results_are_the_same() -> None:
    x = torch.randn(100)
    assert compare(x, x.clone(), x.double(), FP32).same


@pytest.mark.parametrize(
    "wrong",
    [torch.ones(100), torch.zeros(99), torch.full((100,), math.nan), torch.zeros(100, dtype=torch.float64)],
    ids=["value", "shape", "nan", "dtype"],
)
def test_a_wrong_result_is_not_the_same_and_says_why(wrong: torch.Tensor) -> None:
    exact = torch.zeros(100)
    found = compare(exact, wrong, exact.double(), FP32)
    assert not found.same
    assert found.reason


def test_want_of_memory_says_nothing_of_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def same(*arguments: object, **options: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(accuracy, "same", same)
    with pytest.raises(MemoryError):
        compare(torch.zeros(3), torch.zeros(3), None, FP32)


def test_another_structure_is_not_the_same() -> None:
    x = torch.zeros(3)
    assert not compare((x, x), (x,), None, FP32).same
    assert not compare({"a": x}, {"b": x}, None, FP32).same
    assert not compare((x,), x, None, FP32).same


@pytest.mark.parametrize(
    ("eager", "wrong"),
    [
        (torch.zeros(5, 1), torch.zeros(5, 5)),
        (torch.zeros(4), torch.zeros(1, 4)),
        (torch.zeros(4), (torch.zeros(4),) * 2),
        (torch.tensor([math.nan, 1.0, 2.0]), torch.tensor([math.nan, 9.0, -7.0])),
        (torch.tensor([math.nan, 1.0]), torch.tensor([1.0, math.nan])),
        (torch.ones(3), 1.0),
    ],
    ids=["broadcast", "extra axis", "number of outputs", "beside a nan", "nan elsewhere", "no tensor"],
)
def test_what_torch_alone_would_let_through_is_not_the_same(eager: torch.Tensor, wrong: object) -> None:
    found = compare(eager, wrong, None, FP32)
    assert not found.same
    assert found.reason


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [1e-2, 1e-6])
def test_values_below_the_tolerance_are_compared_by_their_size(precision: str, size: float) -> None:
    """Gradients of a mean, probabilities over a vocabulary: zeros in their place are wrong."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    tolerance = default_tolerance("training", precision)
    exact = size * torch.randn(5000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    eager = exact.to(dtype)
    assert not compare(eager, torch.zeros_like(eager), exact, tolerance).same
    assert compare(eager, (exact * (1 + 1e-4)).to(dtype), exact, tolerance).same


def test_an_output_that_is_zero_but_for_rounding_has_no_say() -> None:
    exact = [torch.ones(10, dtype=torch.float64), torch.full((10,), 1e-17, dtype=torch.float64)]
    eager = [torch.ones(10), torch.zeros(10)]
    assert compare(eager, [torch.ones(10), torch.full((10,), 1e-8)], exact, FP32).same


def test_an_error_within_twice_eagers_is_accepted_against_float64() -> None:
    exact = torch.linspace(1, 2, 5000, dtype=torch.float64)
    noise = torch.randn(5000, generator=torch.Generator().manual_seed(1))
    eager = (exact + 0.01 * noise).float()
    assert compare(eager, (exact - 0.015 * noise).float(), exact, FP32).same
    assert not compare(eager, (exact - 0.030 * noise).float(), exact, FP32).same


@pytest.mark.parametrize("size", [1e-3, 1.0, 300.0, 1e6])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_gradients_are_judged_alike_whatever_the_size_of_the_loss(size: float, precision: str) -> None:
    """Eager rounds off little, the backend ten times as much: below the tolerance of a gradient of size 1."""
    tolerance = Tolerance(absolute_and_relative=1e-2)
    dtype = {"float32": torch.float32, "float16": torch.float16}[precision]
    scale = min(size, 1e3) if precision == "float16" else size
    generator = torch.Generator().manual_seed(1)
    exact = scale * torch.randn(5000, dtype=torch.float64, generator=generator)
    noise = scale * torch.randn(5000, dtype=torch.float64, generator=generator)

    def said(error: float, group: str = "gradients") -> bool:
        eager, result = (exact + 1e-5 * noise).to(dtype), (exact + error * noise).to(dtype)
        return compare_groups({group: [eager]}, {group: [result]}, {group: [exact]}, tolerance).same

    assert said(7e-4)
    assert not said(0.3)
    if size >= 1:
        assert not said(5e-3)
    assert said(7e-4, "outputs") == (size <= 1), "the size of an output is the workload's own"


@pytest.mark.parametrize(("elements", "multiplier"), [(10, 10), (500, 8), (900, 3), (5000, 2)])
def test_small_tensors_of_a_marked_workload_may_be_further_from_float64(elements: int, multiplier: int) -> None:
    exact = torch.linspace(1, 2, elements, dtype=torch.float64)
    noise = torch.randn(elements, generator=torch.Generator().manual_seed(1))
    eager = (exact + 0.1 * noise).float()
    marked = Tolerance(absolute_and_relative=1e-2, larger_multiplier_for_smaller_tensors=True)
    below, above = ((exact - 0.1 * factor * multiplier * noise).float() for factor in (0.95, 1.05))
    assert compare(eager, below, exact, marked).same
    assert not compare(eager, above, exact, marked).same
    assert compare(eager, below, exact, Tolerance(absolute_and_relative=1e-2)).same == (multiplier <= 3)


def test_cosine_compares_direction_and_size_where_a_workload_says_so() -> None:
    x = torch.linspace(1, 2, 2000)
    by_direction = Tolerance(absolute_and_relative=1e-4, cosine=True)
    assert compare(x, 1.05 * x, None, by_direction).same
    assert not compare(x, 1.05 * x, None, FP32).same
    assert not compare(x, 1000 * x, x.double(), by_direction).same, "a direction knows no scale"
    assert not compare(x, -x, None, by_direction).same


def test_relative_error_is_the_worst_output_in_units_of_its_size() -> None:
    exact = [torch.full((10,), 100.0, dtype=torch.float64), torch.full((10,), 0.1, dtype=torch.float64)]
    result = [torch.full((10,), 101.0), torch.full((10,), 0.102)]
    error = relative_error(result, exact)
    assert error == pytest.approx(0.02, rel=1e-4)
    assert relative_error(result, None) is None
    assert relative_error([torch.full((10,), math.nan), result[1]], exact) == math.inf
    assert relative_error([torch.tensor([1, 2])], [torch.tensor([1, 2])]) is None
