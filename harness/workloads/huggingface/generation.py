"""One step of generation with a static key-value cache: reading a prompt, or making one token."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import StaticCache
from transformers.cache_utils import StaticLayer


class FixedLayer(StaticLayer):  # type: ignore[misc]  # transformers is read as Any
    """A layer of a static cache that stays where it is: every call writes to the same places, so that any number of them do the same."""

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        # (batch, heads, new tokens, width of a head) each -> all that the cache has room for
        places = torch.arange(key_states.shape[-2], device=key_states.device) + self.cumulative_length
        self.keys.index_copy_(2, places, key_states)
        self.values.index_copy_(2, places, value_states)
        return self.keys, self.values


class Generating(torch.nn.Module):
    """A decoder with its cache. The cache's tensors are buffers: they are moved, cast, copied and compared as the model's own are."""

    def __init__(self, model: Any, *, batch: int, length: int, before: int) -> None:
        """length: tokens that the cache has room for; before: how many of them are there already."""
        super().__init__()
        self.model = model
        self._parameter = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
        self.cache = StaticCache(config=model.config, max_cache_len=length)
        config = model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        for index in range(len(self.cache.layers)):
            for name in ("keys", "values"):
                # What projections of normalized activations are like; only what is there already is attended to.
                states = torch.randn(batch, heads, length, width)
                states[:, :, before:] = 0
                self.register_buffer(f"{name}_{index}", states)
        self.register_buffer("before", torch.tensor(before))
        self._bind()

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Tokens, (batch, new tokens) -> logits of the token that comes after them, (batch, 1, vocabulary)."""
        logits: torch.Tensor = self.model(input_ids=input_ids, use_cache=True, logits_to_keep=1, **{self._parameter: self.cache}).logits
        return logits

    def _apply(self, fn: Any, recurse: bool = True) -> Generating:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._bind()
        return self

    def _bind(self) -> None:
        """The cache's layers anew, of the buffers as they are now."""
        for index, old in enumerate(self.cache.layers):
            keys, values = self.get_buffer(f"keys_{index}"), self.get_buffer(f"values_{index}")
            layer = FixedLayer(max_cache_len=old.max_cache_len)
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values, layer.cumulative_length = keys, values, self.get_buffer("before")
            for tensor in (layer.keys, layer.values, layer.cumulative_length):
                # CUDA graphs then take it where it is, in place of copying it in every call.
                torch._dynamo.mark_static_address(tensor)
            self.cache.layers[index] = layer
