"""A model of timm as a workload: built on the device with random weights, on random images."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from harness.protocols import Subject, Unsupported
from harness.workloads.subjects import NO_DROPOUT, place
from harness.workloads.timm_models.table import MODELS, SMALL_BATCH, ImageModel


@dataclass(frozen=True, kw_only=True)
class TimmWorkload:
    name: str
    model: ImageModel

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """See ``Workload``. Raises Unsupported where timm, or the torchvision that it needs, does not load."""
        timm = _timm()
        is_small = shapes == "small"
        size = batch_size or (SMALL_BATCH if is_small else self.model.batch_size)
        # On an XLA device every operator of the initialisation would be compiled: what is made on the host is moved.
        builder = torch.device("cpu" if device == "xla" else device)
        torch.manual_seed(seed)
        with builder:
            # Without dropout, as the ancestor: what draws random numbers in training could not be compared with eager.
            model: nn.Module = timm.create_model(self.name, pretrained=False, drop_rate=0.0, **(self.model.small if is_small else {}))
            _drop_no_path(timm, model)
            side = self.model.small_side if is_small else _side(timm, model, mode)
            images = _images(size, side)
            _settle(model, images)
        return place(Subject(model=model, inputs=(images,), batch_size=size), device=device, precision=precision, mode=mode)


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:
        # A torchvision of another build than torch raises RuntimeError: its operators are not there.
        raise Unsupported(f"the package timm does not load in this image: {type(error).__name__}: {error}") from None


def _side(timm: Any, model: nn.Module, mode: str) -> int:
    """Of the images that the model was made for; as the ancestor takes it, those of its evaluation in inference."""
    size: tuple[int, int, int] = timm.data.resolve_data_config({}, model=model, use_test_size=mode == "inference")["input_size"]
    return size[-1]


def _images(size: int, side: int) -> torch.Tensor:
    """(size, 3, side, side), bytes brought to mean 0 and variance 1, as in the ancestor."""
    images = torch.randint(256, (size, 3, side, side)).float()
    return (images - images.mean()) / images.std()


def _drop_no_path(timm: Any, model: nn.Module) -> None:
    """Stochastic depth is computed all the same: the work is done."""
    for module in model.modules():
        if isinstance(module, timm.layers.DropPath) and module.drop_prob:
            module.drop_prob = NO_DROPOUT


def _settle(model: nn.Module, images: torch.Tensor) -> None:
    """Let batch norms know the mean and variance of what they meet: with those that they begin with, random weights make results of any size."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(images[: max(2, min(len(images), SMALL_BATCH))])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def __getattr__(name: str) -> TimmWorkload:
    """By its name in the table, which has dots and dashes (PEP 562)."""
    if name not in MODELS:
        raise AttributeError(name)
    return TimmWorkload(name=name, model=MODELS[name])
