"""``torchao``: linear layers quantized by torchao, in a copy of the model, which inductor compiles."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from harness.backends.exporting import require_inference
from harness.backends.inductor import Inductor
from harness.catalog import TORCHAO_SCHEMES
from harness.cell import Cell
from harness.choice import Value
from harness.protocols import Artifacts, Evidence, NoEvidence, Outputs, Subject, Tolerance, Unsupported

GROUP_SIZE = 32
"""Input channels that share a scale in int4: the smallest that all of torchao's kernels take."""
RECOMMENDED: Mapping[str, Value] = {
    "coordinate_descent_tuning": True,
    "coordinate_descent_check_all_directions": True,
    "force_fuse_int_mm_with_mul": True,
}
"""What torchao sets in inductor for quantized models (``recommended_inductor_config_setter``): there for the whole process, here for the
quantized model alone."""


class TorchAo(Inductor):
    """Options: ``scheme``, and inductor's."""

    tolerance = Tolerance(absolute_and_relative=0.0, cosine=True)
    """By direction: a cosine of 0.99 is an error of 14 % of the output's size. Weights rounded to 8 bits make 1 % and to 4 bits 10 % in
    two layers with weights as they are initialised; a layer that is wrong makes 100 %. A scale that is wrong turns nothing: so the size
    counts too.
    """

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        require_inference(cell)
        options = dict(cell.options)
        self._scheme = str(options.pop("scheme", TORCHAO_SCHEMES[0]))
        self._torchao = _import_torchao()
        self._make = _quantizer(self._torchao, self._scheme, cell)
        super().__init__(dataclasses.replace(cell, options=tuple(options.items())), artifact, defaults=RECOMMENDED)
        self._weights: Counter[str] = Counter()
        self._layers = 0

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        # Another structure over the same tensors: quantizing gives a layer a new weight, and the subject keeps its own.
        tensors = [*subject.model.parameters(), *subject.model.buffers()]
        model = copy.deepcopy(subject.model, {id(tensor): tensor for tensor in tensors})
        try:
            with torch.no_grad():
                self._make(model, subject.inputs)
        except (ImportError, NotImplementedError) as error:
            raise Unsupported(f"torchao {self._torchao.__version__} has no {self._scheme} here: {error}") from error
        layers = [module for module in model.modules() if type(module) is nn.Linear]
        self._layers = len(layers)
        self._weights = Counter(type(layer.weight).__name__ for layer in layers if type(layer.weight) is not nn.Parameter)
        if not layers:
            raise Unsupported("the workload has no linear layer: torchao quantizes nothing else of it")
        if not self._weights:
            raise Unsupported(f"torchao's {self._scheme} takes none of the workload's {len(layers)} linear layers")
        return super().prepare(dataclasses.replace(subject, model=model))

    def evidence(self) -> Evidence:
        """Besides inductor's: linear layers, and the kinds of quantized weights that they have now."""
        if not self._weights:
            raise NoEvidence("nothing was quantized")
        found = super().evidence()
        quantized = {"scheme": self._scheme, "linear_layers": self._layers, "quantized_weights": dict(self._weights)}
        return dataclasses.replace(found, details={**found.details, **quantized})


def _import_torchao() -> Any:
    try:
        import torchao
        import torchao.quantization
    except ImportError as error:
        raise Unsupported(f"this image has no torchao that works: {error}") from None
    return torchao


def _quantizer(torchao: Any, scheme: str, cell: Cell) -> Callable[[nn.Module, tuple[Any, ...]], object]:
    """What quantizes a model in place. Raises Unsupported for what this torchao cannot do, or not on the cell's device."""
    if scheme not in TORCHAO_SCHEMES:
        raise Unsupported(f"torchao has no scheme {scheme!r}; it has {', '.join(TORCHAO_SCHEMES)}")
    if scheme == "autoquant":
        return _autoquantizer(torchao, cell)
    config = _config(torchao.quantization, scheme, cell)

    def is_quantized(module: nn.Module, name: str) -> bool:
        return type(module) is nn.Linear and (scheme != "int4-weight-only" or module.in_features % GROUP_SIZE == 0)

    def quantize(model: nn.Module, inputs: tuple[Any, ...]) -> None:
        torchao.quantization.quantize_(model, config, filter_fn=is_quantized)

    return quantize


def _config(quantization: Any, scheme: str, cell: Cell) -> object:
    try:
        if scheme == "int8-dynamic":
            return quantization.Int8DynamicActivationInt8WeightConfig(set_inductor_config=False)
        if scheme == "int8-weight-only":
            return quantization.Int8WeightOnlyConfig(set_inductor_config=False)
        if cell.device == "cpu":
            # Int4WeightOnlyConfig has kernels for GPUs alone; this one computes with weights that it makes floating-point again.
            return quantization.IntxWeightOnlyConfig(
                weight_dtype=torch.int4,  # type: ignore[attr-defined]
                granularity=quantization.PerGroup(GROUP_SIZE),
            )
        if cell.precision != "bfloat16":
            raise Unsupported(f"torchao's int4 kernel for GPUs (tinygemm) computes in bfloat16; the cell is one of {cell.precision}")
        return quantization.Int4WeightOnlyConfig(group_size=GROUP_SIZE, int4_packing_format="tile_packed_to_4d", set_inductor_config=False)
    except (AttributeError, TypeError) as error:
        raise Unsupported(f"this torchao has no {scheme} in the form that is known here (0.16 to 0.18): {error}") from None


def _autoquantizer(torchao: Any, cell: Cell) -> Callable[[nn.Module, tuple[Any, ...]], object]:
    if not hasattr(torchao, "autoquant"):
        raise Unsupported(f"torchao {torchao.__version__} has no autoquant: 0.16 was the last that had it")
    if cell.device != "cuda":
        raise Unsupported(f"torchao's autoquant chooses by times on a GPU; the cell is one of {cell.device}")

    def autoquantize(model: nn.Module, inputs: tuple[Any, ...]) -> None:
        torchao.autoquant(model, set_inductor_config=False)
        # The first call shows it the shapes; then it times its kernels, and chooses.
        with torch.autocast(cell.device, enabled=cell.precision == "amp"):
            model(*pytree.tree_map_only(torch.Tensor, torch.clone, inputs))

    return autoquantize
