"""A step of training shows a wrong backward: its gradients are of a size that a tolerance can see."""

from __future__ import annotations

import pytest
import torch

from harness.experiments.steps import make_step, weighted_sum_of_outputs
from harness.measure.accuracy import compare, default_tolerance
from harness.protocols import Subject
from tests.unit.test_micro import NAMES, load


class NoGradient(torch.autograd.Function):
    """Right forward, zero backward."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, *gradients: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(gradients[0])


def results(subject: Subject, precision: str, *, broken: bool = False) -> dict[str, object]:
    def function(*inputs: torch.Tensor) -> torch.Tensor:
        wrong = [NoGradient.apply(x) if broken and x.is_floating_point() else x for x in inputs]  # type: ignore[no-untyped-call]
        output: torch.Tensor = subject.model(*wrong)
        return output

    found = make_step(function, subject, mode="training", precision=precision, device="cpu").results()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("adam_step_foreach", "embedding_bag")])
def test_a_wrong_backward_is_found_in_every_workload(name: str) -> None:
    tolerance = default_tolerance("training", "float32")
    eager = results(load(name, mode="training"), "float32")
    exact_subject = load(name, mode="training")
    exact_subject.model = exact_subject.model.double()
    exact_subject.inputs = tuple(x.double() if x.is_floating_point() else x for x in exact_subject.inputs)
    reference = results(exact_subject, "float64")
    assert compare(eager, results(load(name, mode="training"), "float32"), reference, tolerance).same
    assert not compare(eager, results(load(name, mode="training"), "float32", broken=True), reference, tolerance).same


def test_the_loss_has_gradients_of_unit_size() -> None:
    x = torch.randn(64, 64, requires_grad=True)
    weighted_sum_of_outputs((x, torch.arange(3))).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert float(x.grad.std()) == pytest.approx(1.0, rel=0.02)


def test_nothing_to_train_is_said() -> None:
    with pytest.raises(ValueError, match="nothing to train"):
        weighted_sum_of_outputs(torch.ones(3))
