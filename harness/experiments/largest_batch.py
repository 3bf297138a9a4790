"""The largest batch that fits into memory: what later runs measure a workload at.

What fits is what a row of ``performance`` needs: the call, and the check against float64. The ancestor (``--find-batch-sizes``) begins at 1024,
halves what does not run, whatever the reason, and takes the first that does; here only want of memory makes it smaller, and the gap between
what fits and what does not is halved too, a few times.

What fits is a workload of that size, loaded anew: one whose model has as many lines as its inputs (a cache of keys and values) is another model
for each.

On a CPU the limit is what this process may take: the memory of its container or of the machine, as it is when the search begins. The kernel would
end the process instead of telling it; so its address space is limited to that, and an allocation beyond it fails as it does on a GPU.
"""

from __future__ import annotations

import contextlib
import gc
import math
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.experiments.checking import exact_results, seeded, step_of
from harness.experiments.sizes import own_size
from harness.experiments.steps import Step
from harness.failures import is_out_of_memory
from harness.files import write_table
from harness.measure.memory import peak_of
from harness.protocols import Bench, Subject
from harness.records import Status
from harness.workloads.loading import load_subject
from harness.workloads.subjects import copy_of

FIRST = 1024
"""The ancestor's."""
REFINEMENTS = 3
"""Halvings of the gap: the batch is at least 7/8 of the largest that would have fitted, where the first try did not."""
CPU_SHARE = 0.8
"""Of the memory that is free: what the kernel, page tables and other processes still need is no one's to take."""
COLUMNS = ("batch_size", "fits", "seconds", "peak_beyond_bytes", "reason")


@dataclass(frozen=True, kw_only=True)
class Try:
    batch_size: int
    fits: bool
    seconds: float
    peak_beyond_bytes: int | None = None
    reason: str = ""


class LargestBatch:
    def run(self, bench: Bench) -> str:
        """One call of the cell's mode in eager, and its check, at each size that is tried; the status is OOM where a batch of one does not fit."""
        own_size(bench)
        # What was loaded at the cell's own size must not take the room of what is tried.
        bench.subject.model.to("meta")
        first = bench.spec.first_batch_size or FIRST
        tries: list[Try] = []
        path = bench.report.artifact("tries.csv")
        with _limited(bench.cell.device):
            for size in _search(first, tries):
                bench.report.phase(f"batch size {size}")
                tries.append(_attempt(size, bench))
                _write(path, tries)
                # At once: a later size may fail for another reason, or end the process.
                _report(tries, bench)
        if not any(each.fits for each in tries):
            bench.report.set(reason=f"a batch of {tries[-1].batch_size} does not fit: {tries[-1].reason}")
            return Status.OOM
        if len(tries) == 1:
            bench.report.set(reason=f"the first size that was tried, {first}, fits: a larger one may, too (--first-batch-size)")
        return Status.PASS


def _report(tries: list[Try], bench: Bench) -> None:
    """The largest that fits so far."""
    largest = max((each for each in tries if each.fits), key=lambda each: each.batch_size, default=None)
    if largest is not None:
        bench.report.set(
            batch_size=largest.batch_size, largest_batch_size=largest.batch_size, eager_peak_beyond_bytes=largest.peak_beyond_bytes
        )


def _search(first: int, tries: list[Try]) -> Iterator[int]:
    """The next size to try, by what has become of those before. ``tries`` grows as they are made."""
    size = first
    while True:
        yield size
        if tries[-1].fits or size == 1:
            break
        size = max(1, size // 2)
    for _ in range(REFINEMENTS):
        fits = max((each.batch_size for each in tries if each.fits), default=0)
        fails = min((each.batch_size for each in tries if not each.fits), default=0)
        if fails - fits < 2 or fits == 0:
            return
        yield (fits + fails) // 2


def _attempt(size: int, bench: Bench) -> Try:
    began = time.perf_counter()
    try:
        subject = load_subject(bench.cell, bench.spec, batch_size=size)
        pristine = copy_of(subject)
        step = step_of(subject, bench.cell)
        step.run()
        bench.clock.synchronize()
        peak = peak_of(step.run, bench.cell.device).beyond_bytes
        _check(step, pristine, bench)
        return Try(batch_size=size, fits=True, seconds=time.perf_counter() - began, peak_beyond_bytes=peak)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]
    finally:
        # The exception's frames have held what was allocated.
        gc.collect()
        if bench.cell.device == "cuda":
            torch.cuda.empty_cache()
    return Try(batch_size=size, fits=False, seconds=time.perf_counter() - began, reason=reason)


def _check(step: Step, pristine: Subject, bench: Bench) -> None:
    """Hold at once what a row is checked with: a second model, and eager's results while those in float64 are computed."""
    kept = seeded(step, bench.spec.seed, bench.cell.device)
    try:
        exact_results(pristine, bench.cell, bench.spec.seed)
    except Exception as error:
        # A workload that has no float64 is checked without.
        if is_out_of_memory(error):
            raise
    del kept


@contextlib.contextmanager
def _limited(device: str) -> Iterator[None]:
    """On a CPU, let no more be allocated than there is; a GPU's driver says so by itself."""
    free = _free_bytes() if device == "cpu" else None
    if free is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = _address_space_bytes() + int(CPU_SHARE * free)
    resource.setrlimit(resource.RLIMIT_AS, (limit if before[1] == resource.RLIM_INFINITY else min(limit, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _free_bytes() -> int | None:
    """Of the control group as it is seen at /sys/fs/cgroup, or of the machine where that is less; None where neither tells."""
    found = [math.inf]
    for folder, limit, used in (("", "memory.max", "memory.current"), ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes")):
        with contextlib.suppress(OSError, ValueError):
            root = Path("/sys/fs/cgroup") / folder
            found.append(int((root / limit).read_text()) - int((root / used).read_text()))
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    least = min(found)
    return None if math.isinf(least) else max(0, int(least))


def _write(path: Path, tries: list[Try]) -> None:
    lines = ((each.batch_size, int(each.fits), each.seconds, each.peak_beyond_bytes, each.reason) for each in tries)
    write_table(path, COLUMNS, lines)
