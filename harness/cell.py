"""The cell: one measurable thing inside one image, and the specification of a launch that measures a list of them.

Standard library only: the host imports this module without having torch.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
"""Version of the launch specification; the harness refuses one it does not know."""

PATH_SUITE = "path"
"""Suite of the users' own modules: ``path:FILE:CLASS``."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Workload x backend x device x mode x precision x shapes x batch size x options."""

    workload: str
    """``suite/name``; of a user's own module ``path/FILE_STEM:CLASS``."""
    backend: str
    device: str = "cpu"
    mode: str = "inference"
    precision: str = "float32"
    shapes: str = "small"
    batch_size: int | None = None
    """None: the batch size that the workload's shapes name."""
    options: tuple[tuple[str, str | int | float | bool], ...] = ()
    """The backend's options, sorted by name."""
    path: str | None = None
    """Absolute path of the user's own module, the same inside and outside of a container."""

    @property
    def id(self) -> str:
        """The cell's name: made here and nowhere else, and never parsed again."""
        parts = [self.workload, self.backend, self.device, self.mode, self.precision, self.shapes]
        if self.batch_size is not None:
            parts.append(f"batch={self.batch_size}")
        parts.extend(f"{name}={value}" for name, value in self.options)
        return " ".join(parts)

    @property
    def suite(self) -> str:
        return self.workload.partition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a cell is timed. Every number is recorded in the run's manifest."""

    samples: int = 30
    """Timed samples of each variant (eager and backend)."""
    minimum_samples: int = 5
    """Samples of each variant that are taken even when the time budget is spent."""
    minimum_sample_seconds: float = 1e-3
    """Length of one sample; calls shorter than this are batched. perf_counter resolves 1e-7 s or better: 1e-4 of a sample."""
    warmup_calls: int = 3
    """Untimed calls of each variant after the one that compiles."""
    budget_seconds: float = 5.0
    """Time for all samples of a cell."""


@dataclass(frozen=True, kw_only=True)
class LaunchSpec:
    """What one launch does: the content of ``cells.json``."""

    run: str
    launch: int
    attempt: int
    image: str
    cells: tuple[Cell, ...]
    seed: int
    timeout_seconds: float
    """Time for one cell from the start of its process to its end."""
    experiment: str = "performance"
    sampling: Sampling = Sampling()
    threads: int | None = None
    """Threads inside an operator; None: torch's own choice, which is recorded."""
    warm_up: bool = True
    """Do what backends do once per launch before the first cell, so that it is in no cell's compile time."""

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA_VERSION, **dataclasses.asdict(self)}, indent=1)

    @staticmethod
    def from_json(text: str) -> LaunchSpec:
        """Read a specification; ValueError says what about it is wrong."""
        data: dict[str, Any] = json.loads(text)
        version = data.pop("schema", None)
        if version != SCHEMA_VERSION:
            raise ValueError(f"launch specification of schema {version}, this harness reads {SCHEMA_VERSION}")
        cells = tuple(cell_from_dict(cell) for cell in data.pop("cells"))
        return LaunchSpec(cells=cells, sampling=Sampling(**data.pop("sampling")), **data)

    @staticmethod
    def read(path: Path) -> LaunchSpec:
        return LaunchSpec.from_json(path.read_text(encoding="utf-8"))


def cell_from_dict(data: dict[str, Any]) -> Cell:
    """Inverse of ``dataclasses.asdict``, after a journey through JSON."""
    options = tuple((name, value) for name, value in data.pop("options", ()))
    return Cell(options=options, **data)
