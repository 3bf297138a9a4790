"""A whole cell on a GPU, by the launch as it is used; and the clock against durations that are known."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.cell import Cell, Sampling
from harness.files import read_fields
from harness.measure.sampling import interleave
from tests.gpu.launching import SPEC, launch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False"),
]
CALIBRATION_CYCLES = 200_000_000


def test_a_cell_has_all_that_a_gpu_tells(tmp_path: Path) -> None:
    inductor = Cell(workload="micro/softmax", backend="inductor", device="cuda", shapes="large")
    training = Cell(workload="micro/linear_gelu_mlp", backend="eager", device="cuda", mode="training", precision="bfloat16")
    row, trained = launch(tmp_path, inductor, training, spec=replace(SPEC, memory_snapshot=True))
    assert (row.status, trained.status) == ("pass", "pass"), (row.reason, trained.reason)
    assert row.cache == "cold"
    for variant in ("eager", "backend"):
        host, device, graph = (getattr(row, f"{variant}_{name}_seconds") for name in ("latency", "device", "graph"))
        assert 0 < graph <= 1.1 * device
        assert device < host
        assert getattr(row, f"{variant}_host_overhead_seconds") == pytest.approx(host - device)
        assert getattr(row, f"{variant}_joules") > 0
        assert 0 < getattr(row, f"{variant}_limit_share") < 1.1
        assert getattr(row, f"{variant}_peak_reserved_bytes") >= getattr(row, f"{variant}_peak_beyond_bytes") > 0
    assert row.device_speedup_low is not None
    assert row.device_speedup is not None
    assert row.device_speedup_high is not None
    assert row.device_speedup_low <= row.device_speedup <= row.device_speedup_high
    assert row.transfer_seconds is not None
    assert row.transfer_seconds > 0
    assert row.sm_clock_mhz is not None
    assert row.warm_cache_hits == 1
    assert (tmp_path / row.artifacts / "memory-backend.pickle").stat().st_size > 0
    clocks = {fields["clock"] for fields in read_fields(tmp_path / "samples.csv")}
    assert clocks == {"host", "device", "graph"}


@pytest.mark.parametrize("cache", ["cold", "hot"])
@pytest.mark.parametrize("seconds", [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
def test_a_kernel_of_known_length_is_as_long_as_it_is(seconds: float, cache: str) -> None:
    """Beyond the empty kernel, which is in every reading and reported beside it."""
    from harness.measure.cuda_clock import CudaClock

    clock = CudaClock(cache)
    cycles = int(seconds * cycles_per_second())

    def kernel() -> None:
        torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]

    gauge = clock.gauges[0]
    found = interleave(
        {"empty": gauge.empty, "known": kernel}, clock, Sampling(samples=10, budget_seconds=2.0), random.Random(1), state=cache
    )
    beyond = [known - empty for known, empty in zip(found.seconds("known", "device"), found.seconds("empty", "device"), strict=True)]
    assert sorted(beyond)[len(beyond) // 2] == pytest.approx(seconds, rel=0.01, abs=200e-9)


def cycles_per_second() -> float:
    """By one long kernel between events: what the clock under test does with short ones has no part in it."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    for _ in range(2):
        start.record()
        torch.cuda._sleep(CALIBRATION_CYCLES)  # type: ignore[no-untyped-call]
        end.record()
        end.synchronize()
    return CALIBRATION_CYCLES / (float(start.elapsed_time(end)) * 1e-3)
