"""Which rounds are marked, and what a row says of the machine."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.measure import nvml
from harness.measure import watch as module
from harness.measure.state import CpuReading, GpuReading, WaitGauge, Waits
from harness.measure.watch import MachineWatch
from harness.records import MEASURED_COLUMNS, Warn

QUIET = CpuReading(
    seconds=0.0,
    waits=Waits(waiting_seconds=0.0, running_seconds=0.0),
    pressure_seconds=0.0,
    steal_seconds=0.0,
    busy_seconds=0.0,
    throttled_seconds=0.0,
    own_cpu_seconds=0.0,
    frequency_mhz=2000.0,
    load=0.5,
)
COOL = GpuReading(
    sm_clock_mhz=1980.0, memory_clock_mhz=3201.0, throttle_reasons=(), temperature_celsius=40.0, power_watts=300.0, other_processes=0
)


def waited(seconds: float) -> Waits:
    return Waits(waiting_seconds=seconds, running_seconds=0.0)


def watching(monkeypatch: pytest.MonkeyPatch, cpu: list[CpuReading], waiting: list[float | None], gpu: list[GpuReading]) -> MachineWatch:
    """A watch that reads these values, one after another."""
    readings, totals, gpus = iter(cpu), iter(waiting), iter(gpu)

    class Gauge:
        def look(self) -> None:
            pass

        def read(self) -> Waits | None:
            total = next(totals)
            return None if total is None else waited(total)

        def close(self) -> None:
            pass

    monkeypatch.setattr(module, "WaitGauge", Gauge)
    monkeypatch.setattr(module, "read_cpu", lambda cpus: next(readings))
    monkeypatch.setattr(module, "read_gpu", lambda gpu: next(gpus))
    monkeypatch.setattr(module, "GPU_SECONDS", -1.0)
    monkeypatch.setattr(nvml, "of_torch_device", lambda index: object())
    return MachineWatch("cuda" if gpu else "cpu")


def test_a_round_in_which_something_waited_is_marked_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    after = replace(QUIET, seconds=10.0, waits=waited(0.1), pressure_seconds=9.0)
    watch = watching(monkeypatch, [QUIET, after], [0.0, 0.001, 0.101, 0.101], [])
    watch.begin()
    assert [watch.mark(1.0) for _ in range(3)] == ["", "contended", ""]
    watch.end()
    assert watch.warnings() == []
    assert watch.columns()["cpu_waiting"] == pytest.approx(0.01)
    assert watch.columns()["cpu_pressure"] == pytest.approx(0.9)
    assert watch.columns()["sm_clock_mhz"] is None
    assert watch.columns().keys() <= MEASURED_COLUMNS


def test_waiting_over_the_whole_region_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    after = replace(QUIET, seconds=10.0, waits=waited(2.0), throttled_seconds=1.0)
    watch = watching(monkeypatch, [QUIET, after], [None, None], [])
    watch.begin()
    assert watch.mark(1.0) == ""
    watch.end()
    assert watch.warnings() == [Warn.CONTENDED, Warn.THROTTLED]


def test_a_gpu_that_is_too_hot_marks_its_rounds_and_one_at_its_power_limit_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    hot, capped = replace(COOL, throttle_reasons=("hw_thermal",)), replace(COOL, throttle_reasons=("sw_power_cap",), sm_clock_mhz=1500.0)
    watch = watching(monkeypatch, [QUIET, replace(QUIET, seconds=10.0)], [0.0] * 4, [COOL, hot, capped, capped])
    watch.begin()
    assert [watch.mark(1.0) for _ in range(3)] == ["throttled", "", ""]
    watch.end()
    assert watch.warnings() == [Warn.THROTTLED, Warn.POWER_CAPPED]
    assert watch.columns()["throttle_reasons"] == "hw_thermal;sw_power_cap"
    assert watch.columns()["sm_clock_mhz"] == pytest.approx(1740.0)


def test_another_process_on_the_gpu_is_contention(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watching(monkeypatch, [QUIET, replace(QUIET, seconds=10.0)], [0.0] * 2, [COOL, replace(COOL, other_processes=2)])
    watch.begin()
    assert watch.mark(1.0) == "contended"
    watch.end()
    assert watch.warnings() == [Warn.CONTENDED]
    assert watch.columns()["other_gpu_processes"] == 2


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.mark.skipif(WaitGauge().read() is None, reason="this kernel tells nothing of waiting")
def test_busy_neighbours_are_seen_for_real() -> None:
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("fork")
    busy: list[multiprocessing.Process] = []

    def marks(while_running: Callable[[], None]) -> tuple[int, list[Warn]]:
        watch = MachineWatch("cpu")
        watch.begin()
        found = []
        for _ in range(20):
            started = time.monotonic()
            while_running()
            found.append(watch.mark(time.monotonic() - started))
        watch.end()
        return sum(bool(mark) for mark in found), watch.warnings()

    try:
        for _ in range(2 * cores):
            busy.append(context.Process(target=spin, args=(60.0,)))  # type: ignore[arg-type]
            busy[-1].start()
        marked, warnings = marks(lambda: spin(0.05))
    finally:
        for process in busy:
            process.kill()
            process.join()
    assert marked >= 10
    assert Warn.CONTENDED in warnings
