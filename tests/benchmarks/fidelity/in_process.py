"""Cells without a launch: the callables and the clock that a cell's process would have, for studies that compare instruments."""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
import torch._dynamo

from harness import catalog, facts, numerics
from harness.cell import Cell, Numerics
from harness.experiments.checking import check
from harness.experiments.timing import BACKEND, EAGER
from harness.protocols import BackendFactory, Call, Clock, Subject, Workload
from tests.benchmarks.fidelity import about
from tests.said import Said, bench_of


class CellFailed(Exception):
    """The cell cannot be timed; the text says why."""


def begin(options: argparse.Namespace) -> None:
    """What a cell's process does before anything else. Ends the program where there is no such device."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"fidelity: torch {torch.__version__} sees no GPU here\n  next: --device cpu")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    numerics.apply(Numerics())


def line(options: argparse.Namespace) -> str:
    """The line before the tables."""
    summary = about.summary({"machine": facts.machine(), "gpus": facts.gpus() if options.device == "cuda" else [], **facts.torch_facts()})
    return about.line({"": summary}, f"{about.parameters(options)}, {torch.get_num_threads()} threads in use")


def clock_of(device: str, cache: str) -> Clock:
    return cast("Callable[[str], Clock]", catalog.load(catalog.CLOCKS[device]))(cache)


def calls_of(cell: Cell, clock: Clock, seed: int) -> dict[str, Call]:
    """Both variants of a cell, checked as the harness checks them. To be called in ``surroundings(cell.mode)``. Raises CellFailed."""
    torch._dynamo.reset()
    gc.collect()
    with tempfile.TemporaryDirectory(prefix="fidelity-") as folder:
        report = Said(Path(folder))
        backend = cast("BackendFactory", catalog.load(catalog.backend_reference(cell.backend)))(cell, report.artifact)
        try:
            checked = check(bench_of(cell, _load(cell, seed), backend, clock, report, seed))
        except Exception as error:  # whatever a workload raises is a reason
            raise CellFailed(f"{type(error).__name__}: {error}") from error
    if isinstance(checked, str):
        raise CellFailed(f"{checked}: {report.fields.get('reason', '')}")
    return {EAGER: checked.eager.call, BACKEND: checked.backend.call}


def _load(cell: Cell, seed: int) -> Subject:
    suite, _, name = cell.workload.partition("/")
    workload = cast("Workload", catalog.load(catalog.SUITES[suite][name]))
    return workload.load(
        device=cell.device, precision=cell.precision, mode=cell.mode, shapes=cell.shapes, batch_size=cell.batch_size, seed=seed
    )
