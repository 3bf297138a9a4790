"""Is the same call the same result, to the last bit; and is an example's result the same whatever else is in its batch?

Both are asked of eager and of the backend. A result that changes from call to call cannot be debugged by comparing; one that changes with
the batch makes a server's answer depend on who else asks (He 2025, Defeating Nondeterminism in LLM Inference). The ancestor has the first as a
status alone (``eager_two_runs_differ``), within a tolerance.
"""

from __future__ import annotations

import dataclasses
import json
import traceback
from dataclasses import dataclass

import torch
from torch.utils import _pytree as pytree

from harness.experiments.checking import Kept, check, report_subject, seeded, step_of
from harness.experiments.sizes import is_batch
from harness.experiments.steps import Step
from harness.experiments.timing import BACKEND, EAGER
from harness.measure.deviation import size_of
from harness.protocols import Bench, Outputs, Subject
from harness.records import Status

CALLS = 10
"""That are compared with the first one."""
ROUNDING = 0.05
"""Relative difference from which on an output is no row's own: a workload that mixes its rows has other results for fewer of them."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of two results of the same thing."""

    where: str = ""
    """The first output with another bit; empty where there is none."""
    relative: float = 0.0
    """Largest difference of an element, over the root mean square of its output."""

    def worse(self, other: Difference) -> Difference:
        return Difference(where=self.where or other.where, relative=max(self.relative, other.relative))


class Determinism:
    def run(self, bench: Bench) -> str:
        """Differences are findings, no failures: the row passes, and its reason names the output."""
        report_subject(bench)
        checked = check(bench)
        if isinstance(checked, str):
            return checked
        variants = {EAGER: (checked.eager, bench.subject), BACKEND: (checked.backend, checked.subject)}
        reasons: list[str] = []
        for name, (step, subject) in variants.items():
            bench.report.phase(f"repeat {name}")
            repeated = self._repeated(step, subject, bench)
            bench.report.set(**{f"{name}_repeatable": int(not repeated.where), f"{name}_repeat_difference": repeated.relative})
            if repeated.where:
                reasons.append(f"{name}: bits of {repeated.where} differ between calls")
        if bench.cell.mode == "inference":
            functions = {EAGER: bench.subject.model, BACKEND: checked.function}
            for name, (_, subject) in variants.items():
                bench.report.phase(f"half a batch {name}")
                try:
                    halved = self._halved(functions[name], subject, bench)
                except Exception:  # noqa: BLE001  # what was exported for one size takes no other, and says so in its own way
                    traceback.print_exc()
                    halved = None
                if halved is None:
                    continue
                bench.report.set(**{f"{name}_batch_invariant": int(not halved.where), f"{name}_batch_difference": halved.relative})
                if halved.where:
                    reasons.append(f"{name}: bits of {halved.where} differ with the size of the batch")
        bench.report.set(reason="; ".join(reasons), evidence=json.dumps({"calls": CALLS + 1}))
        return Status.PASS

    def _repeated(self, step: Step, subject: Subject, bench: Bench) -> Difference:
        """Of calls from the same state, with the same random numbers."""
        kept, seed, device = Kept(subject), bench.spec.seed, bench.cell.device
        first = seeded(step, seed, device)
        found = Difference()
        for _ in range(CALLS):
            kept.restore()
            again = seeded(step, seed, device)
            for group in first:
                found = found.worse(difference(first[group], again[group], group))
        kept.restore()
        return found

    def _halved(self, function: object, subject: Subject, bench: Bench) -> Difference | None:
        """Of the first half of the rows, with the others and without; None where rows are not told, or have no results of their own."""
        size = subject.batch_size
        if size is None or size < 2:
            return None
        rows = size // 2
        smaller = dataclasses.replace(subject, inputs=first_rows(subject.inputs, size, rows), batch_size=rows)
        seed, device = bench.spec.seed, bench.cell.device
        kept = Kept(subject)
        whole, part = (
            seeded(step_of(each, bench.cell, function, bench.backend), seed, device)["outputs"]  # type: ignore[arg-type]
            for each in (subject, smaller)
        )
        kept.restore()
        if not _same_shapes(first_rows(whole, size, rows), part):
            return None
        found = difference(first_rows(whole, size, rows), part)
        return None if found.relative > ROUNDING else found


def first_rows(tree: Outputs, size: int, rows: int) -> Outputs:
    """Of every tensor whose first dimension is the batch's."""

    def of(tensor: torch.Tensor) -> torch.Tensor:
        return tensor[:rows] if is_batch(tensor, size) else tensor

    return pytree.tree_map_only(torch.Tensor, of, tree)


def _same_shapes(one: Outputs, other: Outputs) -> bool:
    mine, theirs = ([leaf.shape for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)] for tree in (one, other))
    return mine == theirs


def difference(one: Outputs, other: Outputs, name: str = "outputs") -> Difference:
    """Of two results of the same form, which have that name. A NaN is the same as a NaN; what is finite in one of them alone is infinitely far."""
    found = Difference()
    leaves = dict(pytree.tree_flatten_with_path(other)[0])
    for path, expected in pytree.tree_flatten_with_path(one)[0]:
        if not isinstance(expected, torch.Tensor):
            continue
        result = leaves[path]
        same = (expected == result) | (expected.isnan() & result.isnan()) if expected.is_floating_point() else expected == result
        if bool(same.all()):
            continue
        size = size_of(expected) if expected.is_floating_point() else 1.0
        apart = (expected.to(torch.float64) - result.to(torch.float64))[~same].abs().max()
        relative = float(apart) / size if size > 0 else float("inf")
        found = found.worse(Difference(where=f"{name}{pytree.keystr(path)}", relative=relative))
    return found
