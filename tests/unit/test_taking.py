"""Nothing that compiles runs beside what is timed."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch._inductor.config
from torch._inductor import async_compile

from harness.cell import Cell
from harness.experiments.taking import take
from harness.measure.clock import CpuClock
from harness.protocols import Subject
from tests.said import Changing, Said, bench_of


def is_running(pid: int) -> bool:
    """Nor is a zombie, which nobody may ever reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # It was gone, or it went between the opening and the reading.
        return False


def test_inductors_workers_have_ended_before_the_first_sample(tmp_path: Path) -> None:
    cell = Cell(workload="micro/softmax", backend="inductor")
    subject = Subject(model=torch.nn.ReLU(), inputs=(torch.ones(3),))
    bench = bench_of(cell, subject, Changing(), CpuClock(), Said(tmp_path))
    with torch._inductor.config.patch(compile_threads=2):
        worker = async_compile.AsyncCompile.process_pool().submit(os.getpid).result()
        assert is_running(worker)
        seen: list[bool] = []

        def look() -> None:
            seen.append(is_running(worker))

        assert take({"eager": look, "backend": look}, bench).counted
        assert not seen[-1]
        later = async_compile.AsyncCompile.process_pool().submit(os.getpid).result()
        assert later != worker, "what is compiled later has new ones"
        async_compile.shutdown_compile_workers()
