"""A step: what one call of a cell does, in inference and in training."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import is_fake
from torch.utils import _pytree as pytree

from harness.protocols import Call, Outputs, Results, Subject

OPTIMIZERS: Mapping[str, Callable[[Iterable[torch.nn.Parameter], float], torch.optim.Optimizer]] = {
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate),
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
}
"""With torch's own choice of implementation: foreach where the device has it."""
LEARNING_RATES = {"sgd": 1e-3, "adam": 1e-4}
"""Adam's first step moves every parameter by the rate, whatever its gradient: also those that are nothing but rounding."""

NEVER = 2**31 - 1


@dataclass(kw_only=True)
class Step:
    """One call of a model, ready to be timed and to be checked."""

    call: Call
    """What is timed, inside of ``surroundings``. It leaves the parameters as they are: after ten thousand calls they still are those
    that were checked."""
    run: Callable[[], Any]
    """The same call once, in its surroundings, for ``collect``."""
    collect: Callable[[Any], Results]
    """All that a ``run`` yielded and left changed, detached: what is compared. In training, the optimizer's step that changes the parameters
    is made here."""
    release: Callable[[], None]
    """Let go of what one call leaves for the next (gradients)."""


def as_it_is(call: Call) -> Call:
    return call


def make_step(
    function: Callable[..., Outputs],
    subject: Subject,
    *,
    mode: str,
    precision: str,
    device: str,
    whole: Callable[[Call], Call] = as_it_is,
) -> Step:
    """The step of a callable that takes the place of ``subject.model`` (or is it). whole: see ``protocols.RunsWholeCalls``.

    Inference: forward without gradients; its results are outputs, and inputs and buffers as the call left them. Training: forward,
    loss, backward, and the optimizer's step; besides these, the workload's own loss, gradients (of parameters and floating-point inputs) and
    parameters.
    """
    if mode == "training":
        return _training(function, subject, precision, device, whole)
    return _inference(function, subject, precision, device, whole)


def results(step: Step) -> Results:
    """Of one call."""
    return step.collect(step.run())


def surroundings(mode: str) -> AbstractContextManager[object]:
    """What calls are made in. Entering it costs a microsecond: once for all samples, it is in none of them."""
    return nullcontext() if mode == "training" else torch.no_grad()


def autocast(precision: str, device: str) -> AbstractContextManager[object]:
    return torch.autocast(device) if precision == "amp" else nullcontext()


def scales_loss(mode: str, precision: str, device: str) -> bool:
    """Whether training needs a scale: autocast's float16 has no number for small gradients."""
    return mode == "training" and precision == "amp" and torch.get_autocast_dtype(device) == torch.float16


def _inference(function: Callable[..., Outputs], subject: Subject, precision: str, device: str, whole: Callable[[Call], Call]) -> Step:
    inputs = subject.inputs

    # In every call, as in every call of who uses it: between its beginning and its end, autocast keeps the weights that it has cast.
    call = whole(_in_autocast(function, inputs, device) if precision == "amp" else functools.partial(function, *inputs))

    def run() -> Outputs:
        with surroundings("inference"):
            return call()

    return Step(
        call=call,
        run=run,
        collect=lambda outputs: {"outputs": _detached(outputs), **_state(subject, inputs)},
        release=lambda: None,
    )


def _in_autocast(function: Callable[..., Outputs], inputs: tuple[Any, ...], device: str) -> Callable[[], Outputs]:
    def call() -> Outputs:
        with torch.autocast(device):
            return function(*inputs)

    return call


