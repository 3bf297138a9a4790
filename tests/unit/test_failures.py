"""Memory that there is not is called so, whoever says it."""

from __future__ import annotations

import errno

import pytest
import torch

from harness.cell import Cell
from harness.failures import failure_of
from harness.records import Status

CELL = Cell(workload="micro/softmax", backend="inductor")


def wrapped(error: Exception) -> Exception:
    """As dynamo does it, of what a backend raises."""
    outer = ValueError("backend='inductor' raised")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
        # torch.AcceleratorError, of a GPU that others have filled before torch has its first block.
        RuntimeError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in https://docs.nvidia.com for more information."),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        wrapped(MemoryError()),
    ],
    ids=str,
)
@pytest.mark.parametrize("phase", ["load", "eager", "first call"])
def test_whatever_lacks_memory_is_oom_in_any_phase(error: Exception, phase: str) -> None:
    assert failure_of(error, phase, CELL).status == Status.OOM


def test_what_only_speaks_of_memory_is_not() -> None:
    for text in ("CUDA error: an illegal memory access was encountered", "could not create a primitive descriptor for a softmax"):
        error = RuntimeError(text)
        assert failure_of(error, "load", CELL).status == Status.MODEL_FAIL_TO_LOAD
        assert failure_of(error, "first call", CELL).status == Status.FAIL_TO_RUN
