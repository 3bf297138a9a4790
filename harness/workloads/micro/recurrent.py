"""A recurrent network: a loop over time that no kernel can take in one step."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes


class Recurrent(nn.Module):
    """``nn.LSTM`` in a frame of its own: dynamo leaves every frame that touches one to eager."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # (batch, sequence, width) -> (batch, sequence, hidden)
        output: torch.Tensor = self.lstm(x)[0]
        return output


class Lstm(nn.Module):
    """An LSTM between two projections, as in a language model: what users meet is a graph break around it."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.project_in = nn.Linear(width, width)
        self.recurrent = Recurrent(width, hidden)
        self.project_out = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.project_out(self.recurrent(torch.tanh(self.project_in(x))))
        return output


def lstm(sizes: Sizes) -> Counted:
    batch, sequence, width, hidden = sizes["batch"], sizes["sequence"], sizes["width"], sizes["hidden"]
    weights = 4 * hidden * (width + hidden) + width * width + hidden * width
    return Counted(
        model=Lstm(width, hidden),
        inputs=(torch.randn(batch, sequence, width),),
        flops=2 * batch * sequence * weights,
        elements=2 * batch * sequence * width + weights + 9 * hidden + width,
    )


LSTM = Micro(
    build=lstm,
    small={"batch": 8, "sequence": 16, "width": 64, "hidden": 128},
    large={"batch": 64, "sequence": 256, "width": 512, "hidden": 1024},
    batch="batch",
)
