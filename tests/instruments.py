"""Backends and workloads whose time and memory are known: what the harness says of them can be checked (``tests.benchmarks.fidelity``).

``python -m tests.instruments launch --cells ... --out ...`` is ``python -m harness launch ...`` with these backends. The workloads are
reached by their file: ``Cell(workload="path/instruments:Repeated", path=...)``.
"""

from __future__ import annotations

if __name__ == "__main__":
    # Before torch is imported below: a launch sets its allocator first.
    import sys

    from harness import catalog
    from harness.__main__ import main

    catalog.BACKENDS = {**catalog.BACKENDS, "spin": "tests.instruments:Spin", "more_work": "tests.instruments:MoreWork"}
    sys.exit(main())

import copy
import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils.hooks import RemovableHandle

from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Evidence, NoEvidence, Outputs, Subject, Unsupported

LONG_CYCLES, SHORT_CYCLES = 20_000_000, 1_000_000
"""About 10 and 0.5 ms of a GPU: the host hands over the next kernel long before one ends."""
BATCH = 20
SHORT_NANOSECONDS, SHORT_CALLS = 1000, 2000
WARM_CYCLES = 400_000_000
"""About 0.2 s, in which a GPU that was idle raises its clock."""
HOLD_SECONDS = 2e-3


class Spin(Backend):
    """Takes ``microseconds`` per call, whatever the workload, and returns its right result."""

    compiles = False

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        self._seconds = _number(cell, "microseconds") * 1e-6
        self._calls = 0
        self._calibration: dict[str, float] = {}

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        inputs = pytree.tree_map_only(torch.Tensor, torch.clone, subject.inputs)
        with torch.no_grad():
            result: Outputs = copy.deepcopy(subject.model)(*inputs)
        device = next(leaf.device for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor))
        return self._on_cuda(result) if device.type == "cuda" else self._on_cpu(result)

    def evidence(self) -> Evidence:
        return Evidence(details={**_counted(self._calls), **self._calibration})

    def _on_cpu(self, result: Outputs) -> Callable[..., Outputs]:
        wanted = round(self._seconds * 1e9)
        # Being called, and looking at the clock once too late, takes 0.2 us besides: as short a spin, many times, says how long.
        own = min(_batch_nanoseconds(self._spin(SHORT_NANOSECONDS, result)) for _ in range(BATCH)) - SHORT_NANOSECONDS
        self._calls, self._calibration = 0, {"own_seconds": own * 1e-9}
        return self._spin(max(0, round(wanted - own)), result)

    def _spin(self, nanoseconds: int, result: Outputs) -> Callable[..., Outputs]:
        now = time.perf_counter_ns

        def spin(*inputs: object) -> Outputs:
            end = now() + nanoseconds
            self._calls += 1
            while now() < end:
                pass
            return result

        return spin

    def _on_cuda(self, result: Outputs) -> Callable[..., Outputs]:
        per_second = _cycles_per_second()
        cycles = round(self._seconds * per_second)
        self._calibration = {"cycles_per_second": per_second}

        def spin(*inputs: object) -> Outputs:
            self._calls += 1
            torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]
            return result

        return spin


class MoreWork(Backend):
    """``percent`` more of the workload's work, for the same result. For workloads with ``repetitions``."""

    compiles = False

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        self._percent = _number(cell, "percent")
        self._calls = 0
        self._hook: RemovableHandle | None = None

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        repetitions = getattr(subject.model, "repetitions", None)
        if not isinstance(repetitions, int):
            raise Unsupported("more_work needs a workload that has repetitions, such as path:tests/instruments.py:Repeated")
        # A module of its own: as many calls of Python as eager, but for the repetitions.
        more: Any = copy.deepcopy(subject.model)
        more.repetitions = round(repetitions * (1 + self._percent / 100))
        self._hook = more.register_forward_hook(self._count)
        function: Callable[..., Outputs] = more
        return function

    def evidence(self) -> Evidence:
        # As in eager: gone before anything is timed.
        if self._hook is not None:
            self._hook.remove()
        return Evidence(details=_counted(self._calls))

    def _count(self, model: object, inputs: object, outputs: object) -> None:
        self._calls += 1


class Tiny(nn.Module):
    """One operator on 16 numbers: its threads keep no core busy beside the backend that is looked at."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1

    def get_example_inputs(self) -> tuple[torch.Tensor]:
        return (torch.randn(16),)


class Repeated(nn.Module):
    """The same product of (128, 128) matrices, ``repetitions`` times; returns the last."""

    def __init__(self) -> None:
        super().__init__()
        self.repetitions = 100

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        product = a
        for _ in range(self.repetitions):
            product = torch.mm(a, b)
        return product

    def get_example_inputs(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(128, 128) * 128**-0.5, torch.randn(128, 128)


class ShortLived(nn.Module):
    """Takes a block, writes to all of it, holds it for about 2 ms, and lets it go."""

    mebibytes = 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        block = torch.ones(self.mebibytes << 20, dtype=torch.uint8, device=x.device)
        time.sleep(HOLD_SECONDS)
        return x + block[0]

    def get_example_inputs(self) -> tuple[torch.Tensor]:
        return (torch.randn(16),)


class ShortLived4(ShortLived):
    mebibytes = 4


class ShortLived64(ShortLived):
    mebibytes = 64


class ShortLived256(ShortLived):
    mebibytes = 256


def _batch_nanoseconds(call: Callable[..., object]) -> float:
    """Per call, of ``SHORT_CALLS`` in a row, with one argument bound as a step binds its inputs."""
    bound = functools.partial(call, None)
    started = time.perf_counter_ns()
    for _ in range(SHORT_CALLS):
        bound()
    return (time.perf_counter_ns() - started) / SHORT_CALLS


def _cycles_per_second() -> float:
    """Of ``torch.cuda._sleep``, by the difference between long and short ones: what a kernel takes besides its cycles is in neither."""
    torch.cuda._sleep(WARM_CYCLES)  # type: ignore[no-untyped-call]
    return (LONG_CYCLES - SHORT_CYCLES) / (_seconds_per_sleep(LONG_CYCLES) - _seconds_per_sleep(SHORT_CYCLES))


def _seconds_per_sleep(cycles: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(BATCH):
        torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e-3 / BATCH


def _number(cell: Cell, name: str) -> float:
    options = dict(cell.options)
    value = options.pop(name, None)
    if options or not isinstance(value, int | float):
        raise Unsupported(f"{cell.backend} has one option, the number {name}")
    return float(value)


def _counted(calls: int) -> dict[str, float]:
    if calls == 0:
        raise NoEvidence("it was never called")
    return {"calls": calls}
