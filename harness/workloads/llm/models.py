"""Shapes of known open language models: facts of their published configurations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Model:
    """One decoder layer's shape, under the words of this suite."""

    source: str
    """Where its configuration is published."""
    width: int
    """``hidden_size``: of the residual stream."""
    hidden: int
    """``intermediate_size``: of the MLP; of one expert where there are experts."""
    heads: int
    kv_heads: int
    """``num_key_value_heads``: ``heads / kv_heads`` heads share a key and a value."""
    head_width: int
    vocabulary: int
    rotary_base: float
    """``rope_theta``."""
    norm_epsilon: float
    attention_bias: bool = False
    """Of the projections of query, key and value; no other has one."""
    activation: str = "silu"
    """``silu``, or ``gelu_tanh``: GELU by its approximation."""
    window: int = 0
    """How many positions a token attends to, its own included; 0: all before it."""
    softcap: float = 0.0
    """Scores become ``softcap * tanh(scores / softcap)``; 0: they do not."""
    experts: int = 0
    experts_per_token: int = 0
    shared_experts: int = 0
    """That every token goes through besides."""
    normalized_routing: bool = False
    """Whether the weights of a token's experts sum to 1."""

    def divided(self) -> Model:
        """The same layer with every width a sixteenth of its own: of the heads a quarter, and each a quarter as wide.

        What makes the graph stays: heads that share a key, number of experts, biases.
        """
        return dataclasses.replace(
            self,
            width=self.width // 16,
            hidden=self.hidden // 16,
            heads=self.heads // 4,
            kv_heads=self.kv_heads // 4,
            head_width=self.head_width // 4,
            vocabulary=self.vocabulary // 16,
            window=self.window // 16,
        )


LLAMA_3_8B = Model(
    source="https://huggingface.co/meta-llama/Meta-Llama-3-8B/blob/main/config.json",
    width=4096,
    hidden=14336,
    heads=32,
    kv_heads=8,
    head_width=128,
    vocabulary=128256,
    rotary_base=500_000.0,
    norm_epsilon=1e-5,
)
LLAMA_3_70B = dataclasses.replace(
    LLAMA_3_8B,
    source="https://huggingface.co/meta-llama/Meta-Llama-3-70B/blob/main/config.json",
    width=8192,
    hidden=28672,
    heads=64,
)
QWEN2_5_7B = Model(
    source="https://huggingface.co/Qwen/Qwen2.5-7B/blob/main/config.json",
    width=3584,
    hidden=18944,
    heads=28,
    kv_heads=4,
    head_width=128,
    vocabulary=152064,
    rotary_base=1_000_000.0,
    norm_epsilon=1e-6,
    attention_bias=True,
)
MISTRAL_7B = Model(
    source="https://huggingface.co/mistralai/Mistral-7B-v0.1/blob/main/config.json",
    width=4096,
    hidden=14336,
    heads=32,
    kv_heads=8,
    head_width=128,
    vocabulary=32000,
    rotary_base=10_000.0,
    norm_epsilon=1e-5,
    window=4096,
)
MIXTRAL_8X7B = dataclasses.replace(
    MISTRAL_7B,
    source="https://huggingface.co/mistralai/Mixtral-8x7B-v0.1/blob/main/config.json",
    rotary_base=1_000_000.0,
    window=0,
    experts=8,
    experts_per_token=2,
    normalized_routing=True,
)
DEEPSEEK_V2_LITE = Model(
    source="https://huggingface.co/deepseek-ai/DeepSeek-V2-Lite/blob/main/config.json; DeepSeek-AI 2024, appendix B",
    width=2048,
    hidden=1408,
    heads=16,
    kv_heads=16,
    head_width=128,
    vocabulary=102400,
    rotary_base=10_000.0,
    norm_epsilon=1e-6,
    experts=64,
    experts_per_token=6,
    shared_experts=2,
)
"""Its mixture of experts; its attention (MLA) has other shapes than these words can say, and is no part of the suite."""
GEMMA_2_9B = Model(
    source="https://huggingface.co/google/gemma-2-9b/blob/main/config.json",
    width=3584,
    hidden=14336,
    heads=16,
    kv_heads=8,
    head_width=256,
    vocabulary=256000,
    rotary_base=10_000.0,
    norm_epsilon=1e-6,
    activation="gelu_tanh",
    window=4096,
    softcap=50.0,
)
"""Scores are scaled by ``query_pre_attn_scalar ** -0.5``, which is of 256 as its heads are wide: by torch's default."""
