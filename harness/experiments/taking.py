"""Samples of a cell's variants, as every experiment takes them: in turns, in an order of the cell's own, while the machine is watched."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping

import torch

from harness.measure.sampling import Measurement, interleave
from harness.measure.watch import MachineWatch
from harness.process import descendants, kill
from harness.protocols import Bench, Call


def take(variants: Mapping[str, Call], bench: Bench) -> Measurement:
    """Inside of the ``surroundings`` of the calls. Reports how samples were taken, and what the machine was like meanwhile."""
    cell, spec, clock, report = bench.cell, bench.spec, bench.clock, bench.report
    end_compile_workers()
    watch = MachineWatch(clock.device)
    measured = interleave(
        variants,
        clock,
        spec.sampling,
        random.Random(f"{spec.seed} {spec.launch} {cell.id}"),
        watch=watch,
        state="hot" if cell.id in spec.hot else "cold" if cell.id in spec.cold else None,
        keep=report.samples,
        slices=bench.slices,
    )
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
    return measured


def end_compile_workers() -> None:
    """Inductor's, one for each processor, which wait for more to compile: nothing that compiles may run beside what is timed.

    They are killed: those that are still starting (by then a small workload has been compiled without them) would first come to an end of that,
    for seconds. What is compiled later has new ones.
    """
    compiling = sys.modules.get("torch._inductor.async_compile")
    if compiling is None:
        return
    for pool in tuple(getattr(compiling, "_pool_set", ())):
        starter = getattr(pool, "process", None)
        if starter is not None:
            kill([starter.pid, *descendants(starter.pid)])
    compiling.shutdown_compile_workers()
