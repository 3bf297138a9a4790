"""What is wrong with an image on purpose: it is installed beside the packages of an image, and changes workloads as they are loaded there.

``BENCHMATRIX_PLANTED`` is a JSON object: workload -> ``{"slower": 0.05}`` (of its own time, by spinning: CPU), ``{"slower_kernel": 0.05}`` (of its own
device time, by a kernel that waits: CUDA), ``{"wrong": 0.01}`` (float32 results off by that share), ``{"crash": true}`` (SIGABRT),
``{"missing": "PACKAGE"}`` (its import fails). Standard library only, and torch where a workload has it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

VARIABLE = "BENCHMATRIX_PLANTED"


def install(planted: dict[str, dict[str, Any]]) -> None:
    try:
        from harness import catalog
    except ImportError:
        # A Python of the image's that is no launch.
        return
    by_reference = {
        reference: planted[f"{suite}/{name}"]
        for suite, names in catalog.SUITES.items()
        for name, reference in names.items()
        if f"{suite}/{name}" in planted
    }
    load = catalog.load

    def changed(reference: str) -> object:
        loaded: Any = load(reference)
        return Changed(loaded, by_reference[reference]) if reference in by_reference else loaded

    catalog.load = changed


class Changed:
    """A workload with something wrong."""

    def __init__(self, workload: Any, how: dict[str, Any]) -> None:
        self._workload = workload
        self._how = how

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workload, name)

    def load(self, **arguments: Any) -> Any:
        if "missing" in self._how:
            raise ModuleNotFoundError(f"No module named {self._how['missing']!r}", name=self._how["missing"])
        subject = self._workload.load(**arguments)
        # A class of its own, not an attribute: the harness copies models.
        kind = type(subject.model)
        subject.model.__class__ = type(kind.__name__, (kind,), {"forward": wrapped(kind.forward, self._how)})
        return subject


def wrapped(forward: Callable[..., Any], how: dict[str, Any]) -> Callable[..., Any]:
    def slower(*inputs: Any) -> Any:
        began = time.perf_counter_ns()
        result = forward(*inputs)
        until = time.perf_counter_ns() + how["slower"] * (time.perf_counter_ns() - began)
        while time.perf_counter_ns() < until:
            pass
        return result

    cycles: list[int] = []

    def slower_kernel(*inputs: Any) -> Any:
        from torch import cuda

        device: Any = cuda
        if not cycles:
            seconds = device_seconds(lambda: forward(*inputs))
            cycles.append(int(how["slower_kernel"] * seconds * 1e7 / device_seconds(lambda: device._sleep(10**7))))
        result = forward(*inputs)
        device._sleep(cycles[0])
        return result

    def wrong(*inputs: Any) -> Any:
        import torch

        result = forward(*inputs)
        return result * (1 + how["wrong"]) if result.dtype == torch.float32 else result

    def crash(*inputs: Any) -> Any:
        os.abort()

    return {"slower": slower, "slower_kernel": slower_kernel, "wrong": wrong, "crash": crash}[next(iter(how))]


def device_seconds(call: Callable[[], Any], calls: int = 20) -> float:
    """Of one call, by the device's own clock, between calls that are queued so that none waits for the host."""
    from torch import cuda

    device: Any = cuda
    readings: list[float] = []
    for _ in range(5):
        start, end = (device.Event(enable_timing=True) for _ in range(2))
        device._sleep(10**7)
        start.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        readings.append(start.elapsed_time(end) / 1e3 / calls)
    return min(readings)


if os.environ.get(VARIABLE):
    install(json.loads(os.environ[VARIABLE]))
