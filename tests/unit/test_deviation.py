from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from harness.measure import deviation
from harness.measure.deviation import common_size, error_of, largest_error, size_of
from harness.measure.memory import peak_of

INF, NAN = math.inf, math.nan
# Parts are small here: threads would wait for each other more than they do.
pytestmark = pytest.mark.usefixtures("one_thread")


def naive_size(values: torch.Tensor) -> float:
    return float(values.to(torch.float64).square().mean().sqrt())


@pytest.mark.parametrize("part", [1, 7, 1 << 20])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_of_finite_values_in_any_number_of_parts(monkeypatch: pytest.MonkeyPatch, part: int, dtype: torch.dtype) -> None:
    monkeypatch.setattr(deviation, "PART_ELEMENTS", part)
    generator = torch.Generator().manual_seed(0)
    exact = torch.randn(5, 3, 2, dtype=torch.float64, generator=generator)
    result = (exact + 0.25 * torch.randn(5, 3, 2, dtype=torch.float64, generator=generator)).to(dtype)
    exact[0, 0, 0], exact[1, 1, 1], exact[4, 2, 1] = INF, NAN, -INF
    finite = exact.isfinite()
    apart = (result.to(torch.float64) - exact)[finite]
    assert size_of(exact) == pytest.approx(naive_size(exact[finite]), rel=1e-14)
    assert error_of(result, exact) == pytest.approx(naive_size(apart), rel=1e-14)
    assert largest_error(result, exact) == float(apart.abs().max())
    assert common_size(result, exact) == pytest.approx(naive_size(result[finite]), rel=1e-14)
    assert common_size(exact, result) == size_of(exact)


def test_elements_are_told_apart_by_where_they_are_and_not_by_how_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deviation, "PART_ELEMENTS", 5)
    exact = torch.arange(12.0, dtype=torch.float64).reshape(3, 4)
    transposed = exact.t().contiguous().t()
    assert transposed.stride() != exact.stride()
    assert error_of(transposed, exact) == largest_error(transposed, exact) == 0.0
    assert error_of(exact.t(), exact.t().contiguous()) == 0.0
    assert error_of(exact.expand(2, 3, 4), exact.expand(2, 3, 4) + 2) == 2.0


def test_what_requires_a_gradient_is_looked_at_and_no_graph_is_made() -> None:
    leaf = torch.ones(3, requires_grad=True)
    assert size_of(leaf) == common_size(leaf, leaf) == 1.0
    assert error_of(leaf, leaf.detach() + 2) == largest_error(leaf, leaf.detach() + 2) == 2.0


def test_a_result_that_is_not_finite_where_it_should_be_is_infinitely_wrong() -> None:
    exact = torch.tensor([1.0, 2.0], dtype=torch.float64)
    for wrong in (INF, -INF, NAN):
        result = torch.tensor([1.0, wrong])
        assert not math.isfinite(error_of(result, exact))
        assert not math.isfinite(largest_error(result, exact))
        assert common_size(exact, result) == 1.0


def test_of_nothing() -> None:
    for nothing in (torch.empty(0), torch.empty(3, 0), torch.tensor([NAN, INF])):
        assert size_of(nothing) == common_size(nothing, nothing) == error_of(nothing, nothing) == 0.0
        assert largest_error(nothing, nothing) == 0.0
    assert size_of(torch.tensor(-3.0)) == 3.0


@pytest.mark.parametrize("lie", [lambda leaf: leaf, lambda leaf: leaf.transpose(0, 1), lambda leaf: leaf.permute(2, 0, 1)])
@pytest.mark.parametrize("look", [lambda result, exact: size_of(exact), error_of, largest_error, common_size])
def test_a_look_takes_a_small_part_of_what_it_looks_at(
    monkeypatch: pytest.MonkeyPatch, look: Callable[[torch.Tensor, torch.Tensor], float], lie: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    # As small beside these 192 MiB as parts are beside results that fill a GPU: holes of a heap that is not pinned are some parts large.
    monkeypatch.setattr(deviation, "PART_ELEMENTS", 1 << 16)
    exact = lie(torch.ones(3, 2048, 4096, dtype=torch.float64))
    result = torch.ones(exact.shape, dtype=torch.bfloat16)
    look(result[:1, :1], exact[:1, :1])
    taken = peak_of(lambda: look(result, exact), "cpu").beyond_bytes
    assert taken is not None
    assert taken < 0.1 * exact.nbytes
