"""CUDA graphs are captured, and the call that replays them is the one that is checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from harness.cell import Cell
from tests.gpu.test_cuda import launch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False"),
]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_cuda_graphs_are_captured_and_right(tmp_path: Path, mode: str) -> None:
    reduced = Cell(workload="micro/linear_gelu_mlp", backend="inductor", device="cuda", mode=mode, options=(("mode", "reduce-overhead"),))
    plain = Cell(workload="micro/linear_gelu_mlp", backend="cudagraphs", device="cuda", mode=mode)
    for row in launch(tmp_path, reduced, plain):
        assert (row.status, row.cudagraph_skips) == ("pass", 0), row.reason
        # A forward graph, and one more for the backward in training.
        assert json.loads(row.evidence)["captured_cuda_graphs"] >= (2 if mode == "training" else 1)


def test_a_package_runs_on_the_gpu(tmp_path: Path) -> None:
    (row,) = launch(tmp_path, Cell(workload="micro/softmax", backend="aot-inductor", device="cuda"))
    assert row.status == "pass", row.reason
    assert json.loads(row.evidence)["libraries"]
    assert row.artifact_bytes is not None
    assert row.artifact_bytes > 0
