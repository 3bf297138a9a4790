"""Samples of a cell's variants, as every experiment takes them: in turns, in an order of the cell's own, while the machine is watched."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch

from harness.cell import Cell, LaunchSpec
from harness.measure.sampling import Measurement, interleave
from harness.measure.watch import MachineWatch
from harness.protocols import Call, Clock, Report, Slices


def take(
    variants: Mapping[str, Call],
    clock: Clock,
    cell: Cell,
    spec: LaunchSpec,
    watch: MachineWatch,
    report: Report,
    slices: Slices | None,
) -> Measurement:
    """Inside of the ``surroundings`` of the calls."""
    return interleave(
        variants,
        clock,
        spec.sampling,
        random.Random(f"{spec.seed} {spec.launch} {cell.id}"),
        watch=watch,
        state="hot" if cell.id in spec.hot else "cold" if cell.id in spec.cold else None,
        keep=report.samples,
        slices=slices,
    )


def report_taking(measured: Measurement, watch: MachineWatch, report: Report) -> None:
    """How they were taken, and what the machine was like."""
    report.set(
        cache=measured.cache,
        samples=len(measured.counted),
        samples_marked=sum(1 for mark in measured.marks if mark) if watch.sees else None,
        warmup_seconds=measured.warmup_seconds,
        threads=torch.get_num_threads(),
        **watch.columns(),
    )
    for warning in watch.warnings():
        report.warn(warning)
