"""The roofline exactly; what is measured of this machine, as far as any machine can be known."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from harness.measure.ceilings import WORKING_SETS, Ceilings, measure_ceilings, share_of_limit

CPU = Ceilings(device="cpu", bandwidth=((1000, 400.0), (2000, 200.0), (4000, 100.0)), flops=(("float32", 10.0), ("bfloat16", 20.0)))
CUDA = Ceilings(
    device="cuda:0", bandwidth=((1000, 400.0),), flops=(("float32", 10.0), ("tf32", 40.0), ("float16", 80.0), ("bfloat16", 160.0))
)


def share(ceilings: Ceilings = CPU, **changed: object) -> float | None:
    arguments = {"flops": None, "bytes_moved": None, "precision": "float32", "seconds": 2.0, "cold": False, "tf32": False, **changed}
    return share_of_limit(ceilings, **arguments)  # type: ignore[arg-type]


def test_the_larger_of_both_times_is_the_limit() -> None:
    assert share(flops=10) == 0.5
    assert share(bytes_moved=400) == 0.5
    assert share(flops=10, bytes_moved=800) == 1.0
    assert share(flops=30, bytes_moved=800) == 1.5


def test_a_small_set_is_no_slower_than_a_larger_one_that_holds_it_too() -> None:
    ceilings = Ceilings(device="cpu", bandwidth=((1000, 150.0), (2000, 200.0), (4000, 100.0)), flops=())
    assert share_of_limit(ceilings, None, 600, "float32", 6.0, cold=False, tf32=False) == pytest.approx(0.5)
    assert share_of_limit(ceilings, None, 600, "float32", 6.0, cold=True, tf32=False) == pytest.approx(1.0)


@pytest.mark.parametrize(("moved", "rate"), [(0, 400), (1, 400), (1000, 400), (1001, 200), (2000, 200), (4000, 100), (9000, 100)])
def test_bytes_are_held_against_the_smallest_set_that_holds_them(moved: int, rate: float) -> None:
    assert share(bytes_moved=moved) == moved / rate / 2


def test_cold_data_is_in_no_cache() -> None:
    assert share(bytes_moved=400, cold=True) == 2.0


@pytest.mark.parametrize(
    ("ceilings", "precision", "tf32", "rate"),
    [
        (CPU, "bfloat16", False, 20),
        (CPU, "amp", False, 20),
        (CPU, "float32", True, 10),
        (CUDA, "float32", False, 10),
        (CUDA, "float32", True, 40),
        (CUDA, "amp", False, 80),
        (CUDA, "bfloat16", True, 160),
    ],
)
def test_each_precision_has_its_peak(ceilings: Ceilings, precision: str, tf32: bool, rate: float) -> None:
    assert share(ceilings, flops=100, precision=precision, tf32=tf32) == 100 / rate / 2


def test_nothing_is_known_of_nothing() -> None:
    assert share() is None
    assert share(flops=10, precision="float16") is None
    assert share(Ceilings(device="cpu", bandwidth=(), flops=()), flops=10, bytes_moved=10) is None
    assert share(flops=10, precision="float16", bytes_moved=400) == 0.5


def test_json_and_back() -> None:
    for ceilings in (CPU, CUDA):
        assert Ceilings.from_json(json.loads(json.dumps(ceilings.to_json()))) == ceilings
    assert CPU.to_json() == {
        "device": "cpu",
        "bandwidth": {"1000": 400.0, "2000": 200.0, "4000": 100.0},
        "flops": {"float32": 10.0, "bfloat16": 20.0},
    }


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"device": 1, "bandwidth": {}, "flops": {}},
        {"device": "cpu", "bandwidth": [], "flops": {}},
        {"device": "cpu", "bandwidth": {"x": 1.0}, "flops": {}},
        {"device": "cpu", "bandwidth": {"1": "fast"}, "flops": {}},
        {"device": "cpu", "bandwidth": {"1": 0.0}, "flops": {}},
        {"device": "cpu", "bandwidth": {}, "flops": {"float32": float("nan")}},
    ],
)
def test_what_is_no_ceilings_is_refused(content: Mapping[str, object]) -> None:
    with pytest.raises(ValueError):
        Ceilings.from_json(content)


def test_this_machine_is_measured_within_its_budget() -> None:
    before = torch.get_float32_matmul_precision()
    started = time.perf_counter()
    found = measure_ceilings("cpu", budget_seconds=2.0)
    assert time.perf_counter() - started < 6.0
    assert torch.get_float32_matmul_precision() == before
    bandwidth, flops = dict(found.bandwidth), dict(found.flops)
    assert tuple(bandwidth) == WORKING_SETS["cpu"]
    # By orders of magnitude: what else runs here can take a processor away for most of a small measurement.
    assert all(1e7 < rate < 100e12 for rate in bandwidth.values()), bandwidth
    assert 0.5e9 < bandwidth[256 << 20] < 2e12
    assert 1e9 < flops["float32"] < 1e15
    assert all(1e9 < rate < 1e15 for rate in flops.values())


def test_a_precision_without_time_for_it_is_left_out_but_float32() -> None:
    assert [precision for precision, _ in measure_ceilings("cpu", budget_seconds=1e-6).flops] == ["float32"]


def test_the_host_reads_ceilings_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from harness.measure import ceilings"
    source = Path(__file__).resolve().parent.parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=source, check=False).returncode == 0
