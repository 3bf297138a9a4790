"""What the machine can do, and how near to it a call comes: the roofline.

A call that does F operations and moves B bytes takes at least max(F / peak, B / bandwidth).
Source: Williams, Waterman, Patterson: Roofline, an insightful visual performance model. CACM 52 (4), 2009.

torch is imported where something is measured only: the host reads ceilings without it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.measure.state import WAITING_LIMIT, WaitGauge

if TYPE_CHECKING:
    import torch

WORKING_SETS = {"cpu": (256 << 10, 2 << 20, 16 << 20, 256 << 20), "cuda": (16 << 20, 1 << 30)}
"""Bytes. On a CPU the sizes of its caches: data that stays in a cache is held against that cache."""
MATMUL_SIZES = {"cpu": (2048, 1024), "cuda": (8192, 4096)}
"""Rows of a square matrix, by preference: the first that fits memory and time."""
PROBE_SIZE = {"cpu": 256, "cuda": 1024}
PRECISIONS = {"cpu": ("float32", "float16", "bfloat16"), "cuda": ("float32", "tf32", "float16", "bfloat16")}

AUTOCAST = {"cpu": "bfloat16", "cuda": "float16"}
"""The precision that ``amp`` computes in."""
TF32_CAPABILITY = 8
"""Major compute capability from which a GPU has TF32 (Ampere)."""

ATTEMPTS = 2
REPETITIONS = 3
"""Fewest timed batches of each kind."""
CPU_BATCH_SECONDS = 1e-3
CUDA_BATCH_SECONDS = 5e-3
CUDA_BATCH_CALLS = 200
"""Most calls of a batch: the queue of a GPU holds about a thousand."""
LAUNCH_CYCLES = 40_000
"""Cycles of a GPU, about 20 microseconds: longer than the host takes to launch one call."""


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """The best that was seen of a machine."""

    device: str
    bandwidth: tuple[tuple[int, float], ...]
    """(bytes of the working set, bytes per second read and written) of a copy, smallest set first."""
    flops: tuple[tuple[str, float], ...]
    """(precision, floating-point operations per second) of a square matrix product; a precision that takes too long is left out."""

    def to_json(self) -> dict[str, object]:
        return {"device": self.device, "bandwidth": {str(size): rate for size, rate in self.bandwidth}, "flops": dict(self.flops)}

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Ceilings:
        """Raises ValueError for what ``to_json`` does not write."""
        device, bandwidth, flops = (content.get(name) for name in ("device", "bandwidth", "flops"))
        if not (isinstance(device, str) and isinstance(bandwidth, Mapping) and isinstance(flops, Mapping)):
            raise ValueError(f"these are no ceilings: {content}")  # noqa: TRY004  # one error for all that is wrong with a file
        return cls(
            device=device,
            bandwidth=tuple(sorted((int(size), _rate(rate)) for size, rate in bandwidth.items())),
            flops=tuple((str(precision), _rate(rate)) for precision, rate in flops.items()),
        )


def _rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{value!r} is no rate")
    return float(value)


def share_of_limit(
    ceilings: Ceilings, flops: int | None, bytes_moved: int | None, precision: str, seconds: float, cold: bool, tf32: bool
) -> float | None:
    """Least time the machine needs for one call over the ``seconds`` that it took: 1 is as fast as it can be.

    None where neither limit is known. cold: the call's data is in no cache. tf32: float32 may be computed as TF32.
    """
    kind = ceilings.device.partition(":")[0]
    name = AUTOCAST.get(kind, precision) if precision == "amp" else precision
    rates = dict(ceilings.flops)
    peak = rates.get("tf32", rates.get(name)) if name == "float32" and tf32 else rates.get(name)
    least: list[float] = []
    if flops is not None and peak is not None:
        least.append(flops / peak)
    if bytes_moved is not None and ceilings.bandwidth:
        largest_set, largest_set_rate = max(ceilings.bandwidth)
        # What fits into a smaller set fits into a larger one: a small copy that its own call makes slow is no lower ceiling.
        fitting = [rate for size, rate in ceilings.bandwidth if size >= min(bytes_moved, largest_set)]
        least.append(bytes_moved / (largest_set_rate if cold else max(fitting)))
    return max(least) / seconds if least else None


def measure_ceilings(device: str, budget_seconds: float = 3.0) -> Ceilings:
    """Copy and multiply on the device, for about ``budget_seconds``. In a process of its own: it warms up what cells are to meet cold.

    Raises KeyError for a device other than a CPU or a CUDA GPU.
    """
    import torch

    kind = torch.device(device).type
    sizes, precisions = WORKING_SETS[kind], PRECISIONS[kind]
    share = budget_seconds / (len(sizes) + len(precisions))
    with torch.inference_mode():
        measured = ((name, _flops(device, name, share)) for name in precisions)
        return Ceilings(
            device=device,
            bandwidth=tuple((size, _bandwidth(device, size, share)) for size in sizes),
            flops=tuple((name, rate) for name, rate in measured if rate is not None),
        )


def readable(known: Mapping[str, Any]) -> dict[str, Any]:
    """Those of stored ceilings, by device, that read."""
    found = {}
    for device, content in known.items():
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            Ceilings.from_json(content)
            found[device] = content
    return found


def of_devices(devices: Iterable[str]) -> dict[str, object]:
    """Ceilings by device, as JSON holds them, of those devices that can be measured here, and now: a processor that others want at the
    same time has ceilings that it exceeds later.
    """
    found: dict[str, object] = {}
    for device in devices:
        if device in WORKING_SETS and (device != "cuda" or _has_cuda()):
            found |= _undisturbed(device)
    return found


def _undisturbed(device: str) -> dict[str, object]:
    """Empty where others wanted the processor all the time; the log says so."""
    gauge = WaitGauge()
    for _ in range(ATTEMPTS):
        began, first = time.monotonic(), gauge.read()
        ceilings = measure_ceilings(device)
        # Threads that were made for it have waited in it.
        gauge.look()
        last = gauge.read()
        waited = last.share_since(first, time.monotonic() - began) if first is not None and last is not None else 0.0
        if device != "cpu" or waited <= WAITING_LIMIT:
            return {device: ceilings.to_json()}
        print(f"ceilings of {device}: not measured, {waited:.0%} of the time waited for a processor", flush=True)
    return {}


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _bandwidth(device: str, working_set: int, share_seconds: float) -> float:
    """Bytes per second of a copy whose source and destination are ``working_set`` bytes together."""
    import torch

    source = torch.ones(working_set // 2, dtype=torch.uint8, device=device).view(torch.float32)
    destination = torch.zeros_like(source)
    return working_set / _seconds(lambda: destination.copy_(source), device, share_seconds)


def _flops(device: str, precision: str, share_seconds: float) -> float | None:
    """Operations per second of a square matrix product; None where this device lacks the precision, or takes too long for it."""
    import torch

    kind = torch.device(device).type
    if precision == "tf32" and torch.cuda.get_device_capability(device)[0] < TF32_CAPABILITY:
        return None
    dtype = torch.float32 if precision == "tf32" else getattr(torch, precision)
    with _matmul_precision("high" if precision == "tf32" else "highest"):
        try:
            probe = _product(device, PROBE_SIZE[kind], dtype)
            probe()
            estimate = min(_once(probe, device) for _ in range(REPETITIONS)) / PROBE_SIZE[kind] ** 3
        except RuntimeError as error:
            # Older versions of torch lack half precision on CPUs.
            print(f"no {precision} on {device}: {error}", flush=True)
            return None
        # One call more than is timed at least: the first is warm-up.
        fitting = [size for size in MATMUL_SIZES[kind] if (REPETITIONS + 1) * estimate * size**3 <= share_seconds]
        if precision == "float32":
            # Every device has it, however busy the machine is just now: the smallest product at the least.
            fitting.append(MATMUL_SIZES[kind][-1])
        for size in fitting:
            with contextlib.suppress(torch.cuda.OutOfMemoryError):
                return 2 * size**3 / _seconds(_product(device, size, dtype), device, share_seconds)
    return None


def _product(device: str, size: int, dtype: torch.dtype) -> Callable[[], object]:
    import torch

    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    out = torch.empty(size, size, device=device, dtype=dtype)
    return lambda: torch.mm(left, right, out=out)


def _seconds(call: Callable[[], object], device: str, share_seconds: float) -> float:
    """Seconds per call: the least of batches of calls, for as long as ``share_seconds`` last."""
    import torch

    started = time.perf_counter()
    call()
    single = max(_once(call, device), 1e-9)
    on_cuda = torch.device(device).type == "cuda"
    calls = min(CUDA_BATCH_CALLS, math.ceil(CUDA_BATCH_SECONDS / single)) if on_cuda else math.ceil(CPU_BATCH_SECONDS / single)
    time_batch = _cuda_batch if on_cuda else _cpu_batch
    best = math.inf
    done = 0
    while done < REPETITIONS or time.perf_counter() - started < share_seconds:
        best = min(best, time_batch(call, calls, device))
        done += 1
    return best


def _once(call: Callable[[], object], device: str) -> float:
    """Seconds of one call, as a rough estimate."""
    import torch

    on_cuda = torch.device(device).type == "cuda"
    return _cuda_batch(call, 1, device) if on_cuda else _cpu_batch(call, 1, device)


def _cpu_batch(call: Callable[[], object], calls: int, device: str) -> float:
    started = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - started) * 1e-9 / calls


def _cuda_batch(call: Callable[[], object], calls: int, device: str) -> float:
    import torch

    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        # The GPU waits until all calls are in its queue: else what is timed is how fast the host launches them.
        torch.cuda._sleep(calls * LAUNCH_CYCLES)  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
    return float(start.elapsed_time(end)) * 1e-3 / calls


@contextlib.contextmanager
def _matmul_precision(precision: str) -> Iterator[None]:
    """float32 products exact (``highest``) or by TF32 (``high``), and afterwards as before."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
