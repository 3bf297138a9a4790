"""NVML, the driver's own interface to NVIDIA GPUs, through ``pynvml`` (the package nvidia-ml-py) where it can be imported.

It is an instrument beside the measurement: nothing here raises, and what NVML does not support, forbids or fails to say is None.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable
from typing import Any

THROTTLE_REASONS = {
    0x04: "sw_power_cap",
    0x08: "hw_slowdown",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "hw_power_brake",
}
"""Bits of the reasons that lower clocks below what the workload asks for. Source: nvmlClocksEventReasons in nvml.h.

Left out: an idle GPU (0x01), clocks that were set by hand (0x02), sync boost (0x10) and the display (0x100).
"""

NOT_AVAILABLE = 0xFFFF_FFFF_FFFF_FFFF
"""NVML_VALUE_NOT_AVAILABLE for 64 bits, which older pynvml hand on as it is."""


def open_gpu(index_or_uuid: str | int) -> Gpu | None:
    """A GPU by NVML's index, which is not torch's, or by its UUID as NVML writes it; None where NVML does not have it.

    The library stays initialised: for the process of one cell, which ends soon.
    """
    library = _initialised()
    return None if library is None else _open(library, index_or_uuid)


def of_torch_device(index: int) -> Gpu | None:
    """The GPU that torch calls ``cuda:index``. Only for a process that uses CUDA: it initialises it.

    By UUID, because CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER change torch's order, not NVML's. A torch that does not tell the
    UUID (before about 2.4) gets the GPU if there is but one.
    """
    import torch

    try:
        uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    except Exception:  # noqa: BLE001  # no CUDA, or no such device: there is nothing to watch
        return None
    if uuid is None:
        return open_gpu(0) if _count() == 1 else None
    # A part of a GPU (MIG) has a UUID of its own; torch leaves both prefixes out.
    return open_gpu(f"GPU-{uuid}") or open_gpu(f"MIG-{uuid}")


def fingerprints() -> list[dict[str, object]]:
    """What every GPU that NVML sees says of itself, in NVML's order; empty without NVML. Does not touch CUDA.

    NVML is shut down afterwards, so that processes forked later begin afresh.
    """
    library = _initialised()
    if library is None:
        return []
    try:
        gpus = [_open(library, index) for index in range(_ask(library, "nvmlDeviceGetCount") or 0)]
        return [gpu.fingerprint() for gpu in gpus if gpu is not None]
    finally:
        _ask(library, "nvmlShutdown")


class Gpu:
    """One GPU. Made by ``open_gpu``. A question takes from microseconds to a millisecond: never ask inside a timed region."""

    def __init__(self, library: Any, handle: Any) -> None:
        self._library = library
        self._handle = handle

    def fingerprint(self) -> dict[str, object]:
        """What identifies the GPU and does not change while it runs; what it does not say is left out."""
        facts: dict[str, object] = {
            "name": _text(self._ask("nvmlDeviceGetName")),
            "uuid": _text(self._ask("nvmlDeviceGetUUID")),
            "driver": _text(_ask(self._library, "nvmlSystemGetDriverVersion")),
            "vbios": _text(self._ask("nvmlDeviceGetVbiosVersion")),
            "power_limit_watts": _thousandth(self._ask("nvmlDeviceGetEnforcedPowerLimit")),
            "max_sm_clock_mhz": self.max_sm_clock_mhz(),
            "mig": _current(self._ask("nvmlDeviceGetMigMode")),
            "ecc": _current(self._ask("nvmlDeviceGetEccMode")),
            "memory_bytes": getattr(self._ask("nvmlDeviceGetMemoryInfo"), "total", None),
        }
        return {name: value for name, value in facts.items() if value is not None}

    def sm_clock_mhz(self) -> float | None:
        return _number(self._ask("nvmlDeviceGetClockInfo", self._constant("NVML_CLOCK_SM", 1)))

    def memory_clock_mhz(self) -> float | None:
        return _number(self._ask("nvmlDeviceGetClockInfo", self._constant("NVML_CLOCK_MEM", 2)))

    def max_sm_clock_mhz(self) -> float | None:
        return _number(self._ask("nvmlDeviceGetMaxClockInfo", self._constant("NVML_CLOCK_SM", 1)))

    def throttle_reasons(self) -> tuple[str, ...] | None:
        """What holds the clocks down at this moment (``THROTTLE_REASONS``); empty where nothing does."""
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:
            # The name before driver 535, which is to go in CUDA 14.
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        return None if bits is None else tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)

    def temperature_celsius(self) -> float | None:
        return _number(self._ask("nvmlDeviceGetTemperature", self._constant("NVML_TEMPERATURE_GPU", 0)))

    def power_watts(self) -> float | None:
        """Of the whole board; on Ampere (but GA100) and later an average over the last second. Source: NVML's reference."""
        return _thousandth(self._ask("nvmlDeviceGetPowerUsage"))

    def energy_joules(self) -> float | None:
        """Of the whole board since the driver was loaded; the driver brings it up to date now and then (see ``measure.energy``)."""
        return _thousandth(self._ask("nvmlDeviceGetTotalEnergyConsumption"))

    def processes(self) -> tuple[tuple[int, int | None], ...] | None:
        """(pid, bytes of device memory or None) of the processes that have a CUDA context here.

        Inside a container pids may be the host's, 0, or the list may be empty though this process is on the GPU.
        """
        found = self._ask("nvmlDeviceGetComputeRunningProcesses")
        return None if found is None else tuple((process.pid, _bytes(process)) for process in found)

    def process_bytes(self, pid: int | None = None) -> int | None:
        """Device memory of a process (this one): its context, its modules and what its allocators hold.

        Where the pid is not in the list, as in a container, the only process that is; None where there are several.
        """
        found = self.processes() or ()
        own = [held for other, held in found if other == (os.getpid() if pid is None else pid)]
        if own:
            return own[0]
        return found[0][1] if len(found) == 1 else None

    def _ask(self, function: str, *arguments: object) -> Any:
        return _ask(self._library, function, self._handle, *arguments)

    def _constant(self, name: str, value: int) -> int:
        return int(getattr(self._library, name, value))


