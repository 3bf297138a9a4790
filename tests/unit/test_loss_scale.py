"""Training in float16 autocast: gradients that are small there without a scale of the loss are compared, and timed, with one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.cell import Cell
from harness.experiments.checking import Checked, check
from harness.experiments.loss_scale import FIRST, HEADROOM, settled
from harness.experiments.steps import make_step, results
from harness.measure.clock import CpuClock
from harness.protocols import Outputs, Results, Subject
from harness.workloads.subjects import copy_of
from tests.said import Changing, Said, bench_of

AMP = Cell(workload="w/w", backend="eager", mode="training", precision="amp")
SETTINGS: dict[str, Any] = {"mode": "training", "precision": "amp", "device": "cpu"}


@pytest.fixture(autouse=True)
def half() -> Iterator[None]:
    """What autocast takes on a GPU."""
    before = torch.get_autocast_dtype("cpu")
    torch.set_autocast_dtype("cpu", torch.float16)
    yield
    torch.set_autocast_dtype("cpu", before)


class Chain(nn.Module):
    """Two layers, so that gradients pass through float16; the one before the last is of ``factor``."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.second(self.first(x)).to(torch.promote_types(x.dtype, torch.float32)) * self.factor)


def subject_of(factor: float, **settings: Any) -> Subject:
    return Subject(model=Chain(factor), inputs=(torch.randn(64, 16),), loss=lambda outputs: outputs.sum(), **settings)


def gradients(subject: Subject, precision: str = "amp") -> dict[str, torch.Tensor]:
    found: Results = results(make_step(subject.model, subject, mode="training", precision=precision, device="cpu"))
    made: dict[str, torch.Tensor] = {**found["gradients"], "input": found["input gradients"][0]}
    return made


def exact(subject: Subject) -> dict[str, torch.Tensor]:
    own = copy_of(subject)
    own.model = own.model.double()
    own.inputs = tuple(tensor.double() for tensor in own.inputs)
    return gradients(own, "float64")


def worst_error(subject: Subject) -> float:
    true = exact(subject)
    found = gradients(copy_of(subject))
    return max(float((found[name].double() - true[name]).norm() / true[name].norm()) for name in true)


def test_small_gradients_are_lost_without_a_scale_and_are_there_with_the_one_that_is_found() -> None:
    subject = subject_of(1e-8)
    assert worst_error(subject_of(1e-8, loss_scale=1.0)) > 0.5
    found = settled(subject, AMP, 1)
    assert found.loss_scale == FIRST
    assert worst_error(found) < 0.01


def test_large_gradients_do_not_overflow() -> None:
    subject = subject_of(10.0)
    assert not all(bool(torch.isfinite(gradient).all()) for gradient in gradients(subject_of(10.0, loss_scale=FIRST)).values())
    found = settled(subject, AMP, 1)
    assert found.loss_scale is not None
    assert 1 < found.loss_scale < FIRST
    assert worst_error(found) < 0.01
    at_the_edge = subject_of(10.0, loss_scale=found.loss_scale * HEADROOM * 2)
    assert not all(bool(torch.isfinite(gradient).all()) for gradient in gradients(at_the_edge).values()), "the largest was found"


def test_whom_it_is_sought_for_keeps_weights_gradients_and_random_numbers() -> None:
    subject = subject_of(1.0)
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    settled(subject, AMP, 1)
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())
    assert all(parameter.grad is None for parameter in subject.model.parameters())


@pytest.mark.parametrize("other", [{"mode": "inference"}, {"precision": "float32"}, {"precision": "float16"}])
def test_elsewhere_there_is_none(other: dict[str, Any]) -> None:
    subject = subject_of(1.0)
    assert settled(subject, dataclasses.replace(AMP, **other), 1) is subject


def test_calls_do_the_same_again_and_parameters_stay() -> None:
    subject = subject_of(1e-8, loss_scale=FIRST)
    step = make_step(subject.model, subject, **SETTINGS)
    weight = subject.model.get_parameter("first.weight")
    before = weight.detach().clone()
    seen = []
    for _ in range(3):
        step.call()
        assert weight.grad is not None
        seen.append(weight.grad.clone())
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(before, weight)


class Unreached(nn.Module):
    """Its parameter is in no output."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def test_parameters_without_a_gradient_are_no_error() -> None:
    subject = Subject(model=Unreached(), inputs=(torch.ones(3),))
    step = make_step(subject.model, subject, **SETTINGS)
    step.call()
    step.call()


def test_the_check_passes_and_tells_the_scale(tmp_path: Path) -> None:
    said = Said(tmp_path)
    checked = check(bench_of(AMP, subject_of(1e-8), Changing(), CpuClock(), said))
    assert isinstance(checked, Checked)
    assert said.fields["loss_scale"] == FIRST
    assert said.fields["eager_error"] < 0.01


class Roughly(torch.autograd.Function):
    """Of float32 alone: another gradient than the exact one."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * (2 if gradient.dtype == torch.float64 else 4)


class Rough(nn.Module):
    def forward(self, x: torch.Tensor) -> Outputs:
        return Roughly.apply(x)  # type: ignore[no-untyped-call]


def test_a_gradient_of_eagers_that_is_wrong_is_said_and_takes_no_reference_away(tmp_path: Path) -> None:
    said = Said(tmp_path)
    cell = Cell(workload="w/w", backend="eager", mode="training")
    check(bench_of(cell, Subject(model=Rough(), inputs=(torch.randn(8),)), Changing(), CpuClock(), said))
    assert said.warnings == ["eager_inexact"]
    assert said.fields["eager_error"] == pytest.approx(1.0)
