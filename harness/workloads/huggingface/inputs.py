"""Inputs by task: what the class' ``forward`` is called with, labels included, drawn on the device that is torch's default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

Inputs = dict[str, torch.Tensor]
"""By the names of the class' parameters."""

FIRST_TOKEN = 4
"""Tokens below it mean padding, the beginning or the end of a text: several architectures find positions and lengths by them."""


def tokens(batch: int, length: int, vocabulary: int) -> torch.Tensor:
    """Random tokens, (batch, length)."""
    return torch.randint(FIRST_TOKEN, vocabulary, (batch, length))


def _language(config: Any, batch: int, length: int) -> Inputs:
    return {"input_ids": tokens(batch, length, config.vocab_size), "labels": tokens(batch, length, config.vocab_size)}


def _translation(config: Any, batch: int, length: int) -> Inputs:
    """Both texts of one length; the decoder reads what the encoder does, as upstream's."""
    found = _language(config, batch, length)
    return {**found, "decoder_input_ids": found["input_ids"].clone()}


def _span(config: Any, batch: int, length: int) -> Inputs:
    return {
        "input_ids": tokens(batch, length, config.vocab_size),
        "start_positions": torch.randint(length, (batch,)),
        "end_positions": torch.randint(length, (batch,)),
    }


def _classification(config: Any, batch: int, length: int) -> Inputs:
    return {"input_ids": tokens(batch, length, config.vocab_size), "labels": torch.randint(config.num_labels, (batch,))}


def _image(config: Any, batch: int, length: int) -> Inputs:
    """Pixels, (batch, channels, height, width), standardized as a processor leaves them."""
    return {
        "pixel_values": torch.randn(batch, config.num_channels, config.image_size, config.image_size),
        "labels": torch.randint(config.num_labels, (batch,)),
    }


def _speech(config: Any, batch: int, length: int) -> Inputs:
    """Log-mel features of the longest sound that the encoder takes (30 s), (batch, bins, frames); its convolutions halve the frames."""
    return {
        "input_features": torch.randn(batch, config.num_mel_bins, 2 * config.max_source_positions),
        "labels": tokens(batch, length, config.vocab_size),
    }


TASKS: Mapping[str, Callable[[Any, int, int], Inputs]] = {
    "language": _language,
    "translation": _translation,
    "span": _span,
    "classification": _classification,
    "image": _image,
    "speech": _speech,
}
"""Configuration, batch and length -> inputs."""
