"""What needs a GPU. The harness has no clock for one yet: a cell that asks for it says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.cell import Cell, LaunchSpec
from harness.launch import measure
from harness.process import become_reaper

pytestmark = [pytest.mark.gpu]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False")
def test_a_cuda_cell_is_unsupported_and_never_touches_the_server_process(tmp_path: Path) -> None:
    cell = Cell(workload="micro/softmax", backend="inductor", device="cuda")
    spec = LaunchSpec(run="r", launch=0, attempt=0, image="i", cells=(cell,), seed=1, timeout_seconds=60)
    (tmp_path / "logs").mkdir()
    become_reaper()
    row, _ = measure(0, cell, spec, tmp_path, None)
    assert (row.status, row.reason) == ("unsupported", "the harness has no clock for the device cuda")
    assert not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
