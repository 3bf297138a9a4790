"""RMS norm and the gated MLP behind it."""

from __future__ import annotations

import torch
from torch import nn

from harness.workloads.llm.layers import GatedMlp, count_weights
from harness.workloads.llm.models import GEMMA_2_9B, LLAMA_3_8B, LLAMA_3_70B, QWEN2_5_7B, Model
from harness.workloads.llm.workload import Part
from harness.workloads.micro.workload import Counted, Sizes


def mlp(model: Model, sizes: Sizes) -> Counted:
    tokens = sizes["tokens"]
    module = nn.Sequential(nn.RMSNorm(model.width, eps=model.norm_epsilon), GatedMlp(model, model.hidden))
    return Counted(
        model=module,
        inputs=(torch.randn(tokens, model.width),),
        flops=2 * tokens * 3 * model.width * model.hidden,
        elements=2 * tokens * model.width + count_weights(module),
    )


SMALL = {"tokens": 64}
LARGE = {"tokens": 4096}
LLAMA3_8B = Part(build=mlp, model=LLAMA_3_8B, small=SMALL, large=LARGE, batch="tokens")
LLAMA3_70B = Part(build=mlp, model=LLAMA_3_70B, small=SMALL, large=LARGE, batch="tokens")
QWEN25_7B = Part(build=mlp, model=QWEN2_5_7B, small=SMALL, large=LARGE, batch="tokens")
GEMMA2_9B = Part(build=mlp, model=GEMMA_2_9B, small=SMALL, large=LARGE, batch="tokens")
