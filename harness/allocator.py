"""The C library's allocator, pinned: the same for every process of a launch and for every version of the library.

glibc maps large blocks on their own, unmaps them when they are freed, and moves the size from which it does so as a process runs:
a call then pays for fresh pages (one fault per 4 KiB) or not, by what ran before it. Pinned, every block comes from the heap, the heap
keeps what is freed, and a warm call meets no fresh page. The environment cannot do this for all: before glibc 2.35 a
MALLOC_MMAP_THRESHOLD_ above 32 MiB is ignored without a word, while the other variables still end the moving, at its start of 128 KiB.

Standard library only: called before torch is imported, inherited by forks. Source: mallopt(3), glibc's malloc/malloc.c.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
M_MMAP_MAX = -4
M_ARENA_MAX = -8

MMAP_THRESHOLDS = (1 << 30, 32 << 20)
"""Bytes, the first that is accepted: glibc before 2.35 takes no more than half of the largest heap of a thread."""
NEVER_TRIM = -1
TOP_PAD = 64 << 20
"""Bytes by which the heap grows beyond what is asked for: address space, no memory until it is written."""

MAPPED_FROM = 128 << 10
"""Bytes from which a block is mapped within ``mapped``: glibc's own default. Smaller ones would be mostly rounding to pages."""
MAPPED_BLOCKS = 32_768
"""Half of what Linux lets a process map (vm.max_map_count)."""
IS_MMAPPED = 2
"""Bit of the size before a block, in every version of glibc's malloc."""

JEMALLOC_ALL_ARENAS = 4096