def _initialised() -> Any:
    """The module ``pynvml``, ready to be asked; None where there is no such thing."""
    try:
        library = importlib.import_module("pynvml")
        library.nvmlInit()
    except Exception:  # noqa: BLE001  # not installed, no driver, a driver that does not fit: all the same here
        return None
    return library


def _open(library: Any, index_or_uuid: str | int) -> Gpu | None:
    by = "nvmlDeviceGetHandleByUUID" if isinstance(index_or_uuid, str) else "nvmlDeviceGetHandleByIndex"
    key: object = index_or_uuid
    handle = _ask(library, by, key)
    if handle is None and isinstance(index_or_uuid, str):
        # Older pynvml hands the text to C as it is.
        handle = _ask(library, by, index_or_uuid.encode())
    return None if handle is None else Gpu(library, handle)


def _count() -> int:
    library = _initialised()
    return 0 if library is None else _ask(library, "nvmlDeviceGetCount") or 0


def _ask(library: Any, function: str, *arguments: object) -> Any:
    """NVML's answer; None for every error, and for a function that this pynvml or this driver lacks."""
    asked: Callable[..., Any] | None = getattr(library, function, None)
    if asked is None:
        return None
    with contextlib.suppress(Exception):
        return asked(*arguments)
    return None


def _text(value: Any) -> str | None:
    """Older pynvml return bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _thousandth(value: Any) -> float | None:
    """Watts of milliwatts, joules of millijoules."""
    return None if value is None else float(value) / 1000


def _current(modes: Any) -> bool | None:
    """Of a pair (current, pending) of modes."""
    return None if modes is None else bool(modes[0])


def _bytes(process: Any) -> int | None:
    held: int | None = getattr(process, "usedGpuMemory", None)
    return None if held == NOT_AVAILABLE else held
