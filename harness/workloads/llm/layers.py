"""What several parts are made of: linear layers, the gated MLP, rotary embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from harness.workloads.llm.models import Model

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"silu": nn.SiLU, "gelu_tanh": lambda: nn.GELU(approximate="tanh")}


def normal(*shape: int, inputs: int) -> torch.Tensor:
    """Weights that keep the variance of what they are multiplied with, over so many inputs. Drawn once and in place: a layer of 70 billion
    parameters has 700 million here.
    """
    return torch.empty(shape).normal_(std=inputs**-0.5)


def linear(inputs: int, outputs: int, *, bias: bool = False) -> nn.Linear:
    """Without the draw of torch's own weights, which these would replace."""
    layer = nn.Linear(inputs, outputs, bias=bias, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=inputs**-0.5)
    return layer


def count_weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class GatedMlp(nn.Module):
    """``down(activation(gate(x)) * up(x))``: SwiGLU with SiLU, GeGLU with GELU. Source: Shazeer 2020, GLU Variants Improve Transformer."""

    def __init__(self, model: Model, hidden: int) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[model.activation]()
        self.gate = linear(model.width, hidden)
        self.up = linear(model.width, hidden)
        self.down = linear(hidden, model.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.down(self.activation(self.gate(x)) * self.up(x))
        return output


def rotary_tables(model: Model, positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the angle by which each position turns each pair of elements: two of (positions, width of a head).

    Source: Su et al. 2021, RoFormer; elements are paired by halves, as Llama's published weights have it in transformers.
    """
    exponents = torch.arange(0, model.head_width, 2, dtype=torch.float64) / model.head_width
    angles = torch.outer(torch.arange(positions, dtype=torch.float64), model.rotary_base**-exponents).repeat(1, 2)
    return angles.cos().float(), angles.sin().float()


def rotated(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """(..., positions, width of a head), turned by the tables' rows of these positions."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine
