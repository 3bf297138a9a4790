"""A whole decoder layer: as it is trained, in prefill (a prompt, whose keys and values are kept) and in decode (one token, with a static cache)."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.llm.attention import Attention, CausalAttention, attention_flops, causal_pairs, projections
from harness.workloads.llm.layers import GatedMlp, count_weights
from harness.workloads.llm.models import LLAMA_3_8B, QWEN2_5_7B, Model
from harness.workloads.llm.workload import Part
from harness.workloads.micro.workload import Counted, Sizes


class CachedAttention(Attention):
    """Keys and values of all positions are buffers: of one size, in one place, so that a graph can be captured over them."""

    def __init__(self, model: Model, batch: int, positions: int) -> None:
        super().__init__(model, positions)
        shape = (batch, model.kv_heads, positions, model.head_width)
        self.keys = nn.Buffer(torch.randn(shape))
        self.values = nn.Buffer(torch.randn(shape))


class PrefillAttention(CachedAttention):
    """A prompt, from the first position on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = x.shape[1]
        query, key, value = self.project(x, self.cosine[:length], self.sine[:length])
        self.keys[:, :, :length] = key
        self.values[:, :, :length] = value
        return self.merge(nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True))


class DecodeAttention(CachedAttention):
    """One token of each sequence, at a position that is data: the same graph for all of them. Source: gpt-fast's ``KVCache``."""

    def forward(self, x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        at = position.reshape(1)
        query, key, value = self.project(x, self.cosine.index_select(0, at), self.sine.index_select(0, at))
        # Under autocast, a key is of another type than the cache.
        self.keys.index_copy_(2, at, key.to(self.keys.dtype))
        self.values.index_copy_(2, at, value.to(self.values.dtype))
        seen = torch.arange(self.keys.shape[2], device=x.device) <= position
        mask = seen.expand(x.shape[0], 1, 1, -1)
        return self.merge(
            nn.functional.scaled_dot_product_attention(query.to(self.keys.dtype), self.keys, self.values, attn_mask=mask, enable_gqa=True)
        )


class Layer(nn.Module):
    """Pre-norm, as Llama's: attention and MLP, each behind an RMS norm and beside a shortcut."""

    def __init__(self, model: Model, attention: Attention) -> None:
        super().__init__()
        self.norm_attention = nn.RMSNorm(model.width, eps=model.norm_epsilon)
        self.attention = attention
        self.norm_mlp = nn.RMSNorm(model.width, eps=model.norm_epsilon)
        self.mlp = GatedMlp(model, model.hidden)

    def finish(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = x + self.mlp(self.norm_mlp(x))
        return output


class DecoderLayer(Layer):
    """(batch, sequence, width) -> the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.finish(x + self.attention(self.norm_attention(x)))


class DecodeLayer(Layer):
    """(batch, 1, width), and the position of these tokens -> the first."""

    def forward(self, x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        return self.finish(x + self.attention(self.norm_attention(x), position))


def products(model: Model, tokens: int) -> int:
    """Operations of all that is done to each token by itself."""
    return 2 * tokens * (projections(model) + 3 * model.width * model.hidden)


def counted(model: Model, layer: Layer, inputs: tuple[torch.Tensor, ...], *, pairs: int, positions: int, cached: int) -> Counted:
    """pairs: see ``attention_flops``; positions: rows of the rotary tables; cached: elements of the cache that are read or written."""
    x = inputs[0]
    return Counted(
        model=layer,
        inputs=inputs,
        flops=products(model, x.shape[0] * x.shape[1]) + attention_flops(model, pairs),
        elements=2 * x.numel() + count_weights(layer) + 2 * positions * model.head_width + cached,
    )


def layer(model: Model, sizes: Sizes) -> Counted:
    batch, sequence = sizes["batch"], sizes["sequence"]
    return counted(
        model,
        DecoderLayer(model, CausalAttention(model, sequence)),
        (torch.randn(batch, sequence, model.width),),
        pairs=causal_pairs(batch, sequence),
        positions=sequence,
        cached=0,
    )


def prefill(model: Model, sizes: Sizes) -> Counted:
    batch, sequence, positions = sizes["batch"], sizes["sequence"], sizes["positions"]
    return counted(
        model,
        DecoderLayer(model, PrefillAttention(model, batch, positions)),
        (torch.randn(batch, sequence, model.width),),
        pairs=causal_pairs(batch, sequence),
        positions=sequence,
        cached=2 * batch * sequence * model.kv_heads * model.head_width,
    )


def decode(model: Model, sizes: Sizes) -> Counted:
    """At the last position: all of the cache is read, and each call writes the same place, so that ten thousand of them change nothing."""
    batch, positions = sizes["batch"], sizes["positions"]
    return counted(
        model,
        DecodeLayer(model, DecodeAttention(model, batch, positions)),
        (torch.randn(batch, 1, model.width), torch.tensor(positions - 1)),
        pairs=batch * positions,
        positions=1,
        cached=2 * batch * positions * model.kv_heads * model.head_width,
    )


LAYER_SMALL = {"batch": 2, "sequence": 64}
LAYER_LARGE = {"batch": 2, "sequence": 2048}
PREFILL_SMALL = {"batch": 1, "sequence": 64, "positions": 128}
PREFILL_LARGE = {"batch": 1, "sequence": 4096, "positions": 8192}
DECODE_SMALL = {"batch": 2, "positions": 128}
DECODE_LARGE = {"batch": 16, "positions": 8192}
INFERENCE = ("inference",)
LAYER_LLAMA3_8B = Part(build=layer, model=LLAMA_3_8B, small=LAYER_SMALL, large=LAYER_LARGE)
PREFILL_LLAMA3_8B = Part(build=prefill, model=LLAMA_3_8B, small=PREFILL_SMALL, large=PREFILL_LARGE, modes=INFERENCE)
PREFILL_QWEN25_7B = Part(build=prefill, model=QWEN2_5_7B, small=PREFILL_SMALL, large=PREFILL_LARGE, modes=INFERENCE)
DECODE_LLAMA3_8B = Part(build=decode, model=LLAMA_3_8B, small=DECODE_SMALL, large=DECODE_LARGE, modes=INFERENCE)
DECODE_QWEN25_7B = Part(build=decode, model=QWEN2_5_7B, small=DECODE_SMALL, large=DECODE_LARGE, modes=INFERENCE)
