"""From a cell to its workload, wherever that is from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

from harness import catalog, operator_file
from harness.cell import PATH_SUITE, TORCHBENCH_SUITE, Cell, LaunchSpec, Terms
from harness.measure.accuracy import default_tolerance
from harness.protocols import Subject, Unsupported, Workload
from harness.workloads.recorded import Recorded
from harness.workloads.torchbench import TorchBench
from harness.workloads.treatment import treated
from harness.workloads.user_module import UserModule


def workload_of(cell: Cell) -> Workload:
    """Raises Unsupported for one that the harness does not have."""
    suite, _, name = cell.workload.partition("/")
    if suite == operator_file.SUITE:
        if cell.path is None:
            raise ValueError("recorded operators need their file: operators:FILE")
        return Recorded(Path(cell.path), name.rpartition(":")[2])
    if suite == TORCHBENCH_SUITE:
        if cell.path is None:
            raise ValueError("models of pytorch/benchmark need a checkout: torchbench:CHECKOUT")
        return TorchBench(Path(cell.path), name)
    if suite == PATH_SUITE:
        if cell.path is None:
            raise ValueError("a workload of one's own needs its file: path:FILE:CLASS")
        return UserModule(Path(cell.path), name.rpartition(":")[2])
    try:
        return cast("Workload", catalog.load(catalog.SUITES[suite][name]))
    except KeyError:
        raise Unsupported(f"the harness has no workload {cell.workload!r}") from None


def load_subject(cell: Cell, spec: LaunchSpec, *, precision: str | None = None, batch_size: int | None = None) -> Subject:
    """As the cell asks for it, by its terms, and as the launch treats it; what ``Workload.load`` raises.

    precision, batch_size: in place of the cell's own.
    """
    terms = spec.terms.get(cell.id, Terms())
    loaded = workload_of(cell).load(
        device=cell.device,
        precision=precision or cell.precision,
        mode=cell.mode,
        shapes=cell.shapes,
        batch_size=batch_size or cell.batch_size or terms.batch_size,
        seed=spec.seed,
    )
    return treated(_by_terms(loaded, terms, cell), spec.treatment)


def _by_terms(subject: Subject, terms: Terms, cell: Cell) -> Subject:
    tolerance = subject.tolerance
    judged = {
        "absolute_and_relative": terms.tolerance,
        "cosine": terms.cosine,
        "larger_multiplier_for_smaller_tensors": terms.larger_multiplier_for_smaller_tensors,
    }
    said = {name: value for name, value in judged.items() if value is not None}
    if said:
        tolerance = dataclasses.replace(tolerance or default_tolerance(cell.mode, cell.precision), **said)  # type: ignore[arg-type]
    return dataclasses.replace(
        subject, tolerance=tolerance, optimizer=terms.optimizer or subject.optimizer, repeats=subject.repeats and not terms.nondeterministic
    )
