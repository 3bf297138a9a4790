"""An optimizer's step over many tensors at once (``torch._foreach_*``), as a function of its arguments so that it can be repeated."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes

Tensors = list[torch.Tensor]


class AdamStep(nn.Module):
    """Adam (Kingma and Ba 2014), one step with bias correction for its tenth: (parameters, gradients, moments) -> new ones."""

    def __init__(self) -> None:
        super().__init__()
        # Of the instance: TorchScript does not see a class's attributes.
        self.rate, self.beta1, self.beta2, self.epsilon, self.step = 1e-3, 0.9, 0.999, 1e-8, 10

    def forward(self, parameters: Tensors, gradients: Tensors, first: Tensors, second: Tensors) -> tuple[Tensors, Tensors, Tensors]:
        first = list(torch._foreach_lerp(first, gradients, 1 - self.beta1))
        second = list(torch._foreach_mul(second, self.beta2))
        second = list(torch._foreach_addcmul(second, gradients, gradients, value=1 - self.beta2))
        scale = 1 - self.beta2**self.step
        denominator = torch._foreach_sqrt(torch._foreach_div(second, scale))
        denominator = torch._foreach_add(denominator, self.epsilon)
        rate = -self.rate / (1 - self.beta1**self.step)
        return list(torch._foreach_addcdiv(parameters, first, denominator, value=rate)), first, second


def adam_step(sizes: Sizes) -> Counted:
    count, length = sizes["tensors"], sizes["length"]
    parameters = [torch.randn(length) for _ in range(count)]
    gradients = [torch.randn(length) for _ in range(count)]
    first = [torch.randn(length) * 0.1 for _ in range(count)]
    # Second moments of about one: in half precision a vanishing denominator would make the result infinite.
    second = [torch.rand(length) + 0.5 for _ in range(count)]
    return Counted(model=AdamStep(), inputs=(parameters, gradients, first, second), elements=7 * count * length)


ADAM_STEP_FOREACH = Micro(
    build=adam_step,
    small={"tensors": 16, "length": 16_384},
    large={"tensors": 128, "length": 1_048_576},
    modes=("inference",),
)
