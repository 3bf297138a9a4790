"""Lookups, gathers, scatters and orderings: where addresses depend on data."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes


class Gather(nn.Module):
    def forward(self, source: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return source.gather(1, index)


class ScatterAdd(nn.Module):
    def forward(self, source: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(source).scatter_add(1, index, source)


class Sort(nn.Module):
    """Returns the values twice: sorted, and picked by the returned indices. Equal values may be ordered either way."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, indices = torch.sort(x, dim=-1)
        return values, x.gather(-1, indices)


class TopK(nn.Module):
    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, indices = torch.topk(x, self.k, dim=-1)
        return values, x.gather(-1, indices)


def embedding_bag(sizes: Sizes) -> Counted:
    bags, length, entries, width = sizes["bags"], sizes["length"], sizes["entries"], sizes["width"]
    return Counted(
        model=nn.EmbeddingBag(entries, width, mode="sum"),
        inputs=(torch.randint(entries, (bags, length)),),
        flops=bags * length * width,
        elements=bags * length * width + bags * width,
        index_bytes=8 * bags * length,
    )


def indexed(model: nn.Module, sizes: Sizes) -> Counted:
    rows, columns = sizes["rows"], sizes["columns"]
    inputs = (torch.randn(rows, columns), torch.randint(columns, (rows, columns)))
    return Counted(model=model, inputs=inputs, elements=2 * rows * columns, index_bytes=8 * rows * columns)


def gather(sizes: Sizes) -> Counted:
    return indexed(Gather(), sizes)


def scatter_add(sizes: Sizes) -> Counted:
    return indexed(ScatterAdd(), sizes)


def sort(sizes: Sizes) -> Counted:
    rows, columns = sizes["rows"], sizes["columns"]
    return Counted(model=Sort(), inputs=(torch.randn(rows, columns),), elements=3 * rows * columns)


def topk(sizes: Sizes) -> Counted:
    rows, columns, k = sizes["rows"], sizes["columns"], sizes["k"]
    return Counted(model=TopK(k), inputs=(torch.randn(rows, columns),), elements=rows * columns + 2 * rows * k)


SMALL = {"rows": 256, "columns": 512}
LARGE = {"rows": 8192, "columns": 4096}
EMBEDDING_BAG = Micro(
    build=embedding_bag,
    small={"bags": 256, "length": 16, "entries": 10_000, "width": 64},
    large={"bags": 16384, "length": 32, "entries": 1_000_000, "width": 128},
    batch="bags",
)
GATHER = Micro(build=gather, small=SMALL, large=LARGE, batch="rows")
SCATTER_ADD = Micro(build=scatter_add, small=SMALL, large=LARGE, batch="rows")
SORT = Micro(build=sort, small={"rows": 64, "columns": 1024}, large={"rows": 1024, "columns": 16384}, batch="rows")
TOPK = Micro(
    build=topk,
    small={"rows": 64, "columns": 1024, "k": 16},
    large={"rows": 1024, "columns": 50257, "k": 64},
    batch="rows",
)
