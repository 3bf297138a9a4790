"""What is checked is what is timed, whatever calls it takes until that is one thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.cell import Cell
from harness.experiments.checking import Checked, check
from harness.measure.clock import CpuClock
from harness.protocols import Backend, Evidence, Outputs, Subject, Tolerance
from harness.records import Status
from tests.said import Changing, Said, bench_of


class Counter(nn.Module):
    """Each call leaves its input, a buffer and its random numbers different from what it found."""

    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        if not torch.is_grad_enabled():
            x.mul_(2)
        return torch.dropout(self.scale * x + self.count, 0.5, train=True)


class Late(Backend):
    """Runs the model, times ``factor`` from its third call on."""

    compiles = True
    calls_until_final = 3

    def __init__(self, factor: float, tolerance: Tolerance | None = None) -> None:
        self.factor = factor
        self.tolerance = tolerance
        self.calls = 0

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        def call(*inputs: Any) -> Outputs:
            self.calls += 1
            return subject.model(*inputs) * (self.factor if self.calls >= 3 else 1.0)

        return call

    def evidence(self) -> Evidence:
        return Evidence(details={"calls": self.calls})


def outcome(backend: Backend, tmp_path: Path, mode: str) -> tuple[Checked | str, Said]:
    cell, said = Cell(workload="w/w", backend="late", mode=mode), Said(tmp_path)
    subject = Subject(model=Counter(), inputs=(torch.rand(4, 8),))
    return check(bench_of(cell, subject, backend, CpuClock("cold"), said)), said


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_every_call_before_the_final_one_begins_as_the_first(tmp_path: Path, mode: str) -> None:
    backend = Late(1.0)
    checked, said = outcome(backend, tmp_path, mode)
    assert isinstance(checked, Checked), said.fields
    assert backend.calls == 3
    assert said.fields["evidence"] == '{"calls": 3}'


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_a_backend_that_goes_wrong_later_is_found(tmp_path: Path, mode: str) -> None:
    checked, said = outcome(Late(1.5), tmp_path, mode)
    assert checked == Status.FAIL_ACCURACY
    assert said.fields["reason"].startswith("not the first call, but a later one: outputs: ")


def test_a_backends_own_tolerance_takes_the_place_of_the_precisions(tmp_path: Path) -> None:
    checked, said = outcome(Late(1.05, Tolerance(absolute_and_relative=0.0, cosine=True)), tmp_path, "inference")
    assert isinstance(checked, Checked), said.fields
    assert (said.fields["compared_by"], said.fields["tolerance"]) == ("cosine", pytest.approx(0.01))
    checked, said = outcome(Late(1.5, Tolerance(absolute_and_relative=0.0, cosine=True)), tmp_path, "inference")
    assert checked == Status.FAIL_ACCURACY
    assert "root mean square" in said.fields["reason"]


class NoDoubles(nn.Module):
    """Of half precision: it does not run in float64."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64:
            raise TypeError("no float64")
        return x * 3


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda y: y + 0.2 * torch.randn(y.shape).to(y.dtype), None),
        (lambda y: y * 1.2, Status.FAIL_ACCURACY),
        (lambda y: y.flip(0), Status.FAIL_ACCURACY),
        (torch.zeros_like, Status.FAIL_ACCURACY),
    ],
    ids=["rounding", "size", "order", "zeros"],
)
def test_half_precision_without_float64_is_compared_by_direction_and_size(
    tmp_path: Path, change: Callable[[torch.Tensor], torch.Tensor], status: str | None
) -> None:
    said = Said(tmp_path)
    torch.manual_seed(3)
    subject = Subject(model=NoDoubles(), inputs=(torch.randn(4096).to(torch.bfloat16),))
    cell = Cell(workload="w/w", backend="b", precision="bfloat16")
    found = check(bench_of(cell, subject, Changing(change), CpuClock(), said))
    assert found == status if status else isinstance(found, Checked)
    assert said.fields["compared_by"] == "cosine"
    assert said.warnings == ["no_fp64_reference"]


def test_float32_without_float64_is_compared_by_elements(tmp_path: Path) -> None:
    said = Said(tmp_path)
    subject = Subject(model=NoDoubles(), inputs=(torch.randn(64),))
    found = check(bench_of(Cell(workload="w/w", backend="b"), subject, Changing(lambda y: y + 0.01), CpuClock(), said))
    assert (found, said.fields["compared_by"]) == (Status.FAIL_ACCURACY, "elements")


class Draws(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(x.shape, dtype=x.dtype)


@pytest.mark.parametrize(("model", "said_of_numbers"), [(Draws(), True), (nn.Identity(), False)], ids=["draws", "does not"])
def test_what_draws_random_numbers_is_told_that_a_backend_may_draw_others(tmp_path: Path, model: nn.Module, said_of_numbers: bool) -> None:
    said = Said(tmp_path)
    backend = Changing(lambda y: y + torch.rand(y.shape, dtype=y.dtype))
    found = check(bench_of(Cell(workload="w/w", backend="b"), Subject(model=model, inputs=(torch.randn(64),)), backend, CpuClock(), said))
    assert found == Status.FAIL_ACCURACY
    assert ("inductor.fallback_random=true" in said.fields["reason"]) == said_of_numbers
