"""A workload at other batch sizes than its own: the same model, other inputs."""

from __future__ import annotations

import dataclasses

import torch

from harness.protocols import Bench, Subject, Unsupported
from harness.workloads.loading import load_subject


def own_size(bench: Bench) -> int:
    """The cell's own batch size. Raises Unsupported for a workload without a batch dimension."""
    if bench.subject.batch_size is None:
        raise Unsupported(
            "the workload has no batch dimension: it has no other shapes\n"
            "  next: one that takes batch_size, as a class of yours does with get_example_inputs(self, batch_size=16)"
        )
    return bench.subject.batch_size


def sizes_of(bench: Bench) -> tuple[int, ...]:
    """Batch sizes in the order in which they are met, the cell's own first: those asked for, else one more, half and twice as many.

    Raises Unsupported for a workload without a batch dimension.
    """
    own = own_size(bench)
    others = bench.spec.batch_sizes or (own + 1, own // 2, 2 * own)
    return tuple(dict.fromkeys((own, *(size for size in others if size > 0))))


def is_batch(tensor: torch.Tensor, size: int | None) -> bool:
    """Whether its first dimension is the batch's: nobody says so, but that it is as long."""
    return tensor.dim() > 0 and tensor.shape[0] == size


def at_batch_size(bench: Bench, size: int) -> Subject:
    """The bench's own model with inputs of that batch size.

    Raises Unsupported where the model itself depends on it, and what loading raises.
    """
    loaded = load_subject(bench.cell, bench.spec, batch_size=size)
    ours, theirs = ({name: value.shape for name, value in model.state_dict().items()} for model in (bench.subject.model, loaded.model))
    if ours != theirs:
        changed = next(name for name in (*ours, *theirs) if ours.get(name) != theirs.get(name))
        raise Unsupported(f"the model's {changed} depends on the batch size: another size is another model")
    return dataclasses.replace(loaded, model=bench.subject.model)
