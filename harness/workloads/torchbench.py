"""``torchbench:CHECKOUT``: the models of a checkout of pytorch/benchmark, by their own loader. Nothing of it is part of the harness."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.protocols import Outputs, Subject, Unsupported
from harness.workloads.subjects import place

PACKAGE = "torchbenchmark"


class ByName(nn.Module):
    """A model that takes its inputs by name, as one that takes them by position."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: Any) -> Outputs:
        return self.model(**dict(zip(self.names, inputs, strict=True)))


@dataclass(frozen=True)
class TorchBench:
    marker: Path
    """A file in the root of the checkout, wherever that is mounted: models import from there."""
    name: str

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """See ``Workload``. ``shapes`` has no meaning: a model names its own batch size, unless another one is asked for.

        Raises Unsupported for packages that are not in the image, and for what the model says it does not do.
        """
        torch.manual_seed(seed)
        # Some set flags of cuDNN's in passing; the ancestor allows it in the same way.
        torch.backends.__allow_nonbracketed_mutation_flag = True
        kind = self._class()
        if batch_size is not None and not getattr(kind, "ALLOW_CUSTOMIZE_BSIZE", True):
            raise Unsupported(f"{self.name} has one batch size: leave batch_size out")
        try:
            bench = kind(test="train" if mode == "training" else "eval", device=device, batch_size=batch_size, extra_args=[])
            model, inputs = bench.get_module()
        except NotImplementedError as error:
            raise Unsupported(f"{self.name} does not do this: {error}") from None
        except ModuleNotFoundError as error:
            raise self._lacking(error) from None
        if isinstance(inputs, dict):
            model, inputs = ByName(model, tuple(inputs)), tuple(inputs.values())
        elif not isinstance(inputs, tuple | list):
            inputs = (inputs,)
        subject = Subject(model=model, inputs=tuple(inputs), batch_size=getattr(bench, "batch_size", None))
        return place(subject, device=device, precision=precision, mode=mode)

    def _lacking(self, error: ModuleNotFoundError) -> Unsupported:
        return Unsupported(f"{self.name} needs a package that is not in this image: {error}")

    def _class(self) -> Any:
        root = str(self.marker.parent)
        if root not in sys.path:
            sys.path.insert(0, root)
        try:
            module = importlib.import_module(f"{PACKAGE}.models.{self.name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith(PACKAGE):
                raise Unsupported(f"the checkout has no model {self.name}: {error}") from None
            raise self._lacking(error) from None
        found = getattr(module, "Model", None)
        if found is None:
            raise Unsupported(f"{self.name} has no class Model")
        return found
