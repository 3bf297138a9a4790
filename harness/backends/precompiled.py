"""``precompiled``: what inductor has compiled, written to a file, loaded back from it into empty caches, and measured as loaded.

Two ways of torch's: ``aot`` compiles the whole forward call ahead of time into a function that is a file (``aot_compile``); ``cache`` keeps what
``torch.compile`` would put into its caches, dynamo's part included (``caching_precompile``, ``torch.compiler.save_cache_artifacts``), so that a
call finds it. What a user of the file waits for are ``load_seconds`` and ``first_call_seconds``: on a CPU the file has the source of the kernels,
and they are compiled as it is loaded. A second process of a cell finds nothing of what the first one has compiled.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
from torch._dynamo.utils import counters
from torch.utils import _pytree as pytree

from harness import caches
from harness.backends.inductor import Inductor
from harness.catalog import PRECOMPILED_METHODS
from harness.cell import Cell
from harness.experiments.checking import step_of
from harness.experiments.steps import autocast, surroundings
from harness.protocols import Artifacts, Evidence, NoEvidence, Outputs, Subject, Unsupported
from harness.records import Warn
from harness.workloads.subjects import copy_of

FILE, PREFIX = "precompiled.bin", "precompiled-"


class Precompiled(Inductor):
    """Options: ``method``, and those of inductor."""

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        options = dict(cell.options)
        self._method = str(options.pop("method", PRECOMPILED_METHODS[0]))
        super().__init__(dataclasses.replace(cell, options=tuple(options.items())), artifact)
        _require(self._method)
        self._cell = cell
        self._loaded: _Loaded | None = None
        self._compiled: Evidence | None = None
        self._artifact_bytes: int | None = None
        self._save_seconds: float | None = None
        self._load_seconds: float | None = None

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        """Compile, save, forget, load. Raises RuntimeError where torch cannot write what it has compiled."""
        # Not in the cell's own: a second process would find what the first one has saved in place of compiling.
        own, empty = _empty_caches("compiled", "loaded")
        path = own / FILE
        caches.use(own)
        way = _AheadOfTime(self._cell, self._options) if self._method == "aot" else _Cached(self._cell, self._options, self._fullgraph)
        way.compile(subject)
        self._compiled = super().evidence()
        began = time.perf_counter()
        way.save(path)
        self._save_seconds = time.perf_counter() - began
        self._artifact_bytes = path.stat().st_size
        _forget(empty)
        began = time.perf_counter()
        self._loaded = way.load(path, subject)
        self._load_seconds = time.perf_counter() - began
        return self._loaded.function

    def evidence(self) -> Evidence:
        """What was compiled is in the columns; that what was loaded ran shows in dynamo's counters, which were empty when it was."""
        if self._compiled is None or self._loaded is None or not self._loaded.ran():
            raise NoEvidence("what was loaded was never called, or found nothing of what was saved")
        anew = counters["stats"]["unique_graphs"]
        columns = {
            **self._compiled.columns,
            "recompiles": anew,
            "save_seconds": self._save_seconds,
            "load_seconds": self._load_seconds,
            "artifact_bytes": self._artifact_bytes,
        }
        details = {**self._compiled.details, "method": self._method, "graphs_compiled_after_loading": anew}
        # A graph that torch could not save, or not find again.
        warnings = (*self._compiled.warnings, Warn.FALLBACK) if anew else self._compiled.warnings
        return dataclasses.replace(self._compiled, columns=columns, details=details, warnings=warnings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Loaded:
    function: Callable[..., Outputs]
    ran: Callable[[], bool]
    """Whether a call went through what was loaded."""


class _AheadOfTime:
    """The forward call as a function in a file. It takes the model, and has none of its weights."""

    def __init__(self, cell: Cell, options: Mapping[str, Any]) -> None:
        self._cell = cell
        self._options = options
        self._function: Any = None

    def compile(self, subject: Subject) -> None:
        # A guard on an object's identity means nothing in another process; the forms of tensors and the state of autograd and autocast stay.
        options = {**self._options, "guard_filter_fn": torch.compiler.keep_portable_guards_unsafe}
        inputs = _as_called(subject.inputs, self._cell)
        if hasattr(torch._dynamo.config, "enable_aot_compile"):
            # 2.11 has it, and lets nobody use it who does not say so.
            torch._dynamo.config.enable_aot_compile = True
        with surroundings(self._cell.mode), autocast(self._cell.precision, self._cell.device):
            # Not the model's own forward: of a module of torch's, that would have the model itself in its closure, and not be written.
            compiled: Any = torch.compile(_forward, fullgraph=True, options=options)
            self._function = compiled.aot_compile(((subject.model, *inputs), {}))

    def save(self, path: Path) -> None:
        self._function.save_compiled_function(str(path))
        self._function = None

    def load(self, path: Path, subject: Subject) -> _Loaded:
        # Its guards compare dispatch keys, of which autocast is one.
        with surroundings(self._cell.mode), autocast(self._cell.precision, self._cell.device), path.open("rb") as file:
            function: Any = torch.compiler.load_compiled_function(file)
        inner, calls = function.fn, list[None]()

        @functools.wraps(inner)
        def counted(*inputs: Any, **named: Any) -> Outputs:
            calls.append(None)
            return inner(*inputs, **named)

        def ran() -> bool:
            # As with a hook: it must be gone before anything is timed.
            function.fn = inner
            return bool(calls)

        function.fn = counted
        return _Loaded(function=functools.partial(function, subject.model), ran=ran)


def _forward(model: torch.nn.Module, *inputs: Any) -> Outputs:
    return model(*inputs)


class _Cached:
    """What ``torch.compile`` finds in its caches, in a file: whatever the workload is made of, graph breaks included."""

    def __init__(self, cell: Cell, options: Mapping[str, Any], fullgraph: bool) -> None:
        self._cell = cell
        self._options = options
        self._fullgraph = fullgraph

    def compile(self, subject: Subject) -> None:
        # For the rest of this process, which is the cell's own.
        torch._dynamo.config.caching_precompile = True
        own = copy_of(subject)
        step_of(own, self._cell, self._compiled(own)).run()

    def save(self, path: Path) -> None:
        saved = torch.compiler.save_cache_artifacts()
        if saved is None:
            raise RuntimeError("torch.compiler.save_cache_artifacts() has nothing to save")
        path.write_bytes(saved[0])

    def load(self, path: Path, subject: Subject) -> _Loaded:
        torch.compiler.load_cache_artifacts(path.read_bytes())
        compiled, calls = self._compiled(subject), list[None]()
        hook = compiled.register_forward_hook(lambda *_: calls.append(None))

        def ran() -> bool:
            hook.remove()
            return bool(calls) and counters["dynamo_cache"]["dynamo_cache_hit"] > 0

        return _Loaded(function=compiled, ran=ran)

    def _compiled(self, subject: Subject) -> Any:
        return torch.compile(subject.model, options=dict(self._options) or None, fullgraph=self._fullgraph)


def _require(method: str) -> None:
    """Raises Unsupported where this torch does not have it."""
    needed = {
        "aot": ("load_compiled_function", "keep_portable_guards_unsafe"),
        "cache": ("save_cache_artifacts", "load_cache_artifacts"),
    }[method]
    for name in needed:
        if not hasattr(torch.compiler, name):
            raise Unsupported(f"torch {torch.__version__} has no torch.compiler.{name}, which method={method} goes by")
    if method == "cache" and not hasattr(torch._dynamo.config, "caching_precompile"):
        raise Unsupported(f"torch {torch.__version__} has no torch._dynamo.config.caching_precompile")


def _as_called(inputs: Any, cell: Cell) -> Any:
    """Inputs of the forms that the cell's step calls with: in training, those that can have a gradient ask for one."""
    if cell.mode != "training":
        return inputs
    return pytree.tree_map_only(
        torch.Tensor, lambda tensor: tensor.detach().requires_grad_(tensor.is_floating_point() or tensor.requires_grad), inputs
    )


def _empty_caches(*names: str) -> list[Path]:
    """Caches as they are before anything is compiled, with what warm-ups have left: any process would begin with these."""
    # In the cell's own caches, where it has some: they are removed whatever becomes of the cell.
    root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=os.environ.get("TORCHINDUCTOR_CACHE_DIR")))
    for name in names:
        caches.link(root / name, without=f"{PREFIX}*")
    return [root / name for name in names]


def _forget(empty: Path) -> None:
    """All that this process knows of what it has compiled; its caches are the empty ones."""
    from torch._dynamo.precompile_context import PrecompileContext
    from torch._inductor.utils import clear_caches
    from torch.compiler._cache import CacheArtifactManager

    torch._dynamo.reset()
    counters.clear()
    CacheArtifactManager.clear()
    PrecompileContext.clear()
    caches.use(empty)
    clear_caches()
