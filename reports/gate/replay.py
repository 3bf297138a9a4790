"""The command that measures exactly one cell in both images. Pure."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from harness import catalog, operator_file
from harness.cell import TORCHBENCH_SUITE, Cell
from matrix import torchbench
from matrix.config import PATH_PREFIX
from reports.gate.setup import GateSetup

LAUNCHES = 5
"""Of each image: enough to see with one's own eyes what the gate says."""


def replay_command(setup: GateSetup, cell: Cell) -> str:
    """As a shell takes it; empty where there is none."""
    if not setup.replay:
        return ""
    name, (config, *options) = setup.baseline.name, setup.replay
    # nox knows one configuration, and has a --config of its own.
    words = ["python", "-m", "matrix", "--config", config, "bench", name] if config else ["nox", "-s", f"bench-{name}", "--"]
    words += options
    for label in dict.fromkeys((setup.baseline.label, setup.candidate.label)):
        words += ["--image", label]
    return shlex.join([*words, *cell_options(cell), "--launches", str(LAUNCHES)])


def cell_options(cell: Cell) -> list[str]:
    """The options that select exactly this cell."""
    words = _workload(cell)
    if cell.suite != catalog.IMAGE_SUITE:
        words += ["--backend", _backend(cell), "--mode", cell.mode, "--precision", cell.precision, "--shapes", cell.shapes]
        if cell.batch_size is not None:
            words += ["--batch-size", str(cell.batch_size)]
    return words


def _workload(cell: Cell) -> list[str]:
    if cell.path is None:
        return ["--only", cell.workload]
    if cell.suite == TORCHBENCH_SUITE:
        return ["--only", f"{torchbench.PREFIX}{Path(cell.path).parent}:{cell.workload.partition('/')[2]}"]
    if cell.suite == operator_file.SUITE:
        # A file names all of its operators; the cell is one of them.
        return ["--only", f"{operator_file.PREFIX}{cell.path}", "--filter", f"^{re.escape(cell.workload)} "]
    return ["--only", f"{PATH_PREFIX}{cell.path}:{cell.workload.rpartition(':')[2]}"]


def _backend(cell: Cell) -> str:
    """As ``harness.choice`` reads it."""
    options = ", ".join(f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in cell.options)
    return f"{cell.backend}({options})" if options else cell.backend
