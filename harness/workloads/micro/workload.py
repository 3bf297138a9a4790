"""How a workload of ``micro`` is declared: a function that builds it, and its sizes by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from harness.protocols import Subject, Unsupported
from harness.workloads.subjects import place

Sizes = Mapping[str, int]

BYTES_PER_ELEMENT = {"float32": 4, "float16": 2, "bfloat16": 2, "amp": 4}


@dataclass(kw_only=True)
class Counted:
    """A built workload and what can be counted of one forward call."""

    model: torch.nn.Module
    inputs: tuple[object, ...]
    flops: int | None = None
    """Floating-point operations; a multiply-add counts as two."""
    elements: int | None = None
    """Floating-point elements that must be read (inputs, weights) or written (outputs)."""
    index_bytes: int = 0
    """Bytes of integer inputs, which keep their type in every precision."""
    loss: Callable[[object], torch.Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class Micro:
    """A workload of the suite. Inputs are drawn on the CPU from the seed, so that they are the same on every device."""

    build: Callable[[Sizes], Counted]
    small: Sizes
    large: Sizes
    batch: str | None = None
    """The size that the cell's batch size replaces."""
    modes: tuple[str, ...] = ("inference", "training")
    precisions: tuple[str, ...] = Subject.precisions

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """See ``Workload``. ValueError for shapes other than ``small`` and ``large``."""
        if shapes not in ("small", "large"):
            raise ValueError(f"shapes {shapes!r}: the workload has small and large")
        sizes = dict(self.small if shapes == "small" else self.large)
        if batch_size is not None:
            if self.batch is None:
                raise Unsupported("the workload has no batch dimension: leave batch_size out")
            sizes[self.batch] = batch_size
        torch.manual_seed(seed)
        counted = self.build(sizes)
        subject = Subject(
            model=counted.model,
            inputs=counted.inputs,
            batch_size=sizes[self.batch] if self.batch else None,
            flops=counted.flops,
            bytes_moved=counted.elements * BYTES_PER_ELEMENT[precision] + counted.index_bytes if counted.elements else None,
            modes=self.modes,
            precisions=self.precisions,
            loss=counted.loss,
        )
        return place(subject, device=device, precision=precision, mode=mode)
