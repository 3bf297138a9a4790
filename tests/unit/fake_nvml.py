"""A made-up ``pynvml``: GPUs as dictionaries of answers by NVML's function; an answer that is missing is an error."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

UUID = "GPU-11111111-2222-3333-4444-555555555555"

H100: dict[str, Any] = {
    "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
    "nvmlDeviceGetUUID": UUID,
    "nvmlDeviceGetVbiosVersion": "96.00.74.00.01",
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetEccMode": [1, 1],
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 << 30, used=1, free=2),
    "nvmlDeviceGetClockInfo": {1: 1980, 2: 2619}.__getitem__,
    "nvmlDeviceGetMaxClockInfo": {1: 1980, 2: 2619}.__getitem__,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x01,
    "nvmlDeviceGetTemperature": {0: 41}.__getitem__,
    "nvmlDeviceGetPowerUsage": 123_456,
    "nvmlDeviceGetTotalEnergyConsumption": 7_654_321,
    "nvmlDeviceGetComputeRunningProcesses": [],
}


class NVMLError(Exception):
    pass


class FakeNvml(types.ModuleType):
    """initialised: how often more than shut down."""

    def __init__(self, gpus: list[dict[str, Any]], driver: object, no_driver: bool) -> None:
        super().__init__("pynvml")
        self.gpus, self.driver, self.no_driver, self.initialised = gpus, driver, no_driver, 0
        self.NVMLError = NVMLError
        for name in {name for gpu in gpus for name in gpu}:
            setattr(self, name, self._answering(name))

    def nvmlInit(self) -> None:
        if self.no_driver:
            raise NVMLError("Driver Not Loaded")
        self.initialised += 1

    def nvmlShutdown(self) -> None:
        self.initialised -= 1

    def nvmlSystemGetDriverVersion(self) -> object:
        return self.driver

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index >= len(self.gpus):
            raise NVMLError("Invalid Argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: object) -> int:
        for index, gpu in enumerate(self.gpus):
            if gpu["nvmlDeviceGetUUID"] == uuid:
                return index
        raise NVMLError("Not Found")

    def _answering(self, name: str) -> Callable[..., object]:
        def ask(handle: int, *arguments: object) -> object:
            if name not in self.gpus[handle]:
                raise NVMLError("Not Supported")
            answer = self.gpus[handle][name]
            return answer(*arguments) if callable(answer) else answer

        return ask


def install(monkeypatch: pytest.MonkeyPatch, *gpus: Mapping[str, Any], driver: object = "580.159.04", no_driver: bool = False) -> FakeNvml:
    library = FakeNvml([dict(gpu) for gpu in gpus], driver, no_driver)
    monkeypatch.setitem(sys.modules, "pynvml", library)
    return library


def process(pid: int, held: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=held)
