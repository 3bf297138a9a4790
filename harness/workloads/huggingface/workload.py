"""From a name of the table to a subject. Every name is an attribute of this module."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from harness.backends.packages import need
from harness.protocols import Outputs, Subject, Unsupported
from harness.workloads.huggingface.architecture import Architecture, Configuration, Size
from harness.workloads.huggingface.inputs import TASKS, tokens
from harness.workloads.huggingface.table import ARCHITECTURES
from harness.workloads.subjects import NO_DROPOUT, place

# Everything is built from configurations: whoever asks the hub for something is to be told so at once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


class Called(nn.Module):
    """A model of ``transformers`` that takes tensors by position and returns tensors: what every exporter can do with."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self._names = names

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The loss, a scalar, and the logits: of tokens, of classes, or of the beginning and the end of a span."""
        output = self.model(**dict(zip(self._names, tensors, strict=True)))
        if "start_logits" in output:
            return output["loss"], output["start_logits"], output["end_logits"]
        return output["loss"], output["logits"]

    def gradient_checkpointing_enable(self) -> None:
        """The model knows which of its layers are worth it (``treatment``)."""
        self.model.gradient_checkpointing_enable()  # type: ignore[operator]  # transformers' own


@dataclass(frozen=True)
class HuggingFace:
    """A workload of the suite."""

    architecture: Architecture

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """See ``Workload``. ValueError for shapes other than ``small`` and ``large``.

        Labels are among the inputs in inference too, and the loss among the results, as in upstream's suite.
        """
        size = self.architecture.size(shapes)
        batch = batch_size or size.batch
        torch.manual_seed(seed)
        # Where they are wanted: weights of billions are drawn on a GPU in the time in which a CPU draws millions. XLA would trace it all.
        with torch.device("cpu" if device == "xla" else device):
            model = build(self.architecture, size.configuration)
            subject = self._generating(model, batch, size) if self.architecture.generates else self._called(model, batch, size)
        return place(subject, device=device, precision=precision, mode=mode)

    def _called(self, model: Any, batch: int, size: Size) -> Subject:
        inputs = TASKS[self.architecture.task](model.config, batch, size.length)
        return Subject(model=Called(model, tuple(inputs)), inputs=tuple(inputs.values()), batch_size=batch, loss=own_loss)

    def _generating(self, model: Any, batch: int, size: Size) -> Subject:
        # It needs transformers where it is defined.
        from harness.workloads.huggingface.generation import Generating

        prefill = self.architecture.task == "prefill"
        read = size.length if prefill else 1
        return Subject(
            model=Generating(model, batch=batch, length=size.cache, before=0 if prefill else size.length),
            inputs=(tokens(batch, read, model.config.vocab_size),),
            batch_size=batch,
            modes=("inference",),
            tokens=batch * read,
            first_token=prefill,
        )


def own_loss(outputs: Outputs) -> torch.Tensor:
    """The model's."""
    loss: torch.Tensor = outputs[0]
    return loss


def build(architecture: Architecture, changes: Configuration) -> Any:
    """The model, with random weights, on torch's default device. Raises Unsupported where this image lacks it."""
    transformers = need("transformers")
    model_class = getattr(transformers, architecture.model, None)
    if model_class is None:
        raise Unsupported(f"transformers {transformers.__version__} has no {architecture.model}")
    config = model_class.config_class(**changes)
    _settle(config)
    no_init_weights = _no_init_weights()
    # Constructors draw weights, to be overwritten by those that the architecture is to have.
    with no_init_weights():
        model = model_class(config)
    model.init_weights()
    if getattr(model, "loss_type", "") is None:
        # The one that it takes anyway, after a word to the log: there a graph would break.
        model.loss_type = "ForCausalLM"
    return model


def _settle(config: Any) -> None:
    """No randomness in a result, no cache but where it is what is measured, and nothing left for the first call to find out."""
    for name, value in list(vars(config).items()):
        # An attention without dropout is another kernel: what has none is left without.
        if isinstance(value, float) and value > 0 and "drop" in name:
            # Whole layers are dropped by a branch of Python's.
            setattr(config, name, 0.0 if "layerdrop" in name else NO_DROPOUT)
    config.use_cache = False
    # Of a classification; the first call would find it out by its labels and keep it, so that the second would be compiled anew.
    config.problem_type = "single_label_classification"


def _no_init_weights() -> Any:
    """Of transformers 5, or of those before."""
    try:
        return importlib.import_module("transformers.initialization").no_init_weights
    except ImportError:
        return importlib.import_module("transformers.modeling_utils").no_init_weights


_WORKLOADS: Mapping[str, HuggingFace] = {name: HuggingFace(architecture) for name, architecture in ARCHITECTURES.items()}


def __getattr__(name: str) -> HuggingFace:
    """The workload of that name, as the catalog refers to it: upstream's names are not all identifiers."""
    try:
        return _WORKLOADS[name]
    except KeyError:
        raise AttributeError(f"the suite huggingface has no {name!r}") from None
