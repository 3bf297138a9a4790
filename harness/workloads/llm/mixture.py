"""Mixture of experts: routing, a product per expert in one operator (grouped matmul), and the way back.

Source: Jiang et al. 2024, Mixtral of Experts; DeepSeek-AI 2024, DeepSeek-V2 (shared experts; weights that do not sum to 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from harness.protocols import Unsupported
from harness.workloads.llm.layers import GatedMlp, count_weights, normal
from harness.workloads.llm.models import DEEPSEEK_V2_LITE, MIXTRAL_8X7B, Model
from harness.workloads.llm.workload import Part
from harness.workloads.micro.workload import Counted, Sizes

# Public since torch 2.10.
GROUPED: Callable[..., torch.Tensor] | None = getattr(nn.functional, "grouped_mm", None) or getattr(torch, "_grouped_mm", None)


class MixtureOfExperts(nn.Module):
    """(tokens, width) -> the same."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.chosen, self.normalized = model.experts_per_token, model.normalized_routing
        # As linear layers have them: (experts, outputs, inputs).
        self.router = nn.Parameter(normal(model.experts, model.width, inputs=model.width))
        self.gate = nn.Parameter(normal(model.experts, model.hidden, model.width, inputs=model.width))
        self.up = nn.Parameter(normal(model.experts, model.hidden, model.width, inputs=model.width))
        self.down = nn.Parameter(normal(model.experts, model.width, model.hidden, inputs=model.hidden))
        self.shared = GatedMlp(model, model.shared_experts * model.hidden) if model.shared_experts else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, experts = self.route(x)
        # Rows in the order of their experts, so that each expert's are beside each other. Stable: the same order on every device.
        experts, order = experts.flatten().sort(stable=True)
        ends = torch.searchsorted(experts, torch.arange(self.gate.shape[0], device=x.device), right=True).to(torch.int32)
        rows = x[order // self.chosen]
        hidden = nn.functional.silu(grouped(rows, self.gate, ends)) * grouped(rows, self.up, ends)
        mixed = grouped(hidden, self.down, ends)
        # By a permutation and a sum, where index_add would add atomically: the same bits in every call.
        mixed = mixed[order.argsort()].view(-1, self.chosen, x.shape[1])
        output: torch.Tensor = (mixed * weights.to(mixed.dtype).unsqueeze(-1)).sum(1)
        return output if self.shared is None else output + self.shared(x)

    def route(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and experts of each token: two of (tokens, experts of a token).

        In float32 at least, as DeepSeek's own code has it: in half precision, rounding would send tokens to other experts.
        """
        exact = torch.promote_types(x.dtype, torch.float32)
        scores = nn.functional.linear(x.to(exact), self.router.to(exact)).softmax(-1)
        weights, experts = scores.topk(self.chosen, dim=-1)
        return weights / weights.sum(-1, keepdim=True) if self.normalized else weights, experts


def grouped(rows: torch.Tensor, weights: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Each expert's rows, up to its end, by its own weights: (rows, inputs), (experts, outputs, inputs) -> (rows, outputs)."""
    if rows.dtype == torch.float64:
        # Torch has no such kernel. This is what others are checked against, and is never timed.
        groups = rows.tensor_split(ends[:-1].tolist())
        return torch.cat([group @ weight.T for group, weight in zip(groups, weights, strict=True)])
    multiply: Any = GROUPED
    product: torch.Tensor = multiply(rows, weights.transpose(1, 2), offs=ends)
    return product


def mixture(model: Model, sizes: Sizes) -> Counted:
    """Raises Unsupported where torch has no grouped matmul."""
    if GROUPED is None:
        raise Unsupported(f"torch {torch.__version__} has no grouped_mm\n  next: an image with torch 2.10 or newer")
    tokens = sizes["tokens"]
    module = MixtureOfExperts(model)
    rows = tokens * model.experts_per_token
    expert = 3 * model.width * model.hidden
    # Few tokens cannot meet all experts.
    unread = max(0, model.experts - rows) * expert
    return Counted(
        model=module,
        inputs=(torch.randn(tokens, model.width),),
        flops=2 * (tokens * model.experts * model.width + (rows + tokens * model.shared_experts) * expert),
        elements=2 * tokens * model.width + count_weights(module) - unread,
    )


SMALL = {"tokens": 64}
LARGE = {"tokens": 4096}
MIXTRAL = Part(build=mixture, model=MIXTRAL_8X7B, small=SMALL, large=LARGE, batch="tokens")
DEEPSEEK = Part(build=mixture, model=DEEPSEEK_V2_LITE, small=SMALL, large=LARGE, batch="tokens")