def _training(function: Callable[..., Outputs], subject: Subject, precision: str, device: str, whole: Callable[[Call], Call]) -> Step:
    inputs = pytree.tree_map_only(
        torch.Tensor,
        lambda tensor: tensor.requires_grad_(True) if tensor.is_floating_point() else tensor,
        subject.inputs,
    )
    differentiated = [leaf for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    parameters = dict(subject.model.named_parameters())
    make_optimizer = OPTIMIZERS[subject.optimizer]
    # The same work, to no effect.
    idle_optimizer = make_optimizer(parameters.values(), 0.0) if parameters else None
    loss_of = subject.loss or weighted_sum_of_outputs
    scales = scales_loss("training", precision, device)
    scale = (subject.loss_scale or 1.0) if scales else 1.0
    backward = _ScaledBackward(scale, device) if scales else _backward

    def release() -> None:
        for tensor in (*parameters.values(), *differentiated):
            tensor.grad = None

    def step() -> tuple[Outputs, torch.Tensor]:
        release()
        with autocast(precision, device):
            outputs = function(*inputs)
            loss = loss_of(outputs)
        backward(loss, idle_optimizer)
        # All of it: a compiler that sees the whole call leaves out what nobody keeps.
        return outputs, loss

    call = whole(step)

    def collect(ran: tuple[Outputs, torch.Tensor]) -> Results:
        outputs, loss = ran
        # Ours is no result of the workload's, and a sum that cancels: of a million values in half precision, nothing but rounding is left.
        own = {} if subject.loss is None else {"loss": _detached(loss)}
        found: Results = {
            "outputs": _detached(outputs),
            **own,
            "gradients": {name: _gradient(parameter) for name, parameter in parameters.items()},
            "input gradients": [_gradient(tensor).div_(scale) for tensor in differentiated],
        }
        if parameters:
            # Anew for every call: one that has taken steps before takes another one.
            make_optimizer(parameters.values(), LEARNING_RATES[subject.optimizer]).step()
        return {**found, "parameters": _detached(parameters), **_state(subject, inputs)}

    return Step(call=call, run=call, collect=collect, release=release)


def _backward(loss: torch.Tensor, optimizer: torch.optim.Optimizer | None) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    if optimizer is not None:
        optimizer.step()


class _ScaledBackward:
    """The same of a loss that is scaled, with parameters' gradients as they are without: what ``GradScaler.step`` does but for waiting for
    the device, and with a scale that stays.
    """

    def __init__(self, scale: float, device: str) -> None:
        self._scaler = torch.amp.GradScaler(device, init_scale=scale, growth_interval=NEVER)
        self._unscales: bool | None = None

    def __call__(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer | None) -> None:
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if optimizer is None:
            return
        if self._unscales is None:
            # The scaler objects to an optimizer whose parameters have no gradients, all of them.
            self._unscales = any(parameter.grad is not None for group in optimizer.param_groups for parameter in group["params"])
        if self._unscales:
            self._scaler.unscale_(optimizer)
            optimizer.step()
            self._scaler.update()


def _state(subject: Subject, inputs: Outputs) -> Results:
    """What a call may change without returning it."""
    return {"inputs": _detached(inputs), "buffers": _detached(dict(subject.model.named_buffers()))}


def weighted_sum_of_outputs(outputs: Outputs) -> torch.Tensor:
    """The loss of a workload that names none: the sum of its outputs, each element times a fixed weight of unit variance.

    A mean would not do: its gradients are so small that an absolute tolerance accepts zeros in their place, and behind a softmax or
    a norm they vanish. The weights (a cosine over the index) need no random numbers, and are the same on every device.
    """
    sums = [
        (leaf * _weights(leaf)).sum()
        for leaf in pytree.tree_leaves(outputs)
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.requires_grad
    ]
    if not sums:
        raise ValueError("no output depends on a parameter or on an input: there is nothing to train")
    return torch.stack([each.to(sums[0].dtype) for each in sums]).sum()


_WEIGHTS: dict[tuple[torch.Size, torch.dtype, torch.device], torch.Tensor] = {}


def _weights(leaf: torch.Tensor) -> torch.Tensor:
    """Made once: the loss is part of what is timed."""
    key = (leaf.shape, leaf.dtype, leaf.device)
    if key not in _WEIGHTS:
        # Steps of about 0.9 radians do not repeat; sqrt(2) makes the variance of a cosine 1.
        angles = torch.arange(leaf.numel(), dtype=torch.float64) * 0.9
        made = (2**0.5 * torch.cos(angles)).reshape(leaf.shape).to(device=leaf.device, dtype=leaf.dtype)
        if is_fake(made):
            # Of no use to a call that computes something.
            return made
        _WEIGHTS[key] = made
    return _WEIGHTS[key]


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    # A parameter that the loss does not depend on has no gradient in eager; a backend may give zeros. Both mean the same.
    return _kept(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)


def _detached(tree: Any) -> Any:
    return pytree.tree_map_only(torch.Tensor, _kept, tree)


def _kept(tensor: torch.Tensor) -> torch.Tensor:
    """A copy that later calls leave alone. XLA's are compared on the host: there, every operator of every shape would be compiled first."""
    return tensor.detach().cpu() if tensor.device.type == "xla" else tensor.detach().clone()
