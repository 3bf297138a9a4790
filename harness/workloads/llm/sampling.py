"""From logits to a token: temperature, top-k, top-p, and a draw whose random number is an input, so that the same seed gives the same token.

Source: Fan et al. 2018 (top-k), Holtzman et al. 2019 (top-p, the nucleus); the draw inverts the cumulative distribution.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from harness.workloads.llm.models import GEMMA_2_9B, LLAMA_3_8B, Model
from harness.workloads.llm.workload import Part
from harness.workloads.micro.workload import Counted, Sizes


class Sampling(nn.Module):
    """(logits (rows, vocabulary), numbers of [0, 1) (rows, 1)) -> tokens and their probabilities, two of (rows, 1)."""

    def __init__(self, *, temperature: float, top_p: float, top_k: int | None) -> None:
        super().__init__()
        self.temperature, self.top_p, self.top_k = temperature, top_p, top_k

    def forward(self, logits: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # In float32 at least: in half precision, a sum over a vocabulary ends where its steps are too small to be added.
        exact = torch.promote_types(logits.dtype, torch.float32)
        logits = logits.to(exact) / self.temperature
        if self.top_k is None:
            best, tokens = logits.sort(dim=-1, descending=True, stable=True)
        else:
            best, tokens = logits.topk(self.top_k, dim=-1)
        probabilities = best.softmax(-1)
        # The fewest that reach top_p together: those before whom it is not reached, so that the first is always one.
        nucleus = probabilities.cumsum(-1) - probabilities < self.top_p
        kept = torch.where(nucleus, probabilities, 0)
        cumulative = kept.cumsum(-1)
        total = cumulative[:, -1:]
        # A number that rounding has brought to 1 would be behind the last.
        drawn = (cumulative <= uniform.to(exact) * total).sum(-1, keepdim=True).minimum(nucleus.sum(-1, keepdim=True) - 1)
        return tokens.gather(-1, drawn), kept.gather(-1, drawn) / total


def sampling(model: Model, sizes: Sizes, *, temperature: float, top_p: float, top_k: int | None) -> Counted:
    rows = sizes["rows"]
    # As wide as logits are: some tokens have most of the probability.
    inputs = (3 * torch.randn(rows, model.vocabulary), torch.rand(rows, 1))
    return Counted(
        model=Sampling(temperature=temperature, top_p=top_p, top_k=top_k),
        inputs=inputs,
        elements=rows * model.vocabulary + 2 * rows,
        index_bytes=8 * rows,
    )


SMALL = {"rows": 8}
LARGE = {"rows": 64}
INFERENCE = ("inference",)
TOP_K_LLAMA3_8B = Part(
    build=partial(sampling, temperature=0.6, top_p=0.9, top_k=50), model=LLAMA_3_8B, small=SMALL, large=LARGE, batch="rows", modes=INFERENCE
)
"""Temperature and top-p of Llama 3's published ``generation_config.json``, top-k of transformers' default."""
TOP_P_GEMMA2_9B = Part(
    build=partial(sampling, temperature=1.0, top_p=0.95, top_k=None),
    model=GEMMA_2_9B,
    small=SMALL,
    large=LARGE,
    batch="rows",
    modes=INFERENCE,
)
"""The nucleus of a whole vocabulary, which must be sorted for it."""
