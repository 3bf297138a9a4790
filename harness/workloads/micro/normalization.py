"""Softmax, norms and cross entropy: bound by memory, and the first things that a compiler fuses."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes

SMALL = {"rows": 512, "columns": 1024}
LARGE = {"rows": 16384, "columns": 4096}


class CrossEntropy(nn.Module):
    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, target)


def over_rows(model: nn.Module, sizes: Sizes, weights: int = 0) -> Counted:
    rows, columns = sizes["rows"], sizes["columns"]
    return Counted(model=model, inputs=(torch.randn(rows, columns),), elements=2 * rows * columns + weights)


def softmax(sizes: Sizes) -> Counted:
    return over_rows(nn.Softmax(dim=-1), sizes)


def layer_norm(sizes: Sizes) -> Counted:
    return over_rows(nn.LayerNorm(sizes["columns"]), sizes, weights=2 * sizes["columns"])


def rms_norm(sizes: Sizes) -> Counted:
    return over_rows(nn.RMSNorm(sizes["columns"]), sizes, weights=sizes["columns"])


def cross_entropy(sizes: Sizes) -> Counted:
    tokens, vocabulary = sizes["tokens"], sizes["vocabulary"]
    inputs = (torch.randn(tokens, vocabulary), torch.randint(vocabulary, (tokens,)))
    return Counted(model=CrossEntropy(), inputs=inputs, elements=tokens * vocabulary + 1, index_bytes=8 * tokens)


SOFTMAX = Micro(build=softmax, small=SMALL, large=LARGE, batch="rows")
LAYER_NORM = Micro(build=layer_norm, small=SMALL, large=LARGE, batch="rows")
RMS_NORM = Micro(build=rms_norm, small=SMALL, large=LARGE, batch="rows")
CROSS_ENTROPY = Micro(
    build=cross_entropy,
    small={"tokens": 128, "vocabulary": 4096},
    large={"tokens": 4096, "vocabulary": 50257},
    batch="tokens",
)
