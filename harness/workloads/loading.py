"""From a cell to its workload, wherever that is from."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from harness import catalog, operator_file
from harness.cell import PATH_SUITE, Cell, LaunchSpec
from harness.protocols import Subject, Unsupported, Workload
from harness.workloads.recorded import Recorded
from harness.workloads.treatment import treated
from harness.workloads.user_module import UserModule


def workload_of(cell: Cell) -> Workload:
    """Raises Unsupported for one that the harness does not have."""
    suite, _, name = cell.workload.partition("/")
    if suite == operator_file.SUITE:
        if cell.path is None:
            raise ValueError("recorded operators need their file: operators:FILE")
        return Recorded(Path(cell.path), name.rpartition(":")[2])
    if suite == PATH_SUITE:
        if cell.path is None:
            raise ValueError("a workload of one's own needs its file: path:FILE:CLASS")
        return UserModule(Path(cell.path), name.rpartition(":")[2])
    try:
        return cast("Workload", catalog.load(catalog.SUITES[suite][name]))
    except KeyError:
        raise Unsupported(f"the harness has no workload {cell.workload!r}") from None


def load_subject(cell: Cell, spec: LaunchSpec) -> Subject:
    """As the cell asks for it and the launch treats it; what ``Workload.load`` raises."""
    loaded = workload_of(cell).load(
        device=cell.device,
        precision=cell.precision,
        mode=cell.mode,
        shapes=cell.shapes,
        batch_size=cell.batch_size,
        seed=spec.seed,
    )
    return treated(loaded, spec.treatment)
