"""Peaks of blocks of a known size, written and freed: seen, and the same again."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness import allocator
from harness.measure import memory
from harness.measure.memory import Peak, held_bytes, keeps_history, peak_of

SOURCE = Path(__file__).resolve().parent.parent.parent
glibc = pytest.mark.skipif(not allocator.describe().library.startswith("glibc"), reason="another allocator than glibc's")


# The kernel counts pages per core, roughly: one core keeps that below the tolerance of these tests.
pytestmark = pytest.mark.usefixtures("one_thread")
BLOCKS = """
import sys
import torch
from harness import allocator
if sys.argv[1] == "pinned":
    assert allocator.pin().pinned
from harness.measure.memory import peak_of
torch.set_num_threads(int(sys.argv[2]))
for megabytes in (8, 64, 8, 24, 64, 8, 64, 8):
    size = megabytes << 20
    call = lambda: torch.empty(size, dtype=torch.uint8).fill_(1)
    call()
    print(size, peak_of(call, "cpu").beyond_bytes)
"""
SEQUENCES = """
import torch
from harness import allocator
assert allocator.pin().pinned
from harness.measure.memory import peak_of

MIB = 1 << 20

def block():
    return torch.empty(8 * MIB, dtype=torch.uint8).fill_(1)

def one_after_the_other():
    for _ in range(5):
        block()

def three_of_four():
    blocks = [block() for _ in range(3)]
    del blocks[1]
    another = block()

torch.manual_seed(0)
layers = [torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(6)]
network = torch.nn.Sequential(*(layer for one in layers for layer in (one, torch.nn.ReLU())))
images = torch.randn(4, 8, 256, 256)  # 8 MiB, as is every activation

def train():
    network.zero_grad()
    network(images).sum().backward()

for call in (one_after_the_other, three_of_four, train):
    call()
    print(*(peak_of(call, "cpu").beyond_bytes / MIB for _ in range(3)))
"""

SHORT = """
import torch
from harness.measure.memory import Peak, peak_of

torch.set_num_threads(1)

def measured(call):
    call()
    found = peak_of(call, "cpu")
    assert found == Peak(beyond_bytes=found.beyond_bytes)
    print(found.beyond_bytes)

measured(lambda: torch.empty(8 << 20, dtype=torch.uint8).fill_(1))
held = torch.ones(64 << 20, dtype=torch.uint8)
measured(lambda: torch.ones(16 << 20, dtype=torch.uint8))
assert held.sum() > 0
"""


@glibc
@pytest.mark.parametrize("pinned", ["pinned", "as it is"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_block_is_seen_from_the_heap_and_mapped_and_every_time(pinned: str, threads: int) -> None:
    """In a process of its own: pinned, both sizes come from the heap; as it is, 64 MiB is mapped."""
    found = run(BLOCKS, pinned, str(threads))
    assert len(found) == 8
    for size, seen in found:
        assert seen == pytest.approx(size, rel=0.05)


@glibc
def test_the_peak_is_the_most_at_one_time_whatever_holes_the_heap_has() -> None:
    row, three, train = run(SEQUENCES)
    assert row == pytest.approx([8, 8, 8], rel=0.05)
    assert three == pytest.approx([24, 24, 24], rel=0.05)
    assert max(train) - min(train) < 0.02 * min(train)
    # Six activations of convolutions and six of ReLU are kept for the backward pass, at the least the latter.
    assert 6 * 8 < min(train) < 16 * 8


def run(code: str, *arguments: str) -> list[list[float]]:
    """The numbers that the code prints, by line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [list(map(float, line.split())) for line in done.stdout.splitlines()]


def test_a_block_that_lives_for_two_milliseconds_is_seen_and_what_is_held_before_does_not_count() -> None:
    """In a process of its own: what other tests have left in this one, threads too, is in its resident memory."""
    (short,), (returned,) = run(SHORT)
    assert short == pytest.approx(8 << 20, rel=0.05)
    assert returned == pytest.approx(16 << 20, rel=0.05), "the result counts"


def test_pages_of_files_are_nobodys_memory(tmp_path: Path) -> None:
    """32 MiB of a file that is mapped, which the call reads: it allocates 8."""
    code = f"""
import mmap
import torch
from harness.measure.memory import peak_of

torch.set_num_threads(1)
file = open({str(tmp_path / "file")!r}, "wb+")
file.write(b"1" * (32 << 20))
file.flush()
mapped = mmap.mmap(file.fileno(), 32 << 20, prot=mmap.PROT_READ)

def call():
    block = torch.ones(8 << 20, dtype=torch.uint8)
    return sum(mapped[place] for place in range(0, 32 << 20, 4096)) + int(block[0])

call()
mapped.madvise(mmap.MADV_DONTNEED)
print(peak_of(call, "cpu").beyond_bytes)
"""
    ((found,),) = run(code)
    # The larger of two readings: the pages are there in the second one.
    assert found == pytest.approx(8 << 20, rel=0.1)


def test_a_call_that_allocates_nothing_has_no_peak() -> None:
    values = torch.ones(8 << 20, dtype=torch.uint8)
    values.add_(1)
    peak_of(lambda: values.add_(1), "cpu")
    found = peak_of(lambda: values.add_(1), "cpu").beyond_bytes
    assert found is not None
    assert 0 <= found < 1 << 20


def test_the_collector_is_left_as_it_was_also_when_the_call_raises() -> None:
    def fail() -> None:
        assert not gc.isenabled()
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        peak_of(fail, "cpu")
    assert gc.isenabled()


def test_reasons_where_nothing_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    assert peak_of(lambda: None, "meta") == Peak(reason="the harness knows no peak for the device meta")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        found = peak_of(lambda: None, "cpu")
        assert found.beyond_bytes is None
        assert found.reason == "the kernel's high-water mark cannot be reset: [Errno 13] Permission denied: '/proc/self/clear_refs'"
    with monkeypatch.context() as patch:
        patch.setattr(memory, "_resident", lambda: None)
        assert peak_of(lambda: None, "cpu") == Peak(reason="this kernel tells no high-water mark of resident memory")
    with monkeypatch.context() as patch:
        patch.setattr(allocator, "release", lambda: False)
        assert peak_of(lambda: None, "cpu").reason.endswith("cannot be asked to give back what was freed")


def test_held_bytes_count_every_storage_once() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(10, 10, bias=False), torch.nn.Linear(10, 10, bias=False), torch.nn.BatchNorm1d(10))
    model[1].weight = model[0].weight
    weights = 10 * 10 * 4
    norm = 4 * 10 * 4 + 8  # weight, bias, running mean and variance; batches seen
    assert held_bytes(model, ()) == weights + norm
    whole = torch.zeros(100, dtype=torch.float64)
    assert held_bytes(model, {"a": [whole[:50], whole[10:]], "b": (model[0].weight, "text", 3)}) == weights + norm + 800


def test_held_bytes_of_what_holds_nothing() -> None:
    assert held_bytes(torch.nn.Identity(), (torch.empty(5, device="meta"), torch.eye(3).to_sparse(), torch.empty(0))) == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_no_history_is_kept() -> None:
    assert [keeps_history(device) for device in ("cpu", "cuda", "xla")] == [False, False, False]
