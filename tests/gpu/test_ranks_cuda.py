"""A cell over two GPUs, by NCCL."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
import torch

from harness.cell import Cell, Sampling, Treatment
from harness.records import Row, Status
from tests.conftest import SOURCE
from tests.gpu.launching import SPEC, launch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two GPUs: torch.cuda.device_count() is below 2"),
]
FAULTY = SOURCE / "tests" / "faulty_workloads.py"
TRAINED = Cell(workload="micro/linear_gelu_mlp", backend="inductor", device="cuda", mode="training")


def launched(folder: Path, *cells: Cell, timeout: float = 200.0, ranks: int = 2, kind: str = "ddp") -> list[Row]:
    spec = dataclasses.replace(
        SPEC,
        timeout_seconds=timeout,
        sampling=Sampling(samples=6, budget_seconds=0.5, width=1.0),
        treatment=Treatment(distributed=kind, ranks=ranks),
        measure_ceilings=False,
        warm_up=False,
    )
    return launch(folder, *cells, spec=spec)


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_training_over_two_gpus_is_checked_and_timed(kind: str, tmp_path: Path) -> None:
    cells = [
        dataclasses.replace(TRAINED, backend=backend, precision=precision)
        for backend in ("eager", "inductor")
        for precision in ("float32", "bfloat16", "amp")
    ]
    for row in launched(tmp_path, *cells, kind=kind):
        assert row.status == Status.PASS, (row.cell, row.reason)
        assert row.backend_device_seconds is not None
        assert row.backend_device_seconds > 0
        assert row.speedup is not None
        assert (row.loss_scale is not None) == (row.precision == "amp")


def test_a_rank_that_dies_ends_the_cell_though_nccl_waits(tmp_path: Path) -> None:
    began = time.monotonic()
    workload = "path/faulty_workloads:LosesARank"
    (row,) = launched(tmp_path, dataclasses.replace(TRAINED, workload=workload, path=str(FAULTY), backend="eager"))
    assert (row.status, row.reason) == ("crash:exit5", "rank 1: it ended with exit code 5, without a word")
    assert time.monotonic() - began < 100


def test_more_ranks_than_gpus_are_unsupported(tmp_path: Path) -> None:
    (row,) = launched(tmp_path, TRAINED, ranks=torch.cuda.device_count() + 1)
    assert row.status == Status.UNSUPPORTED
    assert "GPUs" in row.reason
