"""``torchscript``: the model traced or scripted. Its executor profiles the first call and rewrites the graph for the later ones."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import _pytree as pytree

from harness.backends.exporting import failed, require_inference
from harness.catalog import TORCHSCRIPT_METHODS
from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Evidence, NoEvidence, Outputs, Subject, Unsupported


class TorchScript(Backend):
    """``method``: ``trace`` (default) records the operators of one call; ``script`` compiles the model's Python."""

    compiles = True
    calls_until_final = 3
    """One that profiles, one that rewrites the graph and runs it, one that only runs it."""

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        require_inference(cell)
        self._method = dict(cell.options).get("method", TORCHSCRIPT_METHODS[0])
        if self._method not in TORCHSCRIPT_METHODS:
            raise Unsupported(f"torchscript has no method {self._method!r}; it has {', '.join(TORCHSCRIPT_METHODS)}")
        self._cell = cell
        self._module: Any = None
        self._seconds: float | None = None
        self._warnings: list[str] = []

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        began = time.perf_counter()
        try:
            with torch.no_grad(), self._noted_warnings():
                self._module = self._trace(subject) if self._method == "trace" else torch.jit.script(subject.model)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise failed(error) from error
        self._seconds = time.perf_counter() - began
        return self._module  # type: ignore[no-any-return]

    def _trace(self, subject: Subject) -> Any:
        """Tracing is a call of the model: what it changes must be as it was."""
        inputs = pytree.tree_map_only(torch.Tensor, torch.clone, subject.inputs)
        buffers = [(buffer, buffer.clone()) for buffer in subject.model.buffers()]
        # A weight that autocast has cast once must be cast in every call of the graph.
        with torch.autocast(self._cell.device, enabled=self._cell.precision == "amp", cache_enabled=False):
            traced = torch.jit.trace(subject.model, inputs, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
        for buffer, value in buffers:
            buffer.copy_(value)
        return traced

    @contextlib.contextmanager
    def _noted_warnings(self) -> Iterator[None]:
        """What the tracer has to say of values that it took for constants."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        self._warnings = sorted({str(each.message) for each in caught if each.category.__name__ == "TracerWarning"})

    def evidence(self) -> Evidence:
        """The graph that TorchScript's executor made of its profile, and ran last."""
        if self._module is None:
            raise NoEvidence("the model was never made into TorchScript")
        # TorchScript has another executor for calls inside of autocast, and tells of the one that a call from here would take.
        with torch.autocast(self._cell.device, enabled=self._cell.precision == "amp"):
            plans = _executed_plans(self._module)
        if not plans:
            raise NoEvidence("TorchScript's executor has run no graph")
        operators = Counter(_kinds(self._module.inlined_graph))
        return Evidence(
            columns={"calls_captured": sum(operators.values()), "unique_graphs": 1, "export_seconds": self._seconds},
            details={
                "method": self._method,
                "executed": dict(Counter(kind for plan in plans for kind in _kinds(plan.graph))),
                "tracer_warnings": self._warnings,
            },
            diagnostics={"graph": str(self._module.inlined_graph), "executed": [str(plan.graph) for plan in plans]},
        )


def _executed_plans(module: Any) -> list[Any]:
    try:
        return list(module.get_debug_state().execution_plans.values())
    except RuntimeError as error:
        raise NoEvidence(f"TorchScript's executor has no optimized graph: {error}") from error


def _kinds(graph: Any) -> list[str]:
    """Of all nodes that compute something, nested ones included."""
    found = []
    blocks = [graph]
    while blocks:
        for node in blocks.pop().nodes():
            blocks.extend(node.blocks())
            if node.kind().partition("::")[0] != "prim" or "Group" in node.kind():
                found.append(node.kind())
    return found
