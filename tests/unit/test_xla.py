"""The backends of XLA and the device's eager mode; on whatever PJRT has here, and skipped without torch_xla."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness import catalog
from harness.cell import Cell, LaunchSpec, Sampling
from harness.files import read_fields
from harness.measure.memory import held_bytes
from harness.measure.xla_clock import XlaClock
from tests.conftest import SOURCE

needs_xla = pytest.mark.skipif(importlib.util.find_spec("torch_xla") is None, reason="torch_xla is not installed")


def rows_of(folder: Path, *cells: Cell, threads: int | None = None) -> list[dict[str, str]]:
    """What a launch of these cells says."""
    spec = LaunchSpec(
        run="r",
        launch=0,
        attempt=0,
        image="i",
        cells=cells,
        seed=1,
        timeout_seconds=200,
        sampling=Sampling(samples=5, budget_seconds=0.2),
        threads=threads,
        warm_compile=False,
        measure_ceilings=False,
    )
    (folder / "cells.json").write_text(spec.to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(folder / "cells.json"), "--out", str(folder)]
    subprocess.run(command, cwd=SOURCE, capture_output=True, check=True)
    return list(read_fields(folder / "results.csv"))


def cell(workload: str, backend: str, mode: str = "inference", device: str = "xla") -> Cell:
    return Cell(workload=f"micro/{workload}", backend=backend, device=device, mode=mode)


@pytest.mark.parametrize("name", ["xla", "openxla"])
def test_a_cell_of_xla_on_another_device_is_unsupported_with_the_next_step(tmp_path: Path, name: str) -> None:
    (row,) = rows_of(tmp_path, cell("softmax", name, device="cpu"))
    assert row["status"] == "unsupported"
    assert f"{name} runs on xla, not on cpu: use an image whose device is xla" in row["reason"]


def test_every_backend_of_the_table_of_devices_is_one() -> None:
    assert set(catalog.DEVICES) <= set(catalog.BACKENDS)


@needs_xla
def test_other_compilers_say_what_runs_on_xla_instead(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, cell("softmax", "dynamo:aot_eager"))
    assert row["status"] == "unsupported"
    assert "choose eager, xla, openxla" in row["reason"]


@needs_xla
def test_a_recorded_call_is_one_compiled_graph_with_eagers_results(tmp_path: Path) -> None:
    inference, training = rows_of(tmp_path, cell("layer_norm", "xla"), cell("layer_norm", "xla", "training"))
    for row in (inference, training):
        assert row["status"] == "pass"
        assert row["graph_breaks"] == "0"
        assert json.loads(row["evidence"])["graphs_compiled"] == 1
        assert json.loads(row["evidence"])["fallbacks"] == []
        assert float(row["compilation_latency"]) > 0
        assert float(row["backend_error"]) < 1e-5
        assert "no_fp64_reference" not in row["warnings"]
        assert int(row["held_bytes"]) > 0


@needs_xla
def test_openxla_shows_dynamos_graphs_and_xlas(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, cell("pointwise_chain", "openxla"))
    assert row["status"] == "pass"
    assert row["unique_graphs"] == "1"
    assert int(row["calls_captured"]) > 1
    assert json.loads(row["evidence"])["graphs_executed"] == 1


@needs_xla
def test_a_single_operator_is_what_eager_compiled_and_no_compilation_is_timed(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, cell("sum_rows", "xla"))
    assert (row["status"], row["cache_hits"], row["cache_misses"]) == ("pass", "1", "0")
    assert row["compilation_latency"] == ""


@needs_xla
def test_a_workload_that_the_host_computed_is_no_result_of_xla_s(tmp_path: Path) -> None:
    """Its one operator is not among XLA's: what XLA does of it is to copy."""
    for row in rows_of(tmp_path, cell("embedding_bag", "xla"), cell("embedding_bag", "openxla")):
        assert row["status"] == "fallback"
        assert "fallback" in row["warnings"].split(";")
        assert "aten::_embedding_bag" in row["reason"]
        assert row["speedup"] == ""


@needs_xla
def test_moving_values_is_work_where_the_workload_is_that(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, cell("transpose_copy", "xla"))
    assert (row["status"], row["warnings"]) == ("pass", "") or "fallback" not in row["warnings"]


@needs_xla
def test_parameters_that_a_graph_updates_in_place_are_its_own(tmp_path: Path) -> None:
    """The graph takes over their memory: a baseline that shared it would compute with memory that is freed."""
    (row,) = rows_of(tmp_path, cell("linear_gelu_mlp", "xla", "training"))
    assert (row["status"], row["reason"]) == ("pass", "")


@needs_xla
def test_the_baseline_is_eager_and_as_many_threads_as_recorded_run_it(tmp_path: Path) -> None:
    """A chain of operators is one kernel where it is recorded, and many where it is not."""
    (row,) = rows_of(tmp_path, cell("pointwise_chain", "xla"), threads=1)
    assert row["threads"] == "1"
    assert float(row["speedup"]) > 1.3


THREADS = """
import time
import torch
from harness.measure.xla_clock import XlaClock
torch.set_num_threads({threads})
clock = XlaClock()
x = torch.randn(1500, 1500).to("xla")
x @ x
clock.synchronize()
processor, began = time.process_time(), time.perf_counter()
for _ in range(3):
    kept = x @ x
clock.synchronize()
print((time.process_time() - processor) / (time.perf_counter() - began))
"""


@needs_xla
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor")
def test_pjrt_has_torchs_number_of_threads() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS.format(threads=1)], cwd=SOURCE, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.2


@needs_xla
def test_weights_on_an_xla_device_are_counted() -> None:
    XlaClock()
    model = torch.nn.Linear(8, 4).to("xla")
    assert held_bytes(model, (torch.zeros(16).to("xla"),)) == 4 * (8 * 4 + 4 + 16)
