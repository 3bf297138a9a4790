"""PyTorch/XLA: lazy tensors (``xla``) and torch.compile's bridge to them (``openxla``).

The baseline is torch_xla's eager mode, which the clock of the device turns on for the whole process: operator by operator, each compiled
when it is first met. A backend's call is recorded instead, loss, backward and optimizer included, and cut at its end, as torch_xla
recommends for a step of training. What ``openxla`` does not compile (in training the loss and the optimizer) is recorded likewise: that
is what plain torch does on an XLA device.

Three things differ from other devices. A call that is a single operator is the graph that eager has compiled already: XLA finds it in the
process' memory (``cache_hits``), and there is no compilation to be timed. And random numbers that are drawn within a recorded graph are
others than eager's, whatever the seed: a workload with dropout fails its check in training.
And a call that updates parameters is recorded a second time in another form (a weight, or what transposing it twice makes): it is compiled
once more after the check, as are loss and optimizer around dynamo's graphs. ``recompiled`` says so.

A second process compiles all over again: PJRT's CPU cannot load what XLA's persistent cache has kept ("Deserializing serialized executable
not supported", torch_xla 2.9.0).

torch_xla is imported late: it sets torch's configuration for the whole process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.backends.dynamo import Dynamo
from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Call, Evidence, FellBack, NoEvidence, Outputs, Subject, Unsupported
from harness.records import Warn

NANOSECONDS = 1e-9
LOWERED = "xla::"
"""Before the names of operators in torch_xla's counters."""
_STEMS = [
    "_copy_from",
    "_propagate_xla_data",
    "_to_copy",
    "_to_cpu",
    "_unsafe_view",
    "alias",
    "arange",
    "clone",
    "detach",
    "empty",
    "empty_strided",
    "expand",
    "fill_",
    "full",
    "ones",
    "select",
    "slice",
    "squeeze",
    "unsqueeze",
    "view",
    "zeros",
    "zero_",
]
NO_WORK = frozenset(f"{stem}{suffix}" for stem in _STEMS for suffix in ("", "_copy", "_copy_symint", "_out", "_symint"))
"""Operators that move values, name them anew or make them up: what is left of a workload whose own operators ran on the host."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What XLA has done for recorded calls; eager mode has counters of its own."""

    compiled: int
    """Graphs."""
    compile_seconds: float
    executed: int
    fallbacks: tuple[str, ...]
    """Operators that XLA does not have: torch computed them on the host."""
    lowered: tuple[str, ...]
    """Operators that became part of XLA's graphs."""

    def require_work(self) -> None:
        """Raises FellBack where XLA had nothing to do but to hand values to the host and back."""
        if self.fallbacks and NO_WORK.issuperset(self.lowered):
            raise FellBack(f"XLA has none of the workload's operators ({', '.join(self.fallbacks)}): the host computed them")

    @property
    def found(self) -> int:
        """Of a first call's graphs, those that were compiled before."""
        return max(0, self.executed - self.compiled)


class LazyTensors(Backend):
    """``xla``: every call is one graph, unless an operator that XLA does not have, or a look at a value, cuts it."""

    compiles = True

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        if cell.options:
            raise Unsupported("xla has no options")
        self._metrics = Metrics()

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        self._metrics.clear()
        return subject.model

    def whole(self, call: Call) -> Call:
        return recorded(call)

    def evidence(self) -> Evidence:
        """XLA's own metrics of the first call: graphs compiled and executed, and what fell back to the host."""
        first, now = self._metrics.of_first_call(), self._metrics.read()
        if first.executed == 0:
            raise NoEvidence("XLA executed no graph of this call")
        first.require_work()
        # What eager has left compiled takes no time here: it is no compilation that could be reported.
        self.compiles = first.compiled > 0
        again = now.compiled - first.compiled
        return Evidence(
            columns={
                "unique_graphs": first.executed + again,
                "graph_breaks": first.executed - 1,
                "recompiles": again,
                "cache_hits": first.found,
                "cache_misses": first.compiled,
                "backend_compile_seconds": first.compile_seconds,
            },
            details=self._metrics.details(first),
            diagnostics=self._metrics.diagnostics(),
            warnings=(Warn.FALLBACK,) if first.fallbacks else (),
        )


class OpenXla(Dynamo):
    """``openxla``: dynamo captures graphs, XLA compiles them."""

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        super().__init__(cell, artifact)
        self._metrics = Metrics()

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        self._metrics.clear()
        return super().prepare(subject)

    def whole(self, call: Call) -> Call:
        return recorded(call)

    def evidence(self) -> Evidence:
        """Dynamo's counters, and XLA's: it compiles in training what is around dynamo's graphs, too."""
        captured = super().evidence()
        first, now = self._metrics.of_first_call(), self._metrics.read()
        if first.executed == 0:
            raise NoEvidence("dynamo captured graphs, and XLA executed none")
        now.require_work()
        recompiles = (captured.columns.get("recompiles") or 0) + now.compiled - first.compiled
        return Evidence(
            columns={**captured.columns, "recompiles": recompiles, "cache_hits": first.found, "cache_misses": first.compiled},
            details={**captured.details, **self._metrics.details(first)},
            diagnostics={**captured.diagnostics, **self._metrics.diagnostics()},
            warnings=(Warn.FALLBACK,) if now.fallbacks else (),
        )


def recorded(call: Call) -> Call:
    """The call out of eager mode: recorded, then compiled (once) and executed as a whole. It returns before XLA is done."""
    import torch_xla

    set_eager: Callable[[bool], None] = torch_xla._XLAC._set_use_eager_mode
    cut = torch_xla.sync

    def whole() -> object:
        set_eager(False)  # the name of the function says it
        try:
            # Held until it is cut: XLA computes nothing that nobody holds.
            result = call()
            cut()
            return result
        finally:
            set_eager(True)

    return whole


class Metrics:
    """torch_xla's metrics, which are the process'. What they are called is in torch_xla's TROUBLESHOOTING.md."""

    def __init__(self) -> None:
        from torch_xla.debug import metrics

        self._metrics: Any = metrics
        self._first: Counts | None = None

    def clear(self) -> None:
        """What eager did is none of the backend's."""
        self._metrics.clear_all()
        self._first = None

    def of_first_call(self) -> Counts:
        """As they were when this was first asked."""
        if self._first is None:
            self._first = self.read()
        return self._first

    def read(self) -> Counts:
        compiled, nanoseconds = self._total("CompileTime")
        return Counts(
            compiled=compiled,
            compile_seconds=nanoseconds * NANOSECONDS,
            executed=self._total("ExecuteTime")[0],
            fallbacks=tuple(sorted(self._metrics.executed_fallback_ops())),
            lowered=tuple(sorted(name.removeprefix(LOWERED) for name in self._metrics.counter_names() if name.startswith(LOWERED))),
        )

    def details(self, counts: Counts) -> dict[str, object]:
        import torch_xla
        from torch_xla import runtime

        return {
            "pjrt_device": runtime.device_type(),
            "torch_xla": torch_xla.__version__,
            "graphs_compiled": counts.compiled,
            "graphs_found_compiled": counts.found,
            "graphs_executed": counts.executed,
            "fallbacks": list(counts.fallbacks),
        }

    def diagnostics(self) -> dict[str, object]:
        return {"xla_metrics": self._metrics.metrics_report()}

    def _total(self, name: str) -> tuple[int, float]:
        """(samples, their sum)."""
        data = self._metrics.metric_data(name)
        return (0, 0.0) if data is None else (int(data[0]), float(data[1]))
