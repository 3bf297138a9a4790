"""From a PyTorch model to an ONNX file, by one of torch's exporters.

The model is exported inside of a wrapper that takes and returns tensors alone: exporters differ in what they make of nested
inputs, constants and dictionaries, and some fail on an output that is no tensor. What the wrapper saw puts the results back into
the form that eager's have.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from harness.backends.packages import need
from harness.protocols import Outputs, Subject, Unsupported

MODEL = "model.onnx"
TORCHSCRIPT = "torchscript"
DYNAMO, OPTIMIZED, INLINED = "dynamo", "dynamo-optimized", "dynamo-inlined"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of an exporter."""

    exporter: str
    """``dynamo`` as torch has it, its optimizer included; ``dynamo-optimized`` with onnxscript's optimizer and rewriter after it;
    ``dynamo-inlined`` without any optimizer, functions inlined; ``torchscript``, the older exporter."""
    opset: int | None
    """None: the exporter's own choice."""
    autocast: str | None
    """The device type whose autocast is traced into the model; None: no autocast."""

    def surroundings(self) -> AbstractContextManager[object]:
        # Without its cache: a weight that autocast has cast before would be traced as a constant.
        return nullcontext() if self.autocast is None else torch.autocast(self.autocast, cache_enabled=False)


@dataclass(kw_only=True)
class Form:
    """What the model returned when it was traced, and what it left changed."""

    spec: Any = None
    leaves: tuple[Any, ...] = ()
    """Of the outputs: constants as they are, ``None`` in the place of a tensor (see ``is_tensor``)."""
    is_tensor: tuple[bool, ...] = ()
    devices: tuple[torch.device, ...] = ()
    """Of the output tensors."""
    changed: set[str] = field(default_factory=set)

    def rebuild(self, tensors: Sequence[torch.Tensor]) -> Outputs:
        remaining = iter(tensors)
        leaves = [next(remaining) if known else leaf for known, leaf in zip(self.is_tensor, self.leaves, strict=True)]
        return pytree.tree_unflatten(leaves, self.spec)


class Flat(torch.nn.Module):
    """The model as a function from tensors to tensors."""

    def __init__(self, subject: Subject, form: Form) -> None:
        super().__init__()
        self.model = subject.model
        self.training = subject.model.training
        leaves, self._spec = pytree.tree_flatten(subject.inputs)
        self._constants = [None if isinstance(leaf, torch.Tensor) else (leaf,) for leaf in leaves]
        self._form = form

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        remaining = iter(tensors)
        leaves = [next(remaining) if constant is None else constant[0] for constant in self._constants]
        outputs, spec = pytree.tree_flatten(self.model(*pytree.tree_unflatten(leaves, self._spec)))
        found = tuple(leaf for leaf in outputs if isinstance(leaf, torch.Tensor))
        form = self._form
        form.spec = spec
        form.leaves = tuple(None if isinstance(leaf, torch.Tensor) else leaf for leaf in outputs)
        form.is_tensor = tuple(isinstance(leaf, torch.Tensor) for leaf in outputs)
        form.devices = tuple(leaf.device for leaf in found)
        return found


class WatchedFlat(Flat):
    """The same, and whether the model writes into its inputs or into its own tensors: TorchScript's exporter leaves that out silently."""

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        watched = {f"input {index}": tensor for index, tensor in enumerate(tensors)}
        watched |= dict(self.model.named_buffers()) | dict(self.model.named_parameters())
        before = {name: tensor._version for name, tensor in watched.items()}
        found = super().forward(*tensors)
        self._form.changed |= {name for name, tensor in watched.items() if tensor._version != before[name]}
        return found


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A model on disk."""

    path: Path
    inputs: tuple[str, ...]
    """Names of the model's input tensors, in the order of the leaves of the subject's inputs; the graph may lack what it does not use."""
    form: Form
    seconds: float
    bytes: int
    """Of the model and its external data."""
    opset: int
    operators: dict[str, int]
    """Nodes of the graph by type, those in functions as calls of these."""


def export(subject: Subject, request: Request, folder: Path) -> Exported:
    """Write the model to ``folder``, which must be empty; weights beyond protobuf's 2 GB lie beside it.

    Raises Unsupported for a workload that changes its inputs or buffers, and for an opset that the exporter does not keep to; and whatever the exporter raises.
    """
    inputs = tensors_of(subject.inputs)
    names = tuple(f"input_{index}" for index in range(len(inputs)))
    form = Form()
    path = folder / MODEL
    writer = _by_torchscript if request.exporter == TORCHSCRIPT else _by_dynamo
    began = time.perf_counter()
    with torch.no_grad(), request.surroundings():
        writer(subject, form, inputs, names, request, path)
    seconds = time.perf_counter() - began
    if form.changed:
        raise Unsupported(
            f"the workload changes {', '.join(sorted(form.changed))} in place, and an ONNX graph has no state: only its outputs would be right"
        )
    graph = need("onnx").load(str(path), load_external_data=False)
    opset = next(each.version for each in graph.opset_import if each.domain in ("", "ai.onnx"))
    if request.opset is not None and opset != request.opset:
        # It only says so where it logs.
        raise Unsupported(
            f"opset = {request.opset}: the {request.exporter} exporter of torch {torch.__version__} writes this model in opset {opset} all the same"
        )
    operators: dict[str, int] = {}
    for node in graph.graph.node:
        kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        operators[kind] = operators.get(kind, 0) + 1
    return Exported(
        path=path,
        inputs=names,
        form=form,
        seconds=seconds,
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        opset=opset,
        operators=operators,
    )


def tensors_of(tree: Any) -> tuple[torch.Tensor, ...]:
    return tuple(leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor))


Writer = Callable[[Subject, Form, tuple[torch.Tensor, ...], tuple[str, ...], Request, Path], None]


def _by_dynamo(
    subject: Subject, form: Form, inputs: tuple[torch.Tensor, ...], names: tuple[str, ...], request: Request, path: Path
) -> None:
    program: Any = torch.onnx.export(
        Flat(subject, form),
        inputs,
        input_names=names,
        opset_version=request.opset,
        dynamo=True,
        optimize=request.exporter != INLINED,
    )
    signature = program.exported_program.graph_signature
    for changed in ("buffers_to_mutate", "user_inputs_to_mutate", "parameters_to_mutate"):
        form.changed |= {_name(name) for name in getattr(signature, changed, {}).values()}
    if request.exporter == OPTIMIZED:
        program.model = need("onnxscript.rewriter").rewrite(need("onnxscript.optimizer").optimize(program.model))
    elif request.exporter == INLINED:
        need("onnx_ir.passes.common").InlinePass()(program.model)
    program.save(str(path), external_data=True)


def _name(name: str) -> str:
    """Of a tensor, without what the wrapper added to it."""
    return re.sub(r"^tensors_", "input ", name.removeprefix("model."))


def _by_torchscript(
    subject: Subject, form: Form, inputs: tuple[torch.Tensor, ...], names: tuple[str, ...], request: Request, path: Path
) -> None:
    torch.onnx.export(
        WatchedFlat(subject, form), inputs, str(path), input_names=names, opset_version=request.opset, dynamo=False, verbose=False
    )
