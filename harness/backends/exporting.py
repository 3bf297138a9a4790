"""What backends share that run a program instead of the model: ``torch.export``, and what keeps it from being one."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from harness.cell import Cell
from harness.protocols import ExportFailed, Outputs, Subject, Unsupported


@dataclass(frozen=True, kw_only=True)
class Exported:
    program: Any
    """``torch.export.ExportedProgram``."""
    seconds: float

    @property
    def operators(self) -> int:
        """Calls of operators in the program, those of its submodules (regions of autocast) included."""
        graphs = [module.graph for module in self.program.graph_module.modules() if hasattr(module, "graph")]
        return sum(1 for graph in graphs for node in graph.nodes if isinstance(node.target, torch._ops.OpOverload))


class _Autocast(nn.Module):
    """The model with autocast around it: ``torch.export`` records one that is inside of a model, and leaves out one that it runs in."""

    def __init__(self, model: nn.Module, device: str) -> None:
        super().__init__()
        self.model = model
        self.device = device

    def forward(self, *inputs: Any) -> Outputs:
        with torch.autocast(self.device):
            return self.model(*inputs)


def export(subject: Subject, cell: Cell) -> Exported:
    """The subject as a program of its own, for inference; autocast is part of it. Raises ExportFailed."""
    model = _Autocast(subject.model, cell.device) if cell.precision == "amp" else subject.model
    began = time.perf_counter()
    try:
        with torch.no_grad():
            program = torch.export.export(model, subject.inputs)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise failed(error) from error
    return Exported(program=program, seconds=time.perf_counter() - began)


def failed(error: Exception) -> ExportFailed:
    """The failure by the class of its exception; its traceback belongs into the cell's log."""
    traceback.print_exception(error)
    return ExportFailed(type(error).__name__, str(error))


def require_inference(cell: Cell) -> None:
    """Raises Unsupported for another mode."""
    if cell.mode != "inference":
        raise Unsupported(f"{cell.backend} runs a program of the forward pass alone: there is nothing in it to train")


def require_constant_buffers(subject: Subject, exported: Exported) -> None:
    """Raises Unsupported for a model that keeps a state: a package has buffers of its own, out of the sight of who calls it."""
    if next(subject.model.buffers(), None) is None:
        return
    changed = sorted(exported.program.run_decompositions({}).graph_signature.buffers_to_mutate.values())
    if changed:
        raise Unsupported(f"calls change the buffers {', '.join(changed)}: a package changes copies of its own, which cannot be compared")
