"""Attention of which a function says who attends to whom (``torch.nn.attention.flex_attention``): a sliding window, and paged keys and values.

Eager has no fused kernel of it: it computes all scores, in float32, and masks them. ``large`` is as large as that leaves room for on a GPU
of 80 GB.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from harness.protocols import Unsupported
from harness.workloads.llm.attention import attention_flops
from harness.workloads.llm.models import GEMMA_2_9B, LLAMA_3_8B, MISTRAL_7B, Model
from harness.workloads.llm.workload import Part
from harness.workloads.micro.workload import Counted, Sizes

Where = torch.Tensor
"""An index (a scalar), as torch hands it to such functions."""
PAGE = 128
"""Positions of a page, and of a block of the mask, which must be the same: the default of torch's kernels."""


class SlidingWindow(nn.Module):
    """Causal attention to the last ``window`` positions, with capped scores where the model has them.

    (batch, heads, sequence, width of a head) and two with fewer heads -> the first. Source: Beltagy et al. 2020 (window); Gemma 2's report
    (cap).
    """

    def __init__(self, model: Model, sequence: int) -> None:
        super().__init__()
        self.mask = create_block_mask(in_window(model.window), None, None, sequence, sequence, device="cpu")
        self.cap = capped(model.softcap) if model.softcap else None

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> SlidingWindow:
        # The mask's tensors are no buffers of the module's: they would stay where they were made.
        self.mask = self.mask.to(fn(self.mask.kv_indices).device)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return flex_attention(query, key, value, score_mod=self.cap, block_mask=self.mask, enable_gqa=True)


def in_window(window: int) -> Callable[[Where, Where, Where, Where], torch.Tensor]:
    def attends(batch: Where, head: Where, query: Where, key: Where) -> torch.Tensor:
        return (query >= key) & (query - key < window)

    return attends


def capped(cap: float) -> Callable[..., torch.Tensor]:
    def cap_score(score: torch.Tensor, batch: Where, head: Where, query: Where, key: Where) -> torch.Tensor:
        return cap * torch.tanh(score / cap)

    return cap_score


class PagedAttention(nn.Module):
    """One token of each sequence, whose keys and values are in pages of a pool that all sequences share.

    (query (batch, heads, 1, width of a head), page table (batch, pages of a sequence), its inverse (batch, pages of the pool), lengths
    (batch)) -> the first. Source: Kwon et al. 2023; how a block mask reads pages: ``torch.nn.attention.experimental._paged_attention``, which
    keeps both tables, too.
    """

    def __init__(self, model: Model, pages: int) -> None:
        super().__init__()
        self.pages = pages
        shape = (1, model.kv_heads, pages * PAGE, model.head_width)
        self.keys = nn.Buffer(torch.randn(shape))
        self.values = nn.Buffer(torch.randn(shape))

    def forward(self, query: torch.Tensor, table: torch.Tensor, owned: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        batch, most = table.shape

        def attends(batch: Where, head: Where, query: Where, key: Where) -> torch.Tensor:
            page = owned[batch, key // PAGE]
            return (page >= 0) & (page * PAGE + key % PAGE < lengths[batch])

        full = lengths // PAGE
        last = table.gather(1, full.clamp(max=most - 1).view(batch, 1))
        mask = BlockMask.from_kv_blocks(
            # Of a page in part, which the function is asked about, and of whole ones, of which there is nothing to ask.
            self.blocks(lengths % PAGE > 0),
            self.listed(last),
            self.blocks(full),
            self.listed(table),
            BLOCK_SIZE=PAGE,
            mask_mod=attends,
            seq_lengths=(1, self.pages * PAGE),
            # Of a backward pass, which there is none of here.
            compute_q_blocks=False,
        )
        return flex_attention(query, self.keys, self.values, block_mask=mask, enable_gqa=True)

    def blocks(self, counts: torch.Tensor) -> torch.Tensor:
        """As a block mask has them: (batch) -> (batch, 1, 1), for all heads and the one block of queries."""
        return counts.to(torch.int32).view(-1, 1, 1)

    def listed(self, table: torch.Tensor) -> torch.Tensor:
        """(batch, pages) -> (batch, 1, 1, pages of the pool), as long as if a sequence could have all; what is not counted is not read."""
        return nn.functional.pad(table, (0, self.pages - table.shape[1])).to(torch.int32).view(-1, 1, 1, self.pages)


def inverse(table: torch.Tensor, pages: int) -> torch.Tensor:
    """Which of its pages a sequence has in each page of the pool, -1 for none: (batch, pages of a sequence) -> (batch, pages)."""
    places = torch.arange(table.shape[1]).expand_as(table)
    return torch.full((table.shape[0], pages), -1).scatter(1, table, places)


def sliding_window(model: Model, sizes: Sizes) -> Counted:
    batch, sequence = sizes["batch"], sizes["sequence"]
    query = (batch, model.heads, sequence, model.head_width)
    kept = (batch, model.kv_heads, sequence, model.head_width)
    # The first tokens have fewer before them than the window is long.
    full = max(0, sequence - model.window)
    begun = sequence - full
    return Counted(
        model=SlidingWindow(model, sequence),
        inputs=(torch.randn(query), torch.randn(kept), torch.randn(kept)),
        flops=attention_flops(model, batch * (full * model.window + begun * (begun + 1) // 2)),
        elements=2 * math.prod(query) + 2 * math.prod(kept),
    )


def paged(model: Model, sizes: Sizes) -> Counted:
    """Sequences of different lengths, in pages in any order. Raises Unsupported for more of them than the pool has pages for."""
    batch, most, pages = sizes["batch"], sizes["pages_per_sequence"], sizes["pages"]
    if batch * most > pages:
        raise Unsupported(f"{batch} sequences of {most} pages: the pool has {pages}\n  next: a batch of at most {pages // most}")
    lengths = torch.randint(1, most * PAGE + 1, (batch,))
    query = (batch, model.heads, 1, model.head_width)
    attended = int(lengths.sum())
    table = torch.randperm(pages)[: batch * most].view(batch, most)
    return Counted(
        model=PagedAttention(model, pages),
        inputs=(torch.randn(query), table, inverse(table, pages), lengths),
        flops=attention_flops(model, attended),
        elements=2 * math.prod(query) + 2 * attended * model.kv_heads * model.head_width,
        index_bytes=8 * batch * (most + pages + 1),
    )


WINDOW_SMALL = {"batch": 1, "sequence": 512}
WINDOW_LARGE = {"batch": 1, "sequence": 6144}
SLIDING_WINDOW_MISTRAL_7B = Part(build=sliding_window, model=MISTRAL_7B, small=WINDOW_SMALL, large=WINDOW_LARGE)
SLIDING_WINDOW_GEMMA2_9B = Part(build=sliding_window, model=GEMMA_2_9B, small=WINDOW_SMALL, large=WINDOW_LARGE)
PAGED_LLAMA3_8B = Part(
    build=paged,
    model=LLAMA_3_8B,
    small={"batch": 2, "pages_per_sequence": 4, "pages": 16},
    large={"batch": 8, "pages_per_sequence": 16, "pages": 256},
    modes=("inference",),
)
