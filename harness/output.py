"""What a launch leaves in its output directory, and the row of a cell. Standard library only: the host reads it."""

from __future__ import annotations

from harness.cell import Cell, LaunchSpec
from harness.records import Row, one_line

ROWS, SAMPLES, FACTS, RUNNING, LOGS, ARTIFACTS = "results.csv", "samples.csv", "launch.json", "running.json", "logs", "artifacts"
"""Files and folders; RUNNING is there only while a cell is being measured."""
OUTPUTS = "outputs.pt"
"""Among a row's artifacts: the outputs of its checked call, where they are kept (``harness.experiments.kept_outputs``)."""

UNFIT = 3
"""Exit code of a harness that cannot run in this image at all."""


def row_of(cell: Cell, spec: LaunchSpec, status: str, reason: str, **fields: object) -> Row:
    """The row of a cell of a launch; ``fields`` are further columns. TypeError for one that there is not."""
    identity: dict[str, object] = {
        "dev": cell.device,
        "name": cell.workload,
        "batch_size": cell.batch_size,
        "run": spec.run,
        "image": spec.image,
        "tag": spec.tag,
        "experiment": spec.experiment,
        "launch": spec.launch,
        "attempt": spec.attempt,
        "cell": cell.id,
        "suite": cell.suite,
        "backend": cell.backend,
        "mode": cell.mode,
        "precision": cell.precision,
        "shapes": cell.shapes,
        "planned_batch_size": cell.batch_size,
        "options": " ".join(f"{name}={value}" for name, value in cell.options),
        "status": status,
        "reason": one_line(reason),
    }
    return Row(**{**identity, **fields})  # type: ignore[arg-type]  # columns have the types that the journal's writers gave them
