"""Eager PyTorch: the baseline of every cell, and a backend of its own: eager against itself shows what a ratio of 1 looks like here."""

from __future__ import annotations

from collections.abc import Callable

from torch.utils.hooks import RemovableHandle

from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Evidence, NoEvidence, Outputs, Subject, Unsupported


class Eager(Backend):
    compiles = False

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        if cell.options:
            raise Unsupported("eager has no options")
        self._calls = 0
        self._hook: RemovableHandle | None = None

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        self._hook = subject.model.register_forward_hook(self._count)
        return subject.model

    def evidence(self) -> Evidence:
        # The hook costs a microsecond a call, which the baseline does not pay: it must be gone before anything is timed.
        if self._hook is not None:
            self._hook.remove()
        if self._calls == 0:
            raise NoEvidence("the model's forward was never called")
        return Evidence(details={"forward_calls_checked": self._calls})

    def _count(self, model: object, inputs: object, outputs: object) -> None:
        self._calls += 1
