"""Scaled-dot-product attention and a pre-norm transformer block."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes


class Attention(nn.Module):
    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        # (batch, heads, sequence, width of a head) -> the same
        return nn.functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)


class TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, sequence, width = x.shape
        # (batch, sequence, 3 * width) -> three of (batch, heads, sequence, width of a head)
        packed = self.project_in(self.norm_attention(x)).view(batch, sequence, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.project_out(mixed.transpose(1, 2).reshape(batch, sequence, width))
        output: torch.Tensor = x + self.mlp(self.norm_mlp(x))
        return output


def attention(sizes: Sizes, *, causal: bool) -> Counted:
    batch, heads, sequence, width = sizes["batch"], sizes["heads"], sizes["sequence"], sizes["head_width"]
    shape = (batch, heads, sequence, width)
    # Two products of sequence x sequence x width; a causal mask needs half of them.
    flops = 4 * batch * heads * sequence * sequence * width
    return Counted(
        model=Attention(causal=causal),
        inputs=(torch.randn(shape), torch.randn(shape), torch.randn(shape)),
        flops=flops // 2 if causal else flops,
        elements=4 * batch * heads * sequence * width,
    )


def transformer_block(sizes: Sizes) -> Counted:
    batch, sequence, width = sizes["batch"], sizes["sequence"], sizes["width"]
    weights = 12 * width * width
    return Counted(
        model=TransformerBlock(width, sizes["heads"]),
        inputs=(torch.randn(batch, sequence, width),),
        flops=2 * batch * sequence * weights + 2 * batch * sequence * sequence * width,
        elements=2 * batch * sequence * width + weights,
    )


SMALL = {"batch": 2, "heads": 4, "sequence": 128, "head_width": 64}
LARGE = {"batch": 8, "heads": 16, "sequence": 2048, "head_width": 64}
FULL = Micro(build=partial(attention, causal=False), small=SMALL, large=LARGE, batch="batch")
CAUSAL = Micro(build=partial(attention, causal=True), small=SMALL, large=LARGE, batch="batch")
LONG = Micro(
    build=partial(attention, causal=True),
    small={"batch": 1, "heads": 2, "sequence": 1024, "head_width": 64},
    large={"batch": 1, "heads": 16, "sequence": 16384, "head_width": 128},
    batch="batch",
)
TRANSFORMER_BLOCK = Micro(
    build=transformer_block,
    small={"batch": 2, "sequence": 64, "width": 256, "heads": 4},
    large={"batch": 8, "sequence": 1024, "width": 2048, "heads": 16},
    batch="batch",
)
