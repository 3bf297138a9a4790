"""``inductor``: torch.compile's default backend. Its generated code needs a C++ compiler on a CPU, triton on a GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch._dynamo.utils import counters

from harness.backends.cuda_graphs import captured_graphs, skip_reasons
from harness.backends.dynamo import CALLS_UNTIL_FINAL, Dynamo
from harness.backends.inductor_options import checked_options, mode_options
from harness.catalog import OPTIONS
from harness.cell import Cell
from harness.choice import Value
from harness.protocols import Artifacts, Evidence, NoEvidence, Unsupported
from harness.records import Warn

AUTOTUNED = ("select_algorithm_autotune", "select_algorithm_precompile", "cpp_templated_kernel_counter")
"""Inductor's counters of choosing among implementations of an operator; which there are depends on its version."""


class Inductor(Dynamo):
    """A mode and any keys of ``torch._inductor.config``; a key takes the place of what the mode sets."""

    def __init__(self, cell: Cell, artifact: Artifacts, *, defaults: Mapping[str, Value] | None = None) -> None:
        """defaults: options that the cell's mode and own options take the place of."""
        options = dict(cell.options)
        self._mode = str(options.pop("mode", "default"))
        options.pop("fullgraph", None)
        effective = {**(defaults or {}), **mode_options(self._mode), **checked_options(options, own=OPTIONS.get(cell.backend, ()))}
        super().__init__(cell, artifact, options=effective)
        if cell.device == "cpu":
            require_cpp_compiler("inductor on a CPU")
        self._wants_cuda_graphs = bool(effective.get("triton.cudagraphs"))
        if self._wants_cuda_graphs and cell.device == "cuda":
            self.calls_until_final = CALLS_UNTIL_FINAL["cudagraphs"]

    def _name_of(self, cell: Cell) -> str:
        return "inductor"

    def evidence(self) -> Evidence:
        """Besides dynamo's counters: graphs that inductor generated or found in its cache, kernels in them, operators that it left to
        torch's libraries; options in force; CUDA graphs where they were asked for.
        """
        found = super().evidence()
        inductor = counters["inductor"]
        generated = inductor["fxgraph_cache_miss"] + inductor["fxgraph_cache_bypass"]
        if generated + inductor["fxgraph_cache_hit"] == 0 and counters["aot_autograd"]["total"] == 0:
            raise NoEvidence("inductor generated no code")
        details: dict[str, object] = {**found.details, "mode": self._mode, "options": self._options, **generated_code()}
        warnings = found.warnings
        if self._wants_cuda_graphs and self._device != "cuda":
            details["cuda_graphs"] = f"no effect: the cell is one of {self._device}"
        elif self._wants_cuda_graphs:
            captured = captured_graphs()
            details["captured_cuda_graphs"] = captured
            if captured == 0:
                details["cuda_graphs"] = f"none was captured: {skip_reasons()}"
                warnings = (*warnings, Warn.FALLBACK)
        return dataclasses.replace(found, details=details, warnings=warnings)


def generated_code() -> dict[str, object]:
    """Inductor's counts of what it made in this process, and by how many threads."""
    from torch._inductor import async_compile, metrics

    inductor = counters["inductor"]
    return {
        "generated_kernels": metrics.generated_kernel_count,
        "extern_calls": inductor["extern_calls"],
        "compile_threads": async_compile.get_compile_threads(),
        **{name: inductor[name] for name in AUTOTUNED if inductor[name]},
    }


def warm_up_inductor(device: str) -> None:
    """Compile a kernel that nobody measures: for the first one, inductor probes the processor and precompiles torch's headers, and
    triton builds its loader.
    """
    if device == "cpu":
        require_cpp_compiler("inductor on a CPU")
    with torch.no_grad():
        torch.compile(lambda x: torch.softmax(torch.sin(x), dim=-1))(torch.ones(32, 64, device=device))


def require_cpp_compiler(who: str) -> None:
    """Raises Unsupported where there is none."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise Unsupported(f"{who} needs a C++ compiler and found none: install g++ (Debian: apt-get install g++)") from None
