"""Linear layers whose weights alone are integers: int8 per row, int4 per group of a row. Activations are as they are.

``linear_int8`` and ``linear_int4`` are written in plain operators, which a compiler may fuse into the product; ``linear_int4_packed``
calls torch's own operator on weights in its layout.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.protocols import Subject, Unsupported
from harness.workloads.llm.layers import normal
from harness.workloads.llm.models import LLAMA_3_8B, Model
from harness.workloads.llm.workload import Part
from harness.workloads.micro.workload import Counted, Sizes

INNER_K_TILES = 8
"""Of torch's layout for CUDA: 2, 4 or 8. On a CPU it has no meaning."""


class Int8Linear(nn.Module):
    """``weight = scale * integer``, a scale per output. Source: gpt-fast's ``WeightOnlyInt8Linear``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Buffer(torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8))
        # Weights of variance 1 / inputs: that of integers up to 127 is 127 * 128 / 3.
        self.scales = nn.Buffer((127 * 128 / 3 * inputs) ** -0.5 * (0.5 + torch.rand(outputs)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight.to(x.dtype)) * self.scales


class Int4Linear(nn.Module):
    """``weight = (integer - 8) * scale + zero``, both per group of a row; two integers in a byte, the first in its upper half.

    Source: the formula of ``aten::_weight_int4pack_mm``.
    """

    def __init__(self, inputs: int, outputs: int, group: int) -> None:
        super().__init__()
        self.group = group
        self.pairs = nn.Buffer(torch.randint(256, (outputs, inputs // 2), dtype=torch.uint8))
        # Weights of variance 1 / inputs: that of 16 integers is 255 / 12.
        self.scales = nn.Buffer((255 / 12 * inputs) ** -0.5 * (0.5 + torch.rand(outputs, inputs // group)))
        self.zeros = nn.Buffer(0.1 * normal(outputs, inputs // group, inputs=inputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.dequantized(x.dtype))

    def integers(self) -> torch.Tensor:
        """(outputs, inputs), of 0 to 15."""
        return torch.stack((self.pairs >> 4, self.pairs & 15), dim=-1).flatten(1)

    def dequantized(self, dtype: torch.dtype) -> torch.Tensor:
        outputs, groups = self.scales.shape
        grouped = self.integers().view(outputs, groups, self.group).to(dtype) - 8
        return (grouped * self.scales.unsqueeze(-1) + self.zeros.unsqueeze(-1)).to(dtype).flatten(1)


class PackedInt4Linear(nn.Module):
    """The same by torch's operator, on weights in the layout of a device."""

    def __init__(self, source: Int4Linear) -> None:
        super().__init__()
        self.group = source.group
        if source.pairs.is_cuda:
            packed = torch.ops.aten._convert_weight_to_int4pack(source.pairs, INNER_K_TILES)
        else:
            packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(source.integers().to(torch.int32), INNER_K_TILES)
        self.packed = nn.Buffer(packed)
        # As the operator has them: of (groups, outputs, 2), groups first.
        self.scales_and_zeros = nn.Buffer(torch.stack((source.scales, source.zeros), dim=-1).transpose(0, 1).contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_cuda:
            product: torch.Tensor = torch.ops.aten._weight_int4pack_mm(x, self.packed, self.group, self.scales_and_zeros)
        else:
            product = torch.ops.aten._weight_int4pack_mm_for_cpu(x, self.packed, self.group, self.scales_and_zeros)
        return product


class PackedPart(Part):
    """Packed on the device, which has a layout of its own, once the weights are there."""

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """See ``Part.load``. Raises Unsupported where torch has no such operator: on a GPU for other types than bfloat16, on XLA at all."""
        if device == "xla" or (device == "cuda" and precision != "bfloat16"):
            raise Unsupported(
                f"torch's operator for packed int4 weights takes no {precision} on {device}\n  next: --precision bfloat16 on cuda"
            )
        subject = super().load(device=device, precision=precision, mode=mode, shapes=shapes, batch_size=batch_size, seed=seed)
        plain = subject.model
        assert isinstance(plain, Int4Linear)
        subject.model = PackedInt4Linear(plain).eval()
        return subject


def int8(model: Model, sizes: Sizes) -> Counted:
    tokens, inputs, outputs = sizes["tokens"], model.width, model.hidden
    return Counted(
        model=Int8Linear(inputs, outputs),
        inputs=(torch.randn(tokens, inputs),),
        flops=2 * tokens * inputs * outputs,
        elements=tokens * (inputs + outputs) + outputs,
        index_bytes=inputs * outputs,
    )


def int4(model: Model, sizes: Sizes) -> Counted:
    tokens, group, inputs, outputs = sizes["tokens"], sizes["group"], model.width, model.hidden
    return Counted(
        model=Int4Linear(inputs, outputs, group),
        inputs=(torch.randn(tokens, inputs),),
        flops=2 * tokens * inputs * outputs,
        elements=tokens * (inputs + outputs) + 2 * outputs * inputs // group,
        index_bytes=inputs * outputs // 2,
    )


INT8_SIZES = {"tokens": 16}
SMALL = {"tokens": 16, "group": 32}
LARGE = {"tokens": 16, "group": 128}
INFERENCE = ("inference",)
INT8_LLAMA3_8B = Part(build=int8, model=LLAMA_3_8B, small=INT8_SIZES, large=INT8_SIZES, batch="tokens", modes=INFERENCE)
"""The MLP's projection upwards, as decoding needs it: few tokens, so that reading the weights is what it costs."""
INT4_LLAMA3_8B = Part(build=int4, model=LLAMA_3_8B, small=SMALL, large=LARGE, batch="tokens", modes=INFERENCE)
INT4_PACKED_LLAMA3_8B = PackedPart(
    build=int4,
    model=LLAMA_3_8B,
    small=SMALL,
    large=LARGE,
    batch="tokens",
    modes=INFERENCE,
    precisions=("float32", "float16", "bfloat16"),
)
