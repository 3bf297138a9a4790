"""Attention whose heads share keys and values (GQA), with rotary embedding: projections, rotation, attention, projection.

Source: Ainslie et al. 2023, GQA.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.llm.layers import count_weights, linear, rotary_tables, rotated
from harness.workloads.llm.models import LLAMA_3_8B, LLAMA_3_70B, QWEN2_5_7B, Model
from harness.workloads.llm.workload import Part
from harness.workloads.micro.workload import Counted, Sizes

Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Attention(nn.Module):
    """What is around attention proper, whatever attends to what: projections, and the rotation of positions."""

    def __init__(self, model: Model, positions: int) -> None:
        super().__init__()
        self.head_width = model.head_width
        wide, narrow = model.heads * model.head_width, model.kv_heads * model.head_width
        self.query = linear(model.width, wide, bias=model.attention_bias)
        self.key = linear(model.width, narrow, bias=model.attention_bias)
        self.value = linear(model.width, narrow, bias=model.attention_bias)
        self.output = linear(wide, model.width)
        cosine, sine = rotary_tables(model, positions)
        self.cosine = nn.Buffer(cosine)
        self.sine = nn.Buffer(sine)

    def project(self, x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> Heads:
        """Query (batch, heads, sequence, width of a head), key and value (batch, fewer heads, ...)."""
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        return rotated(query, cosine, sine), rotated(key, cosine, sine), value

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.shape[0], x.shape[1], -1, self.head_width).transpose(1, 2)

    def merge(self, mixed: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output


class CausalAttention(Attention):
    """Over whole sequences: (batch, sequence, width) -> the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.project(x, self.cosine, self.sine)
        return self.merge(nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True))


def attention_flops(model: Model, pairs: int) -> int:
    """Of the two products of attention alone: pairs of a query's position with a key's that it attends to, over the whole batch."""
    return 4 * model.heads * model.head_width * pairs


def causal_pairs(batch: int, sequence: int) -> int:
    """As micro counts them: half of the square."""
    return batch * sequence * sequence // 2


def projections(model: Model) -> int:
    """Multiplications of one token's projections: query and output, key and value."""
    return 2 * model.width * model.head_width * (model.heads + model.kv_heads)


def attention(model: Model, sizes: Sizes) -> Counted:
    batch, sequence = sizes["batch"], sizes["sequence"]
    module = CausalAttention(model, sequence)
    return Counted(
        model=module,
        inputs=(torch.randn(batch, sequence, model.width),),
        flops=2 * batch * sequence * projections(model) + attention_flops(model, causal_pairs(batch, sequence)),
        elements=2 * batch * sequence * model.width + count_weights(module) + 2 * sequence * model.head_width,
    )


SMALL = {"batch": 2, "sequence": 64}
LARGE = {"batch": 2, "sequence": 4096}
LLAMA3_8B = Part(build=attention, model=LLAMA_3_8B, small=SMALL, large=LARGE)
LLAMA3_70B = Part(build=attention, model=LLAMA_3_70B, small=SMALL, large=LARGE)
QWEN25_7B = Part(build=attention, model=QWEN2_5_7B, small=SMALL, large=LARGE)
