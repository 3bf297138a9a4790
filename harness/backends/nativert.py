"""``nativert``: the exported program in a package, run by torch's own C++ runtime (NativeRT) operator by operator, without Python in between.

Only some builds of torch have the runtime: others export a class of its name without anything in it.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness.backends.exporting import Exported, export, require_constant_buffers, require_inference
from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Evidence, NoEvidence, Outputs, Subject, Unsupported

RUNTIME = "torch._C._nativert"
MODEL = "forward"
"""The program's name in its package."""


class NativeRt(Backend):
    compiles = True

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        require_inference(cell)
        if cell.options:
            raise Unsupported("nativert has no options")
        self._runner_of = runner_class()
        self._cell = cell
        self._exported: Exported | None = None
        self._run: Callable[..., Outputs] | None = None
        self._package_bytes: int | None = None
        self._load_seconds: float | None = None
        self._calls = 0

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        from torch.export.pt2_archive._package import package_pt2

        self._exported = export(subject, self._cell)
        require_constant_buffers(subject, self._exported)
        # The runtime knows no operators but those of ATen's core.
        program = self._exported.program.run_decompositions({})
        # In the cell's caches, where it has its own: they are removed whatever becomes of the cell.
        with tempfile.TemporaryDirectory(prefix="package-", dir=os.environ.get("TORCHINDUCTOR_CACHE_DIR")) as folder:
            package = Path(folder) / "model.pt2"
            package_pt2(str(package), exported_programs={MODEL: program})
            self._package_bytes = package.stat().st_size
            began = time.perf_counter()
            self._run = self._runner_of(str(package), MODEL).run
            self._load_seconds = time.perf_counter() - began
        return self._counted

    def evidence(self) -> Evidence:
        """Operators in the program, and that the runtime was what was called: there is no way from it back to eager."""
        if self._exported is None or self._calls == 0:
            raise NoEvidence("the runtime was never called")
        return Evidence(
            columns={
                "calls_captured": self._exported.operators,
                "unique_graphs": 1,
                "export_seconds": self._exported.seconds,
                "load_seconds": self._load_seconds,
                "artifact_bytes": self._package_bytes,
            },
            details={"runtime_called": True},
        )

    def _counted(self, *inputs: Any) -> Outputs:
        """A tenth of a microsecond of each call: nothing else can be hung into a function that has no Python in it."""
        assert self._run is not None
        self._calls += 1
        return self._run(*inputs)


def runner_class() -> Callable[[str, str], Any]:
    """What loads a package and runs it. Raises Unsupported where torch is built without it, which its version does not tell."""
    try:
        runner = importlib.import_module(RUNTIME).PyModelRunner
    except (ImportError, AttributeError):
        raise Unsupported(f"torch {torch.__version__} has no {RUNTIME}: it is built without NativeRT") from None
    if not hasattr(runner, "run"):
        raise Unsupported(f"{RUNTIME}.PyModelRunner of torch {torch.__version__} is an empty class: it is built without NativeRT")
    return runner  # type: ignore[no-any-return]
