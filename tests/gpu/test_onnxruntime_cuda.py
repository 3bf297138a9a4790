"""ONNX Runtime on a GPU: on torch's stream, where torch's events time it, and nowhere else."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness import catalog
from harness.backends.onnxruntime import OnnxRuntime
from harness.cell import Cell, Sampling
from harness.protocols import Subject, Workload
from tests.gpu.launching import SPEC, launch


def lacks() -> str:
    """What there is not; empty where the tests can run."""
    if not torch.cuda.is_available():
        return "no GPU: torch.cuda.is_available() is False"
    for package in ("onnxruntime", "onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    import onnxruntime

    return "" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "this onnxruntime is built without CUDA"


REASON = lacks()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(REASON), reason=REASON)]
LONG_MATMUL = Cell(workload="micro/matmul_square", backend="onnxruntime", device="cuda", shapes="large")
"""Milliseconds, where handing it over is microseconds."""


def subject_of(cell: Cell) -> Subject:
    workload = catalog.load(catalog.SUITES["micro"][cell.workload.partition("/")[2]])
    loaded: Workload = workload  # type: ignore[assignment]
    return loaded.load(device=cell.device, precision=cell.precision, mode=cell.mode, shapes=cell.shapes, batch_size=None, seed=1)


@torch.no_grad()
def test_a_call_is_in_torch_s_stream_and_in_no_other(tmp_path: Path) -> None:
    subject = subject_of(LONG_MATMUL)
    backend = OnnxRuntime(LONG_MATMUL, lambda name: tmp_path / name)
    call = backend.prepare(subject)
    found = call(*subject.inputs)
    torch.testing.assert_close(found, subject.model(*subject.inputs), rtol=1e-3, atol=1e-3)
    assert backend.evidence().details["nodes"] == {"CUDAExecutionProvider": {"MatMul": 1}}
    torch.cuda.synchronize()
    call(*subject.inputs)
    assert not torch.cuda.current_stream().query(), "the call waited for its work, or its work is in another stream"
    torch.cuda.synchronize()
    # What is in the stream before a call is there when it reads it.
    subject.inputs[0].zero_()
    assert float(call(*subject.inputs).abs().max()) == 0.0
    with torch.cuda.stream(torch.cuda.Stream()), pytest.raises(RuntimeError, match="the stream that its session was made for"):  # type: ignore[no-untyped-call]
        call(*subject.inputs)


def test_a_cell_has_the_times_of_the_device(tmp_path: Path) -> None:
    cells = (LONG_MATMUL, Cell(workload="micro/transformer_block", backend="onnxruntime", device="cuda", precision="float16"))
    sampling = Sampling(samples=10, budget_seconds=2.0, energy_seconds=0)
    matmul, block = launch(tmp_path, *cells, spec=replace(SPEC, sampling=sampling))
    for row in (matmul, block):
        assert row.status == "pass", row.reason
        assert "CUDAExecutionProvider" in json.loads(row.evidence)["nodes"]
        # Neither captured nor replayed: an empty graph would have a time too.
        assert row.backend_graph_seconds is None
    # The same product by the same library: were it in another stream, the device's clock would not see it.
    assert matmul.device_speedup is not None
    assert 0.5 < matmul.device_speedup < 2.0


def test_a_session_that_holds_the_host_s_memory_does_not_end_the_process(tmp_path: Path) -> None:
    lstm = Cell(workload="micro/lstm", backend="onnxruntime", device="cuda")
    (row,) = launch(tmp_path, lstm, spec=replace(SPEC, sampling=Sampling(samples=6, budget_seconds=1.0, energy_seconds=0)))
    assert row.status == "pass", row.reason