_pinned = False
_FOREIGN = re.compile(r"/lib(jemalloc|tcmalloc|mimalloc|tbbmalloc_proxy|hoard|snmalloc|rpmalloc|scudo)[^/]*$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Allocator:
    """Which allocator this process has, and what of it was set and accepted."""

    library: str
    """``glibc 2.36``, ``musl``, ``jemalloc``, ..."""
    pinned: bool
    mmap_threshold_bytes: int | None = None
    """Blocks from this size on would be mapped on their own ..."""
    mapped_blocks: int | None = None
    """... as long as there are fewer of them than this: with 0 none is, whatever its size."""
    trim_threshold_bytes: int | None = None
    """Free bytes at the heap's end beyond which they are given back; -1: never."""
    top_pad_bytes: int | None = None
    arenas: int | None = None
    """Most heaps that threads share."""
    reason: str = ""
    """Why it is not pinned."""

    def as_facts(self) -> dict[str, object]:
        """As JSON holds it; what was not set is left out."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value not in (None, "")}


def describe() -> Allocator:
    """What this process has, with nothing set."""
    return Allocator(library=_library(), pinned=False, reason=_obstacle() or "nothing was set")


def pin() -> Allocator:
    """Set glibc's allocator for this process and its forks; elsewhere nothing is set, and the reason says why."""
    if obstacle := _obstacle():
        return Allocator(library=_library(), pinned=False, reason=obstacle)
    # One arena per core is what threads get anyway; the limit keeps more of them from having their own.
    cores = len(os.sched_getaffinity(0))
    taken = {
        "mmap_threshold_bytes": _set(M_MMAP_THRESHOLD, *MMAP_THRESHOLDS),
        "mapped_blocks": _set(M_MMAP_MAX, 0),
        "trim_threshold_bytes": _set(M_TRIM_THRESHOLD, NEVER_TRIM),
        "top_pad_bytes": _set(M_TOP_PAD, TOP_PAD),
        "arenas": _set(M_ARENA_MAX, cores),
    }
    global _pinned  # noqa: PLW0603  # of the process, as what it describes is
    refused = [name for name, value in taken.items() if value is None]
    _pinned = not refused
    reason = f"{_library()} refused {', '.join(refused)}" if refused else ""
    return Allocator(library=_library(), pinned=not refused, reason=reason, **taken)


def is_pinned() -> bool:
    """Whether this process is pinned, by itself or by the one that it was forked from."""
    return _pinned


def release() -> bool:
    """Give the pages of all freed memory back to the kernel; False where this allocator has no way to be asked."""
    program = ctypes.CDLL(None)
    if hasattr(program, "mallctl"):
        return bool(program.mallctl(f"arena.{JEMALLOC_ALL_ARENAS}.purge".encode(), None, None, None, ctypes.c_size_t(0)) == 0)
    if hasattr(program, "MallocExtension_ReleaseFreeMemory"):
        program.MallocExtension_ReleaseFreeMemory()
        return True
    if _obstacle() or not hasattr(program, "malloc_trim"):
        return False
    # Its result says whether there was anything to give back.
    program.malloc_trim(ctypes.c_size_t(0))
    return True


@contextlib.contextmanager
def mapped() -> Iterator[None]:
    """Within it, what this thread allocates from 128 KiB on is mapped on its own, and leaves memory as it is freed.

    Resident memory is then what is held. From the pinned heap it would be up to 1.7 times that, and another in every call: holes that
    the next block just does not fit into stay resident. Changes nothing where ``pin`` has not pinned the allocator: it could not be put
    back. What is free should be given back before (``release``): it is kept from use, in whatever state it is.
    """
    if not _pinned:
        yield
        return
    plugs: list[int] = []
    try:
        _set(M_TOP_PAD, 0)
        _set(M_MMAP_MAX, MAPPED_BLOCKS)
        _set(M_MMAP_THRESHOLD, MAPPED_FROM)
        plugs = _plug_holes()
        yield
    finally:
        for plug in plugs:
            _free(plug)
        pin()


def _plug_holes() -> list[int]:
    """Take, without writing to it, all free memory of the heap that could serve a block in place of a mapping."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    plugs: list[int] = []
    # No hole is larger than the heap, and nothing larger may be asked for: a thread whose malloc fails is moved to another heap.
    left = _heap_bytes()
    size = 1 << left.bit_length() >> 1
    # Where nothing more can be mapped, blocks come from a growing heap: the holes that it had are an end to that.
    while size >= MAPPED_FROM and left >= 0:
        block = malloc(size)
        if block is not None and not _is_mapped(block):
            plugs.append(block)
            left -= size
            continue
        # No hole of this size is left.
        if block is not None:
            _free(block)
        size //= 2
    return plugs


def _heap_bytes() -> int:
    """Size of the heap that grows by brk."""
    ranges = [line.split(maxsplit=1)[0].split("-") for line in _maps() if line.endswith("[heap]")]
    return sum(int(end, 16) - int(start, 16) for start, end in ranges)


def _is_mapped(block: int) -> bool:
    word = ctypes.sizeof(ctypes.c_size_t)
    return bool(ctypes.c_size_t.from_address(block - word).value & IS_MMAPPED)


def _free(block: int) -> None:
    ctypes.CDLL(None).free(ctypes.c_void_p(block))


def _set(parameter: int, *values: int) -> int | None:
    """The first of the values that mallopt accepts."""
    mallopt = ctypes.CDLL(None).mallopt
    return next((value for value in values if mallopt(parameter, value) == 1), None)


def _obstacle() -> str:
    """Why mallopt cannot pin this process' allocator; empty where it can."""
    if _foreign():
        return f"{_foreign()} is loaded in place of the C library's allocator"
    if not _library().startswith("glibc"):
        return f"{_library()} has no mallopt"
    return ""


def _library() -> str:
    if _foreign():
        return _foreign()
    try:
        version = ctypes.CDLL(None).gnu_get_libc_version
    except AttributeError:
        return "musl" if any("ld-musl" in path for path in _mapped_files()) else platform.system()
    version.restype = ctypes.c_char_p
    return f"glibc {version().decode()}"


@functools.cache
def _foreign() -> str:
    """Another allocator that was loaded with the process; empty where there is none.

    Looked for once, before anything is imported: a library that is loaded later replaces nothing.
    """
    found = (_FOREIGN.search(path) for path in _mapped_files())
    return next((match[1].lower() for match in found if match), "")


def _mapped_files() -> list[str]:
    # address permissions offset device inode path
    return [fields[5] for line in _maps() if len(fields := line.split(maxsplit=5)) == 6]


def _maps() -> list[str]:
    try:
        return Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return []
