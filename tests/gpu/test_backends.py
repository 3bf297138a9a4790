"""Every backend on a real GPU, in one launch: what it compiled is right, was timed on the device, and shows that it ran there."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cell import Cell, Sampling
from harness.choice import parse_choice
from harness.records import Status
from tests.gpu.launching import SPEC, launch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False"),
]
QUICK = replace(
    SPEC,
    sampling=Sampling(samples=6, budget_seconds=0.5, width=1.0, energy_seconds=0.0),
    warm_compile=False,
    measure_ceilings=False,
)
INFERENCE = ("export", "torchscript", "torchscript(method=script)")
BOTH = ("inductor(mode=reduce-overhead)", "inductor(mode=max-autotune-no-cudagraphs)", "cudagraphs", "aot_eager")


def cells(texts: tuple[str, ...], **changes: str) -> list[Cell]:
    found = []
    for text in texts:
        choice = parse_choice(text)
        found.append(Cell(workload="micro/linear_gelu_mlp", backend=choice.name, options=choice.options, device="cuda", **changes))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("backends", "mode", "precision"),
    [((*INFERENCE, *BOTH), "inference", "float32"), (BOTH, "training", "bfloat16"), (INFERENCE, "inference", "amp")],
)
def test_what_is_compiled_is_right_and_timed_on_the_device(tmp_path: Path, backends: tuple[str, ...], mode: str, precision: str) -> None:
    rows = launch(tmp_path, *cells(backends, mode=mode, precision=precision), spec=QUICK)
    assert {row.cell: (row.status, row.reason) for row in rows if row.status != Status.PASS} == {}
    for row in rows:
        assert row.backend_device_seconds is not None, row.cell
        assert row.backend_device_seconds > 0, row.cell
        assert row.evidence, row.cell


def test_a_package_is_right_and_its_library_is_loaded(tmp_path: Path) -> None:
    # One: its C++ compiler takes most of a minute.
    (packaged,) = launch(tmp_path, Cell(workload="micro/softmax", backend="aot-inductor", device="cuda"), spec=QUICK)
    assert packaged.status == Status.PASS, packaged.reason
    assert packaged.backend_device_seconds is not None
    assert packaged.artifact_bytes is not None
    assert packaged.artifact_bytes > 1000
    assert json.loads(packaged.evidence)["libraries"]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_cuda_graphs_are_captured_and_right(tmp_path: Path, mode: str) -> None:
    reduced = Cell(workload="micro/linear_gelu_mlp", backend="inductor", device="cuda", mode=mode, options=(("mode", "reduce-overhead"),))
    plain = Cell(workload="micro/linear_gelu_mlp", backend="cudagraphs", device="cuda", mode=mode)
    for row in launch(tmp_path, reduced, plain, spec=QUICK):
        assert (row.status, row.cudagraph_skips) == ("pass", 0), row.reason
        # A forward graph, and one more for the backward in training.
        assert json.loads(row.evidence)["captured_cuda_graphs"] >= (2 if mode == "training" else 1)


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_onnx_runtime_runs_on_the_gpu_or_says_that_it_does_not(tmp_path: Path) -> None:
    onnxruntime: Any = importlib.import_module("onnxruntime")
    rows = launch(tmp_path, *cells(("onnxruntime",)), spec=QUICK)
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        assert {row.status for row in rows} == {Status.PASS}
        return
    assert {row.status for row in rows} <= {Status.UNSUPPORTED, Status.FALLBACK}
    for row in rows:
        assert row.reason
        assert row.backend_latency_seconds is None, "a number that looks fine"
