"""The allocator, in processes of its own: what is pinned is pinned for good."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import allocator
from harness.allocator import Allocator

SOURCE = Path(__file__).resolve().parent.parent.parent
glibc = pytest.mark.skipif(not allocator.describe().library.startswith("glibc"), reason="another allocator than glibc's")

FAULTS = """
import ctypes, resource
def faults(size):
    # Fresh pages per block that is written and freed, after some of its like.
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    def block():
        address = libc.malloc(ctypes.c_size_t(size))
        ctypes.memset(address, 1, size)
        libc.free(ctypes.c_void_p(address))
    for _ in range(5):
        block()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        block()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
"""


def run(code: str, **variables: str) -> object:
    """What the code prints, as JSON; the library's own variables are not inherited."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_"))}
    done = subprocess.run(
        [sys.executable, "-c", f"import json\nfrom harness import allocator\n{FAULTS}\n{code}"],
        cwd=SOURCE,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@glibc
def test_everything_is_accepted_and_said() -> None:
    facts = run("print(json.dumps(allocator.pin().as_facts()))")
    assert isinstance(facts, dict)
    assert facts.pop("mmap_threshold_bytes") in allocator.MMAP_THRESHOLDS
    assert facts == {
        "library": allocator.describe().library,
        "pinned": True,
        "mapped_blocks": 0,
        "trim_threshold_bytes": -1,
        "top_pad_bytes": 64 << 20,
        "arenas": len(os.sched_getaffinity(0)),
    }


@glibc
@pytest.mark.parametrize("megabytes", [1, 4, 40, 200])
def test_a_warm_block_of_any_size_meets_no_fresh_page(megabytes: int) -> None:
    assert run(f"allocator.pin()\nprint(faults({megabytes} << 20))") == 0


@glibc
def test_what_it_is_for_without_it_large_blocks_pay_for_every_page_every_time() -> None:
    found = run("print(faults(40 << 20))")
    assert isinstance(found, float)
    assert found >= (40 << 20) / os.sysconf("SC_PAGE_SIZE")


@glibc
def test_the_environment_does_not_override_it() -> None:
    assert run("allocator.pin()\nprint(faults(4 << 20))", MALLOC_MMAP_THRESHOLD_="131072", MALLOC_TRIM_THRESHOLD_="131072") == 0


@glibc
def test_forks_inherit_it() -> None:
    code = """
import os, sys
allocator.pin()
if (pid := os.fork()) == 0:
    assert allocator.is_pinned()
    print(faults(40 << 20), flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    found = run(code)
    assert isinstance(found, float)
    # What the fork shares is copied page by page as it is written to; unpinned it would be ten thousand.
    assert found < 10


@glibc
def test_within_mapped_blocks_leave_memory_as_they_are_freed_and_holes_are_not_used() -> None:
    code = """
allocator.pin()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
# Holes of 3 MiB in the heap, with small blocks between that keep them apart.
blocks = [libc.malloc(ctypes.c_size_t(size)) for _ in range(10) for size in (3 << 20, 4096)]
for hole in blocks[::2]:
    libc.free(ctypes.c_void_p(hole))
allocator.release()
with allocator.mapped():
    inside = []
    for size in (256 << 10, 2 << 20, 40 << 20):
        block = libc.malloc(ctypes.c_size_t(size))
        inside.append(allocator._is_mapped(block))
        before = resident()
        ctypes.memset(block, 1, size)
        written = resident()
        libc.free(ctypes.c_void_p(block))
        inside.append((written - before) / size)
        inside.append((written - resident()) / size)
after = [allocator._is_mapped(libc.malloc(ctypes.c_size_t(size))) for size in (256 << 10, 2 << 20, 40 << 20)]
print(json.dumps([inside, after, faults(40 << 20)]))
"""
    inside, after, fresh = cast_list(run(code))
    assert inside[::3] == [True, True, True]
    assert inside[1::3] == pytest.approx([1, 1, 1], rel=0.1)
    assert inside[2::3] == pytest.approx([1, 1, 1], rel=0.1)
    assert after == [False, False, False]
    assert fresh == 0


@glibc
def test_mapped_changes_nothing_that_it_could_not_put_back() -> None:
    code = "before = faults(4 << 20)\nwith allocator.mapped():\n    inside = faults(4 << 20)\nprint(json.dumps([before, inside]))"
    assert run(code) == [0, 0]


@glibc
def test_what_was_freed_is_given_back_when_asked_and_not_before() -> None:
    before, freed, released, worked = cast_list(
        run("allocator.pin()\nbefore = resident()\nfaults(64 << 20)\nfreed = resident()\nworked = allocator.release()\n"
            "print(json.dumps([before, freed, resident(), worked]))")
    )  # fmt: skip
    assert freed - before > 60 << 20
    assert released - before < 4 << 20
    assert worked is True


@glibc
def test_another_allocator_is_named_and_left_alone(tmp_path: Path) -> None:
    """Any library under the name of one: it is known by its file, since a process does not say whose malloc it calls."""
    mapped = Path("/proc/self/maps").read_text().splitlines()
    libraries = [Path(line.split()[-1]) for line in mapped if line.rstrip().endswith((".so", ".so.1", ".so.2", ".so.6"))]
    small = min(
        (path for path in libraries if path.name.startswith(("libm.", "libdl.", "libutil.", "librt."))), key=lambda p: p.stat().st_size
    )
    preloaded = shutil.copy(small, tmp_path / "libjemalloc.so.2")
    facts, released = cast_list(
        run("print(json.dumps([allocator.pin().as_facts(), allocator.release()]))", LD_PRELOAD=str(preloaded)),
    )
    assert facts == {
        "library": "jemalloc",
        "pinned": False,
        "reason": "jemalloc is loaded in place of the C library's allocator",
    }
    assert released is False


def test_what_another_library_than_glibc_has_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_library", lambda: "musl")
    monkeypatch.setattr(allocator, "_foreign", lambda: "")
    assert allocator.pin() == Allocator(library="musl", pinned=False, reason="musl has no mallopt")
    assert not allocator.release()


@glibc
def test_a_refusal_is_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_set", lambda parameter, *values: None if parameter == allocator.M_MMAP_MAX else values[-1])
    found = allocator.pin()
    assert not found.pinned
    assert found.reason.endswith("refused mapped_blocks")
    assert found.mmap_threshold_bytes == 32 << 20


def test_describing_sets_nothing() -> None:
    found = allocator.describe()
    assert (found.pinned, found.arenas, found.mmap_threshold_bytes) == (False, None, None)
    assert found.library
    assert found.reason


def cast_list(found: object) -> list[Any]:
    assert isinstance(found, list)
    return found
