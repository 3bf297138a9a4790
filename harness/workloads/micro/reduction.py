"""Sums along each axis, over everything, and running."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes


class Sum(nn.Module):
    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(dim=self.axes)


class Cumsum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(dim=-1)


def total(sizes: Sizes, *, axes: tuple[int, ...]) -> Counted:
    rows, columns = sizes["rows"], sizes["columns"]
    kept = 1
    for axis, size in enumerate((rows, columns)):
        kept *= 1 if axis in axes else size
    # Uniform on [0, 1): sums of values of both signs cancel, and the error of a cancelled sum says little.
    return Counted(model=Sum(axes), inputs=(torch.rand(rows, columns),), flops=rows * columns, elements=rows * columns + kept)


def cumsum(sizes: Sizes) -> Counted:
    rows, columns = sizes["rows"], sizes["columns"]
    return Counted(model=Cumsum(), inputs=(torch.rand(rows, columns),), flops=rows * columns, elements=2 * rows * columns)


SMALL = {"rows": 512, "columns": 2048}
LARGE = {"rows": 16384, "columns": 8192}
SUM_ROWS = Micro(build=partial(total, axes=(1,)), small=SMALL, large=LARGE, batch="rows")
SUM_COLUMNS = Micro(build=partial(total, axes=(0,)), small=SMALL, large=LARGE, batch="rows")
SUM_ALL = Micro(build=partial(total, axes=(0, 1)), small=SMALL, large=LARGE, batch="rows")
CUMSUM = Micro(build=cumsum, small=SMALL, large=LARGE, batch="rows")
