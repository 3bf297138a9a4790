"""Matrix products: 2 * m * n * k operations, (m*k + k*n + m*n) elements."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes


class Matmul(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b


class LinearGeluMlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.down(nn.functional.gelu(self.up(x)))
        return output


def matmul(sizes: Sizes) -> Counted:
    b, m, n, k = sizes.get("batch", 1), sizes["m"], sizes["n"], sizes["k"]
    leading = (b,) if "batch" in sizes else ()
    # Scaled so that the products have unit variance in every size: errors are then comparable between sizes.
    inputs = (torch.randn(*leading, m, k) * k**-0.5, torch.randn(*leading, k, n))
    return Counted(model=Matmul(), inputs=inputs, flops=2 * b * m * n * k, elements=b * (m * k + k * n + m * n))


def linear_gelu_mlp(sizes: Sizes) -> Counted:
    batch, width, hidden = sizes["batch"], sizes["width"], sizes["hidden"]
    return Counted(
        model=LinearGeluMlp(width, hidden),
        inputs=(torch.randn(batch, width),),
        flops=2 * 2 * batch * width * hidden,
        elements=2 * batch * width + 2 * width * hidden + width + hidden,
    )


SQUARE = Micro(build=matmul, small={"m": 512, "n": 512, "k": 512}, large={"m": 4096, "n": 4096, "k": 4096})
TALL = Micro(build=matmul, small={"m": 8192, "n": 32, "k": 64}, large={"m": 262144, "n": 64, "k": 128})
BATCHED = Micro(
    build=matmul,
    small={"batch": 16, "m": 128, "n": 128, "k": 64},
    large={"batch": 128, "m": 512, "n": 512, "k": 128},
    batch="batch",
)
LINEAR_GELU_MLP = Micro(
    build=linear_gelu_mlp,
    small={"batch": 64, "width": 256, "hidden": 1024},
    large={"batch": 2048, "width": 2048, "hidden": 8192},
    batch="batch",
)
