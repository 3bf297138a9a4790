"""``torch.compile``: inductor, and any other backend that torch lists, debugging backends included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch._dynamo
from torch._dynamo.utils import calculate_time_spent, counters, get_compilation_metrics

from harness.cell import Cell
from harness.protocols import Artifacts, Evidence, NoEvidence, Outputs, Subject, Unsupported


class Dynamo:
    """``dynamo:NAME``: the dynamo backend of that name."""

    compiles = True

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        self._name = cell.backend.partition(":")[2]
        known = torch._dynamo.list_backends(exclude_tags=None)
        if self._name not in known:
            raise Unsupported(f"torch {torch.__version__} lists no dynamo backend {self._name!r}; it lists {', '.join(known)}")
        self._options: dict[str, Any] | None = dict(cell.options) or None

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        compiled: Callable[..., Outputs] = torch.compile(subject.model, backend=self._name, options=self._options)
        return compiled

    def evidence(self) -> Evidence:
        """Dynamo's own counters: graphs that went to the backend, operators in them, breaks between them; and where compile time went."""
        stats = counters["stats"]
        graphs = stats["unique_graphs"]
        if graphs == 0:
            raise NoEvidence(f"{self._name} compiled no graph: all of the workload would have run in eager")
        breaks = counters["graph_break"]
        inductor = counters["inductor"]
        autograd = counters["compiled_autograd"]
        spent = calculate_time_spent()
        recompiled = [metrics for metrics in get_compilation_metrics() if getattr(metrics, "recompile_reason", None)]
        return Evidence(
            columns={
                "calls_captured": stats["calls_captured"],
                "unique_graphs": graphs,
                "graph_breaks": sum(breaks.values()),
                "unique_graph_breaks": len(breaks),
                "autograd_captures": autograd["captures"],
                "autograd_compiles": autograd["compiles"],
                "cudagraph_skips": inductor["cudagraph_skips"],
                "recompiles": len(recompiled),
                "cache_hits": inductor["fxgraph_cache_hit"],
                "cache_misses": inductor["fxgraph_cache_miss"],
                "dynamo_seconds": _difference(spent, "entire_frame_compile", "backend_compile"),
                "backend_compile_seconds": _sum(spent, "backend_compile", "entire_backward_compile"),
                "codegen_seconds": spent.get("code_gen"),
            },
            details={"frames": dict(counters["frames"]), "graph_break_reasons": sorted(breaks)},
            diagnostics={
                "counters": {name: dict(values) for name, values in counters.items() if values},
                "seconds": spent,
                "graph_breaks": dict(breaks.most_common()),
                "recompile_reasons": sorted({str(metrics.recompile_reason) for metrics in recompiled}),
            },
        )


def _sum(spent: Mapping[str, float], *phases: str) -> float | None:
    known = [spent[phase] for phase in phases if phase in spent]
    return sum(known) if known else None


def _difference(spent: Mapping[str, float], whole: str, part: str) -> float | None:
    return spent[whole] - spent.get(part, 0.0) if whole in spent else None


class Inductor(Dynamo):
    """``inductor``: torch.compile's default backend. Its generated code needs a C++ compiler on a CPU, triton on a GPU."""

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        super().__init__(Cell(workload=cell.workload, backend="dynamo:inductor", options=cell.options), artifact)

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


def warm_up_inductor(device: str) -> None:
    """Compile a kernel that nobody measures: for the first one, inductor probes the processor and precompiles torch's headers, and
    triton builds its loader.
    """
    if device == "cpu":
        _require_cpp_compiler()
    with torch.no_grad():
        torch.compile(lambda x: torch.softmax(torch.sin(x), dim=-1))(torch.ones(32, 64, device=device))


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
