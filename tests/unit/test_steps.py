"""A step of training shows a wrong backward: its gradients are of a size that a tolerance can see."""

from __future__ import annotations

import functools

import pytest
import torch

from harness.experiments.steps import make_step, surroundings, weighted_sum_of_outputs
from harness.experiments.steps import results as step_results
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

    return step_results(make_step(function, subject, mode="training", precision=precision, device="cpu"))


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


def test_a_timed_step_leaves_the_parameters_as_they_were_checked() -> None:
    subject = load("linear_gelu_mlp", mode="training")
    step = make_step(subject.model, subject, mode="training", precision="float32", device="cpu")
    before = [parameter.detach().clone() for parameter in subject.model.parameters()]
    for _ in range(3):
        step.call()
    assert all(torch.equal(one, other) for one, other in zip(before, subject.model.parameters(), strict=True))
    assert all(parameter.grad is not None for parameter in subject.model.parameters())
    step.release()
    assert all(parameter.grad is None for parameter in subject.model.parameters())
    step_results(step)
    assert not all(torch.equal(one, other) for one, other in zip(before, subject.model.parameters(), strict=True))


def test_a_timed_call_of_inference_is_the_function_itself() -> None:
    """What the harness does around it (no gradients) is entered once for all calls."""
    subject = load("softmax", mode="inference")
    step = make_step(subject.model, subject, mode="inference", precision="float32", device="cpu")
    assert isinstance(step.call, functools.partial)
    assert step.call.func is subject.model
    with surroundings("inference"):
        assert not torch.is_grad_enabled()
    with surroundings("training"):
        assert torch.is_grad_enabled()


def test_a_loss_is_a_result_where_it_is_the_workload_s_own() -> None:
    """Of ours, a sum that cancels, eager and a right backend have errors that differ by any factor."""
    assert "loss" not in results(load("cumsum", mode="training"), "bfloat16")
    own = load("softmax", mode="training")
    own.loss = lambda outputs: outputs.square().sum()
    assert set(results(own, "float32")) >= {"outputs", "loss", "input gradients"}
