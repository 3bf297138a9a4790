"""Memory: the peak of one call, what is held before it, and a recording of what it allocates."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from harness import allocator
from harness.measure.garbage import collected
from harness.protocols import Call

RESET_HIGH_WATER_MARK = "5"
"""Written to clear_refs: proc(5)."""
_KILOBYTES = re.compile(r"^(VmHWM|RssFile):\s+(\d+) kB$", re.MULTILINE)
SHORT_SECONDS = 1.0
"""Calls that take no longer are looked at twice."""
SNAPSHOT_ENTRIES = 100_000
"""Events that a recording keeps."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The most memory that a call held at one time."""

    beyond_bytes: int | None = None
    """Beyond what was held before the call; its result included."""
    reserved_bytes: int | None = None
    """All that torch's allocator had taken from the device; None on a CPU, where it has no pool."""
    reserved_beyond_bytes: int | None = None
    """Of that, taken since the call began."""
    reason: str = ""
    """Why nothing was measured."""


def peak_of(call: Call, device: str) -> Peak:
    """The peak of one call. Call it before, once at least: what only the first call allocates does not count.

    On a CPU this is the process' resident memory, of the kernel's own high-water mark: nothing is too short to be seen. It counts pages,
    by counters that the kernel gathers per core: off by up to max(32, 2 * cores) pages for each core that the call runs on.

    Pages of files do not count: a kernel that takes cold ones away (DAMON, a group at its limit) has a call bring them back.

    Memory that was freed is given back first, so that using it again counts. Holes of the heap do not (``allocator.mapped``); where
    the allocator is not pinned they do, and the peak is less exact. Measure after timing: the call pays for fresh pages, and what it
    leaves lies elsewhere.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        started = time.monotonic()
        first = _peak_of_process(call)
        if first.beyond_bytes is None or time.monotonic() - started > SHORT_SECONDS:
            return first
        # What the kernel has not gathered yet is missing: of two readings the larger one is nearer.
        second = _peak_of_process(call)
        return max(first, second, key=lambda peak: peak.beyond_bytes or 0)
    if kind == "cuda":
        return _peak_of_cuda(call, device)
    return Peak(reason=f"the harness knows no peak for the device {device}")


def _peak_of_process(call: Call) -> Peak:
    with collected():
        if not allocator.release():
            return Peak(reason=f"{allocator.describe().library} cannot be asked to give back what was freed")
        with allocator.mapped():
            try:
                Path("/proc/self/clear_refs").write_text(RESET_HIGH_WATER_MARK)
            except OSError as error:
                return Peak(reason=f"the kernel's high-water mark cannot be reset: {error}")
            # The mark itself, not VmRSS or smaps_rollup: newer kernels sum those exactly, and the mark moves by the approximate counter.
            before = _resident()
            call()
            after = _resident()
    if before is None or after is None:
        return Peak(reason="this kernel tells no high-water mark of resident memory")
    return Peak(beyond_bytes=max(0, after.most_bytes - before.most_bytes - max(0, after.of_files_bytes - before.of_files_bytes)))


def _peak_of_cuda(call: Call, device: str) -> Peak:
    with collected():
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
        call()
        torch.cuda.synchronize(device)
        most_reserved = torch.cuda.max_memory_reserved(device)
        return Peak(
            beyond_bytes=torch.cuda.max_memory_allocated(device) - allocated,
            reserved_bytes=most_reserved,
            reserved_beyond_bytes=most_reserved - reserved,
        )


def held_bytes(model: torch.nn.Module, inputs: object) -> int:
    """Bytes of the parameters, the buffers and the tensors among ``inputs`` (a pytree); what shares its memory counts once.

    Tensors without memory of their own layout (sparse ones, those on the device meta) do not count. On an XLA device nothing tells where
    a tensor's memory is: each counts.
    """
    leaves = [leaf for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
    storages: dict[tuple[torch.device, int], int] = {}
    for tensor in (*model.parameters(), *model.buffers(), *leaves):
        for plain in _plain(tensor):
            if plain.device.type == "xla":
                key, size = (plain.device, id(plain)), plain.nbytes
            else:
                storage = plain.untyped_storage()
                key, size = (plain.device, storage.data_ptr()), storage.nbytes()
            storages[key] = max(storages.get(key, 0), size)
    return sum(storages.values())


def _plain(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensors that hold the memory of one, which may only wrap others (quantised, distributed)."""
    if is_traceable_wrapper_subclass(tensor):
        names, _ = tensor.__tensor_flatten__()
        for name in names:
            yield from _plain(getattr(tensor, name))
    elif tensor.layout == torch.strided and tensor.device.type != "meta":
        yield tensor


def keeps_history(device: str) -> bool:
    """Whether torch can say what was allocated there, and when."""
    return device == "cuda" and torch.cuda.is_available() and hasattr(torch.cuda.memory, "_record_memory_history")


def snapshot(call: Call, path: Path) -> None:
    """Record what one call allocates on the GPU into ``path``, for pytorch.org/memory_viz. Of a device that ``keeps_history``."""
    torch.cuda.synchronize()
    torch.cuda.memory._record_memory_history(max_entries=SNAPSHOT_ENTRIES, stacks="python")
    try:
        call()
        torch.cuda.synchronize()
        torch.cuda.memory._dump_snapshot(str(path))  # type: ignore[no-untyped-call]
    finally:
        torch.cuda.memory._record_memory_history(enabled=None)


@dataclass(frozen=True, kw_only=True)
class _Resident:
    most_bytes: int
    """Since the mark was last reset."""
    of_files_bytes: int
    """Now: pages of libraries and other files, which nobody has allocated."""


def _resident() -> _Resident | None:
    """None where the kernel tells no high-water mark."""
    try:
        found = {name: int(value) * 1024 for name, value in _KILOBYTES.findall(Path("/proc/self/status").read_text())}
    except OSError:
        return None
    return _Resident(most_bytes=found["VmHWM"], of_files_bytes=found.get("RssFile", 0)) if "VmHWM" in found else None
