"""Convolutions on images: 2 * output elements * input channels of a group * kernel area operations."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.micro.workload import Counted, Micro, Sizes


class Bottleneck(nn.Module):
    """The residual block of ResNet-50 (He et al. 2015): 1x1 down, 3x3, 1x1 up, and the shortcut."""

    def __init__(self, channels: int, narrow: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, narrow, 1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, narrow, 3, padding=1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(x + self.residual(x))


def images(sizes: Sizes) -> torch.Tensor:
    return torch.randn(sizes["batch"], sizes["channels"], sizes["side"], sizes["side"])


def conv3x3(sizes: Sizes, groups: int = 1) -> Counted:
    batch, channels, side = sizes["batch"], sizes["channels"], sizes["side"]
    weights = 9 * channels * (channels // groups)
    return Counted(
        model=nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False),
        inputs=(images(sizes),),
        flops=2 * batch * side * side * weights,
        elements=2 * batch * channels * side * side + weights,
    )


def depthwise(sizes: Sizes) -> Counted:
    return conv3x3(sizes, groups=sizes["channels"])


def conv_bn_relu(sizes: Sizes) -> Counted:
    plain = conv3x3(sizes)
    plain.model = nn.Sequential(plain.model, nn.BatchNorm2d(sizes["channels"]), nn.ReLU())
    return plain


def bottleneck(sizes: Sizes) -> Counted:
    batch, channels, side = sizes["batch"], sizes["channels"], sizes["side"]
    narrow = channels // 4
    weights = 2 * channels * narrow + 9 * narrow * narrow
    return Counted(
        model=Bottleneck(channels, narrow),
        inputs=(images(sizes),),
        flops=2 * batch * side * side * weights,
        elements=2 * batch * channels * side * side + weights,
    )


CONV2D_3X3 = Micro(
    build=conv3x3,
    small={"batch": 2, "channels": 32, "side": 32},
    large={"batch": 32, "channels": 256, "side": 56},
    batch="batch",
)
CONV2D_DEPTHWISE = Micro(
    build=depthwise,
    small={"batch": 2, "channels": 64, "side": 32},
    large={"batch": 32, "channels": 512, "side": 56},
    batch="batch",
)
CONV_BN_RELU = Micro(
    build=conv_bn_relu,
    small={"batch": 2, "channels": 32, "side": 32},
    large={"batch": 32, "channels": 256, "side": 56},
    batch="batch",
)
RESNET_BOTTLENECK = Micro(
    build=bottleneck,
    small={"batch": 2, "channels": 128, "side": 16},
    large={"batch": 32, "channels": 1024, "side": 28},
    batch="batch",
)
