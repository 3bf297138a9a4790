"""What a run does to every workload beside its axes: the layout of tensors, what training keeps, the optimizer."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch.nn.modules.batchnorm import _NormBase
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import checkpoint

from harness.cell import Treatment
from harness.protocols import Outputs, Subject, Unsupported


class Checkpointed(torch.nn.Module):
    """A model whose activations are computed again for the backward pass. Source: torch.utils.checkpoint, without re-entrance."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Any) -> Outputs:
        return checkpoint(self.model, *inputs, use_reentrant=False)


def treated(subject: Subject, treatment: Treatment) -> Subject:
    if treatment.channels_last:
        subject = _channels_last(subject)
    if treatment.activation_checkpointing and subject.model.training:
        # Models of transformers know which of their layers are worth it.
        enable = getattr(subject.model, "gradient_checkpointing_enable", None)
        if callable(enable):
            enable()
        elif any(isinstance(module, _NormBase) and module.track_running_stats for module in subject.model.modules()):
            raise Unsupported(
                "activation checkpointing of a whole model computes its batch norms again, whose statistics would count every batch twice: "
                "a model of one's own can checkpoint the parts that have none (gradient_checkpointing_enable)"
            )
        else:
            subject = dataclasses.replace(subject, model=Checkpointed(subject.model).train())
    if treatment.optimizer is not None:
        subject = dataclasses.replace(subject, optimizer=treatment.optimizer)
    return subject


def _channels_last(subject: Subject) -> Subject:
    """Weights and inputs of four dimensions; what has fewer or more is as it was."""

    def of(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 and tensor.is_floating_point() else tensor

    model: torch.nn.Module = subject.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return dataclasses.replace(subject, model=model, inputs=pytree.tree_map_only(torch.Tensor, of, subject.inputs))
