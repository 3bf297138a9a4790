"""``torch.compile`` with any backend that torch lists, debugging backends included; dynamo's counters are the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch._dynamo
from torch._dynamo.utils import (
    calculate_time_spent,
    clear_compilation_metrics,
    counters,
    cumulative_time_spent_ns,
    get_compilation_metrics,
    guard_failures,
)

from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Evidence, NoEvidence, Outputs, Subject, Unsupported

CALLS_UNTIL_FINAL = {"cudagraphs": 3, "ts": 3}
"""CUDA graphs: a call that warms up, one that is captured, one that is replayed. TorchScript: see ``backends.torchscript``."""
SCRIPTED = frozenset({"ts", "aot_ts"})
"""Backends that script dynamo's graphs. Until torch 2.14 they cannot script the kind that dynamo hands them unless told otherwise
(pytorch/pytorch#188872): with the setting as it is, every workload fails.
"""


class Dynamo(Backend):
    """``dynamo:NAME``, or the NAME alone where the table has it: the dynamo backend of that name."""

    compiles = True

    def __init__(self, cell: Cell, artifact: Artifacts, *, options: Mapping[str, object] | None = None) -> None:
        self._name = self._name_of(cell)
        self._device = cell.device
        known = torch._dynamo.list_backends(exclude_tags=None)
        if self._name not in known:
            raise Unsupported(f"torch {torch.__version__} lists no dynamo backend {self._name!r}; it lists {', '.join(known)}")
        self.calls_until_final = CALLS_UNTIL_FINAL.get(self._name, 1)
        own = dict(cell.options)
        self._fullgraph = bool(own.pop("fullgraph", False))
        self._options: dict[str, Any] = dict(own if options is None else options)

    def _name_of(self, cell: Cell) -> str:
        return cell.backend.partition(":")[2] or cell.backend

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        if self._name in SCRIPTED:
            # For the rest of this process, which is the cell's own: graphs are made by the first call, not here.
            torch._dynamo.config.use_lazy_graph_module = False
        # What eager compiled for itself, as flex_attention does, is none of this backend's.
        counters.clear()
        clear_compilation_metrics()
        guard_failures.clear()
        cumulative_time_spent_ns.clear()
        compiled: Callable[..., Outputs] = torch.compile(
            subject.model, backend=self._name, options=self._options or None, fullgraph=self._fullgraph
        )
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
            details={
                "frames": dict(counters["frames"]),
                "graph_break_reasons": sorted(breaks),
                **({"use_lazy_graph_module": False} if self._name in SCRIPTED else {}),
            },
            diagnostics={
                "counters": {name: dict(values) for name, values in counters.items() if values},
                "seconds": spent,
                "graph_breaks": dict(breaks.most_common()),
                "recompile_reasons": sorted({reason for reasons in guard_failures.values() for reason in reasons}),
            },
        )


def _sum(spent: Mapping[str, float], *phases: str) -> float | None:
    known = [spent[phase] for phase in phases if phase in spent]
    return sum(known) if known else None


def _difference(spent: Mapping[str, float], whole: str, part: str) -> float | None:
    return spent[whole] - spent.get(part, 0.0) if whole in spent else None
