"""No more than there is, for the rest of a process on a CPU: an allocation beyond it fails, as it does on a GPU.

The kernel would end the process instead of telling it; and where nothing but the machine limits it, it would take the machine's memory first.
Standard library only.
"""

from __future__ import annotations

import contextlib
import math
import resource
from pathlib import Path

SHARE = 0.8
"""Of the memory that is free: what the kernel, page tables and other processes still need is no one's to take."""


def limit_to_what_is_free() -> None:
    """What the process may write to of its own: as much as now, and a share of what is free. Nothing where nobody tells.

    The address space would be the wrong measure: an allocator reserves more of it than it uses, by the thread. Source: getrlimit(2), RLIMIT_DATA.
    """
    free = free_bytes()
    if free is None:
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _own_bytes() + int(SHARE * free)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def free_bytes() -> int | None:
    """Of the control group as it is seen at /sys/fs/cgroup, or of the machine where that is less; None where neither tells."""
    found = [math.inf]
    for folder, limit, used, cached in (
        ("", "memory.max", "memory.current", ("inactive_file", "active_file")),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
    ):
        with contextlib.suppress(OSError, ValueError):
            root = Path("/sys/fs/cgroup") / folder
            # What files hold of it is given back as soon as anybody wants it.
            held = sum(int(value) for name, value in map(str.split, (root / "memory.stat").read_text().splitlines()) if name in cached)
            found.append(int((root / limit).read_text()) - int((root / used).read_text()) + held)
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    least = min(found)
    return None if math.isinf(least) else max(0, int(least))


def _own_bytes() -> int:
    """Of mappings that are private and can be written to."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
