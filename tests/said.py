"""A report that remembers, and a bench with it: for tests and studies that run a part of a cell in their own process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.cell import Cell, LaunchSpec
from harness.protocols import Backend, Bench, Clock, Evidence, Outputs, Subject
from harness.records import Taken, Warn


class Said:
    def __init__(self, folder: Path) -> None:
        """folder: where artifacts are written."""
        self.fields: dict[str, Any] = {}
        self.warnings: list[Warn] = []
        self.taken: list[Taken] = []
        self._folder = folder

    def phase(self, name: str) -> None:
        pass

    def set(self, **fields: object) -> None:
        self.fields |= fields

    def warn(self, warning: Warn) -> None:
        self.warnings.append(warning)

    def samples(self, samples: Sequence[Taken]) -> None:
        self.taken.extend(samples)

    def artifact(self, name: str) -> Path:
        return self._folder / name


class Changing(Backend):
    """Runs the model as it is, or makes of its output what ``change`` does."""

    compiles = False

    def __init__(self, change: Callable[[torch.Tensor], Outputs] | None = None) -> None:
        self._change = change

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        change = self._change
        return subject.model if change is None else lambda x: change(subject.model(x))

    def evidence(self) -> Evidence:
        return Evidence(details={"ran": True})


def spec_of(*cells: Cell, **settings: Any) -> LaunchSpec:
    """Of a launch that is nobody's."""
    usual = {"run": "r", "launch": 0, "attempt": 0, "image": "i", "seed": 1, "timeout_seconds": 60.0}
    return LaunchSpec(cells=cells, **{**usual, **settings})


def bench_of(cell: Cell, subject: Subject, backend: Backend, clock: Clock, report: Said, seed: int = 1) -> Bench:
    return Bench(cell=cell, spec=spec_of(cell, seed=seed), subject=subject, backend=backend, clock=clock, report=report)
