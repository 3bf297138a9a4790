"""NVML through a made-up ``pynvml``: units, names, and None for whatever it does not say."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.measure import nvml
from harness.measure.nvml import Gpu
from tests.unit.fake_nvml import H100, UUID, install, process


def opened(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> Gpu:
    install(monkeypatch, {**H100, **changed})
    gpu = nvml.open_gpu(0)
    assert gpu is not None
    return gpu


def test_without_pynvml_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.open_gpu(0) is None
    assert nvml.fingerprints() == []


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, H100, no_driver=True)
    assert nvml.open_gpu(0) is None
    assert nvml.open_gpu(UUID) is None
    assert nvml.fingerprints() == []


def test_a_gpu_is_found_by_index_and_by_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {**H100, "nvmlDeviceGetUUID": "GPU-0"}, {**H100, "nvmlDeviceGetName": "other"})
    for key in (1, UUID):
        gpu = nvml.open_gpu(key)
        assert gpu is not None
        assert gpu.fingerprint()["name"] == "other"
    assert nvml.open_gpu(2) is None
    assert nvml.open_gpu("GPU-unheard-of") is None


def test_torch_devices_are_found_by_uuid_not_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {**H100, "nvmlDeviceGetUUID": "GPU-0"}, H100, {**H100, "nvmlDeviceGetUUID": "MIG-7"})
    uuids = [UUID.removeprefix("GPU-"), "7"]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=uuids[index]))
    for index, uuid in enumerate((UUID, "MIG-7")):
        gpu = nvml.of_torch_device(index)
        assert gpu is not None
        assert gpu.fingerprint()["uuid"] == uuid
    assert nvml.of_torch_device(2) is None


@pytest.mark.parametrize("count", [1, 2])
def test_a_torch_that_tells_no_uuid_gets_the_only_gpu_or_none(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    install(monkeypatch, *[H100] * count)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(name="old"))
    assert (nvml.of_torch_device(0) is not None) == (count == 1)


def test_the_fingerprint_has_units(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(monkeypatch).fingerprint() == {
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": UUID,
        "driver": "580.159.04",
        "vbios": "96.00.74.00.01",
        "power_limit_watts": 700.0,
        "max_sm_clock_mhz": 1980.0,
        "mig": False,
        "ecc": True,
        "memory_bytes": 80 << 30,
    }


def test_text_as_bytes_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """As older pynvml takes and gives it."""
    install(monkeypatch, {**H100, "nvmlDeviceGetName": b"Tesla V100", "nvmlDeviceGetUUID": b"GPU-1"}, driver=b"418.1")
    gpu = nvml.open_gpu("GPU-1")
    assert gpu is not None
    found = gpu.fingerprint()
    assert (found["name"], found["uuid"], found["driver"]) == ("Tesla V100", "GPU-1", "418.1")


def test_what_nvml_does_not_support_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    library = install(monkeypatch, H100)
    gpu = nvml.open_gpu(0)
    assert gpu is not None
    library.gpus[0].clear()
    asked = (
        gpu.sm_clock_mhz,
        gpu.memory_clock_mhz,
        gpu.max_sm_clock_mhz,
        gpu.throttle_reasons,
        gpu.temperature_celsius,
        gpu.power_watts,
        gpu.energy_joules,
        gpu.processes,
        gpu.process_bytes,
    )
    assert [ask() for ask in asked] == [None] * len(asked)
    assert gpu.fingerprint() == {"driver": "580.159.04"}


def test_a_pynvml_without_a_function_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"nvmlDeviceGetUUID": UUID})
    gpu = nvml.open_gpu(UUID)
    assert gpu is not None
    assert gpu.energy_joules() is None
    assert gpu.throttle_reasons() is None


def test_readings_have_units(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = opened(monkeypatch)
    assert (gpu.sm_clock_mhz(), gpu.memory_clock_mhz(), gpu.max_sm_clock_mhz()) == (1980, 2619, 1980)
    assert (gpu.temperature_celsius(), gpu.power_watts(), gpu.energy_joules()) == (41, 123.456, 7654.321)


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0x000, ()),
        (0x113, ()),
        (0x004, ("sw_power_cap",)),
        (0x1FF, ("sw_power_cap", "hw_slowdown", "sw_thermal", "hw_thermal", "hw_power_brake")),
    ],
)
@pytest.mark.parametrize("word", ["Event", "Throttle"])
def test_reasons_are_those_that_lower_clocks(monkeypatch: pytest.MonkeyPatch, bits: int, reasons: tuple[str, ...], word: str) -> None:
    answers = {name: answer for name, answer in H100.items() if "Reasons" not in name}
    install(monkeypatch, {**answers, f"nvmlDeviceGetCurrentClocks{word}Reasons": bits})
    gpu = nvml.open_gpu(0)
    assert gpu is not None
    assert gpu.throttle_reasons() == reasons


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([], None),
        ([process(1, 10), process(os.getpid(), 20)], 20),
        ([process(1, 10)], 10),
        ([process(1, 10), process(2, 20)], None),
        ([process(os.getpid(), None)], None),
        ([process(os.getpid(), 0xFFFF_FFFF_FFFF_FFFF)], None),
    ],
)
def test_memory_is_that_of_this_process_or_of_the_only_one(monkeypatch: pytest.MonkeyPatch, processes: Any, expected: int | None) -> None:
    assert opened(monkeypatch, nvmlDeviceGetComputeRunningProcesses=processes).process_bytes() == expected


def test_memory_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = opened(monkeypatch, nvmlDeviceGetComputeRunningProcesses=[process(1, 10), process(2, 20)])
    assert gpu.process_bytes(2) == 20
    assert gpu.processes() == ((1, 10), (2, 20))


def test_fingerprints_leave_nvml_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    library = install(monkeypatch, H100, {**H100, "nvmlDeviceGetUUID": "GPU-2"})
    assert [found["uuid"] for found in nvml.fingerprints()] == [UUID, "GPU-2"]
    assert library.initialised == 0
