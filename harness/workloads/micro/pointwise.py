"""Element by element: what fusion is best at, and a copy that it cannot make faster."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes


class PointwiseChain(nn.Module):
    """Nine operators that one kernel can do with two reads and one write."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = torch.sigmoid(x) * y + 0.5 * x
        return torch.tanh(z) * torch.relu(y) + torch.abs(z)


class TransposeCopy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.t().contiguous()


def pointwise_chain(sizes: Sizes) -> Counted:
    rows, columns = sizes["rows"], sizes["columns"]
    inputs = (torch.randn(rows, columns), torch.randn(rows, columns))
    return Counted(model=PointwiseChain(), inputs=inputs, elements=3 * rows * columns)


def transpose_copy(sizes: Sizes) -> Counted:
    rows, columns = sizes["rows"], sizes["columns"]
    return Counted(model=TransposeCopy(), inputs=(torch.randn(rows, columns),), elements=2 * rows * columns)


SMALL = {"rows": 512, "columns": 1024}
LARGE = {"rows": 8192, "columns": 8192}
POINTWISE_CHAIN = Micro(build=pointwise_chain, small=SMALL, large=LARGE, batch="rows")
TRANSPOSE_COPY = Micro(build=transpose_copy, small=SMALL, large=LARGE, batch="rows")
