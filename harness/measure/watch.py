"""Watches the machine between rounds of samples: which rounds were disturbed, and what the whole timed region was like."""

from __future__ import annotations

import os
import statistics
import time

from harness.measure import nvml
from harness.measure.state import WAITING_LIMIT, CpuJudgement, CpuReading, GpuReading, WaitGauge, joined, judge, read_cpu, read_gpu
from harness.records import Warn

POWER_CAP = "sw_power_cap"
"""The one reason that is no disturbance: a sustained matrix product reaches it on every data centre's GPU."""
GPU_SECONDS = 0.25
"""Between two readings of the GPU: each takes some milliseconds of the driver's time, in which nothing is measured."""


class MachineWatch:
    """Of one cell's samples. Reads before the first round, after every round, and when it is asked for columns."""

    def __init__(self, device: str) -> None:
        self._cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        self._cores = len(self._cpus) if self._cpus else os.cpu_count() or 1
        self._waits = WaitGauge()
        self._gpu = nvml.of_torch_device(0) if device == "cuda" else None
        self._gpu_readings: list[GpuReading] = []
        self._gpu_read_at = 0.0

    @property
    def sees(self) -> bool:
        """Whether there is anything here that tells of disturbed rounds."""
        return self._gpu is not None or self._waits.read() is not None

    def begin(self) -> None:
        self._spans: list[tuple[CpuReading, CpuReading]] = []
        self.resume()

    def pause(self) -> None:
        """What happens until ``resume`` is not judged."""
        self._spans.append((self._resumed, read_cpu(cpus=self._cpus)))

    def resume(self) -> None:
        self._resumed = read_cpu(cpus=self._cpus)
        self._waits.look()
        self._last_waits = self._waits.read()
        self._read_gpu()

    def mark(self, seconds: float) -> str:
        """``throttled`` or ``contended`` for the round that has just ended, empty for an undisturbed one."""
        last, self._last_waits = self._last_waits, self._waits.read()
        waited = self._last_waits.share_since(last, seconds) if self._last_waits and last else 0.0
        if time.monotonic() - self._gpu_read_at > GPU_SECONDS:
            self._read_gpu()
        gpu = self._gpu_readings[-1] if self._gpu_readings else None
        if gpu is not None and _held_back(gpu):
            return Warn.THROTTLED.value
        if waited > WAITING_LIMIT or (gpu is not None and gpu.other_processes):
            return Warn.CONTENDED.value
        return ""

    def end(self) -> None:
        """After the last round: what comes later is not judged."""
        self.pause()
        self._judgement: CpuJudgement = judge(self._spans[0][0], joined(self._spans), self._cores)

    def columns(self) -> dict[str, object]:
        judgement, gpu = self._judgement, self._gpu_readings
        return {
            "cpu_waiting": judgement.waiting_share,
            "cpu_pressure": judgement.pressure_share,
            "cpu_steal": judgement.steal_share,
            "cpu_throttled": judgement.throttled_share,
            "cpu_others": judgement.others_share,
            "cpu_mhz": self._spans[0][0].frequency_mhz,
            "load": self._spans[0][0].load,
            "sm_clock_mhz": _median([reading.sm_clock_mhz for reading in gpu]),
            "memory_clock_mhz": _median([reading.memory_clock_mhz for reading in gpu]),
            "temperature_celsius": _median([reading.temperature_celsius for reading in gpu]),
            "power_watts": _median([reading.power_watts for reading in gpu]),
            "throttle_reasons": ";".join(sorted({reason for reading in gpu for reason in reading.throttle_reasons or ()})) or None,
            "other_gpu_processes": max((reading.other_processes for reading in gpu if reading.other_processes is not None), default=None),
        }

    def warnings(self) -> list[Warn]:
        gpu = self._gpu_readings
        found = {
            Warn.CONTENDED: self._judgement.contended or any(reading.other_processes for reading in gpu),
            Warn.THROTTLED: self._judgement.throttled or any(_held_back(reading) for reading in gpu),
            Warn.POWER_CAPPED: any(POWER_CAP in (reading.throttle_reasons or ()) for reading in gpu),
        }
        return [warning for warning, is_so in found.items() if is_so]

    def _read_gpu(self) -> None:
        if self._gpu is not None:
            self._gpu_readings.append(read_gpu(self._gpu))
            self._gpu_read_at = time.monotonic()


def _held_back(reading: GpuReading) -> bool:
    return any(reason != POWER_CAP for reason in reading.throttle_reasons or ())


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
