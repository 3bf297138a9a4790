"""``torch.compile``: inductor, and any other backend that torch lists, debugging backends included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
from torch._dynamo.utils import counters

from harness.cell import Cell
from harness.protocols import Evidence, NoEvidence, Outputs, Subject, Unsupported


class Dynamo:
    """``dynamo:NAME``: the dynamo backend of that name."""

    compiles = True

    def __init__(self, cell: Cell) -> None:
        self._name = cell.backend.partition(":")[2]
        known = torch._dynamo.list_backends(exclude_tags=None)
        if self._name not in known:
            raise Unsupported(f"torch {torch.__version__} lists no dynamo backend {self._name!r}; it lists {', '.join(known)}")
        self._options: dict[str, Any] | None = dict(cell.options) or None

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        compiled: Callable[..., Outputs] = torch.compile(subject.model, backend=self._name, options=self._options)
        return compiled

    def evidence(self) -> Evidence:
        """Dynamo's own counters: graphs that went to the backend, operators in them, breaks between them."""
        stats = counters["stats"]
        graphs = stats["unique_graphs"]
        if graphs == 0:
            raise NoEvidence(f"{self._name} compiled no graph: all of the workload would have run in eager")
        breaks = counters["graph_break"]
        inductor = counters["inductor"]
        autograd = counters["compiled_autograd"]
        return Evidence(
            columns={
                "calls_captured": stats["calls_captured"],
                "unique_graphs": graphs,
                "graph_breaks": sum(breaks.values()),
                "unique_graph_breaks": len(breaks),
                "autograd_captures": autograd["captures"],
                "autograd_compiles": autograd["compiles"],
                "cudagraph_skips": inductor["cudagraph_skips"],
            },
            details={
                "frames": dict(counters["frames"]),
                "fxgraph_cache_hit": inductor["fxgraph_cache_hit"],
                "fxgraph_cache_miss": inductor["fxgraph_cache_miss"],
                "graph_break_reasons": sorted(breaks),
            },
        )


class Inductor(Dynamo):
    """``inductor``: torch.compile's default backend. Its generated code needs a C++ compiler on a CPU, triton on a GPU."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(Cell(workload=cell.workload, backend="dynamo:inductor", options=cell.options))

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        device = next((leaf.device.type for leaf in _tensors(subject)), "cpu")
        if device == "cpu":
            _require_cpp_compiler()
        return super().prepare(subject)

    def evidence(self) -> Evidence:
        """Besides dynamo's counters: graphs that inductor generated or found in its cache."""
        evidence = super().evidence()
        generated = counters["inductor"]["fxgraph_cache_miss"] + counters["inductor"]["fxgraph_cache_bypass"]
        if generated + counters["inductor"]["fxgraph_cache_hit"] == 0 and counters["aot_autograd"]["total"] == 0:
            raise NoEvidence("inductor generated no code")
        return evidence


def warm_up_inductor() -> None:
    """Compile a kernel that nobody measures: inductor probes the processor and precompiles torch's headers for the first one."""
    _require_cpp_compiler()
    with torch.no_grad():
        torch.compile(lambda x: torch.softmax(torch.sin(x), dim=-1))(torch.ones(32, 64))


def _tensors(subject: Subject) -> list[torch.Tensor]:
    leaves = [*torch.utils._pytree.tree_leaves(subject.inputs), *subject.model.parameters()]
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _require_cpp_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise Unsupported("inductor on a CPU needs a C++ compiler and found none: install g++ (Debian: apt-get install g++)") from None
