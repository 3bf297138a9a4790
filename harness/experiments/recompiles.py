"""What makes dynamo compile a workload again, and why: the guards that failed.

The ancestor (``--recompile-profiler``) prints the guards that failed as it ran one shape. Here the workload meets what changes in use: batch sizes,
gradients switched on and off, an input of another layout; what each of these made dynamo compile is a line of ``recompiles.csv``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from harness.experiments.checking import check, report_subject, step_of
from harness.experiments.compiling import Compiled, compiled_by, guards
from harness.experiments.sizes import at_batch_size, sizes_of
from harness.experiments.steps import surroundings
from harness.files import write_table
from harness.protocols import Bench, Subject, Unsupported
from harness.records import Status, Warn

COLUMNS = ("change", "graphs", "seconds", "reasons")


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something about a call that is not as in the calls before."""

    name: str
    subject: Subject
    around: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext


class Recompiles:
    def run(self, bench: Bench) -> str:
        """Each change is met once, and then once more: what is compiled then is compiled for every such call."""
        report_subject(bench)
        checked = check(bench)
        if isinstance(checked, str):
            return checked
        bench.report.phase("changes")
        met: list[tuple[str, Compiled]] = []
        for change in _changes(checked.subject, bench):
            bench.report.phase(change.name)
            step = step_of(change.subject, bench.cell, checked.function, bench.backend)
            for name in (change.name, f"{change.name}, again"):
                with change.around():
                    met.append((name, compiled_by(step.call, bench.clock)))
        again = [found for _, found in met if found.graphs]
        reasons = set[str]().union(*(found.guards for found in again))
        bench.report.set(
            recompiles=sum(found.graphs for found in again), recompile_reasons=len(reasons), changes_met=len(met), guards=guards()
        )
        if again:
            bench.report.warn(Warn.RECOMPILED)
        lines = ((name, found.graphs, found.seconds, " | ".join(found.reasons)) for name, found in met)
        write_table(bench.report.artifact("recompiles.csv"), COLUMNS, lines)
        return Status.PASS


def _changes(subject: Subject, bench: Bench) -> Iterator[Change]:
    """In a fixed order; those that the workload does not have are left out."""
    mode = bench.cell.mode
    usual = functools.partial(surroundings, mode)
    yield Change(name="nothing", subject=subject, around=usual)
    # Sizes that were asked for are met, or the row says why not.
    with contextlib.nullcontext() if bench.spec.batch_sizes else contextlib.suppress(Unsupported):
        for size in sizes_of(bench)[1:]:
            inputs = at_batch_size(bench, size).inputs
            yield Change(name=f"batch size {size}", subject=dataclasses.replace(subject, inputs=inputs, batch_size=size), around=usual)
    if mode == "inference":
        yield Change(name="with gradients", subject=subject, around=contextlib.nullcontext)
    turned = _other_layout(subject.inputs)
    if turned is not None:
        yield Change(name="another layout", subject=dataclasses.replace(subject, inputs=turned), around=usual)


def _other_layout(inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The same values, the last two dimensions of every matrix of floating-point numbers stored the other way round; None where there are none."""
    changed = False

    def turn(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal changed
        if tensor.dim() < 2 or not tensor.is_floating_point() or min(tensor.shape[-2:]) < 2:
            return tensor
        changed = True
        return tensor.detach().transpose(-1, -2).contiguous().transpose(-1, -2).requires_grad_(tensor.requires_grad)

    turned: tuple[Any, ...] = pytree.tree_map_only(torch.Tensor, turn, inputs)
    return turned if changed else None
