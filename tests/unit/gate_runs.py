"""Gates on the played engine: a run directory of real files, and numbers that a script makes up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.cell import Cell
from matrix.config import Matrix, parse_matrix
from matrix.plan import Plan, PlannedImage, Selection
from matrix.provenance import GATE, describe_run
from matrix.runner import Settings
from matrix.store import RESULTS, Run, create_run, open_run
from reports.gate.blocks import plan_block
from reports.gate.judge import Judged, judge
from reports.gate.measure import Budget, Measured, measure
from reports.gate.procedure import Verdict
from reports.gate.progress import Progress
from reports.gate.report import CellReport, Finding
from reports.gate.setup import GateSetup, make_setup
from tests.conftest import SOURCE
from tests.fake_engine import Played, PlayedEngine, Script

TEXT = """
[images.cpu]
description = "PyTorch on the CPU"
base = "python:3.11"
versions = { new = "new.lock", old = "old.lock" }
backends = ["inductor"]
suites = ["micro", "image"]

[images.other]
description = "another one"
base = "python:3.11"
backends = ["inductor", "eager"]
suites = ["micro"]

[suites.micro]
workloads = ["micro/softmax", "micro/layer_norm", "micro/gather", "micro/conv2d_3x3", "micro/sort", "micro/matmul_tall"]

[suites.image]
workloads = ["image/*"]
"""
MATRIX = parse_matrix(TEXT)
OLD, NEW = PlannedImage(name="cpu", version="old"), PlannedImage(name="cpu", version="new")
MICRO = Selection(filter=("^micro/",))


def matrix_with(gate: str = "") -> Matrix:
    """gate: lines of configuration."""
    return parse_matrix(f"{TEXT}\n{gate}")


def setup_of(
    selection: Selection = MICRO, baseline: PlannedImage = OLD, candidate: PlannedImage = NEW, matrix: Matrix = MATRIX
) -> GateSetup:
    return make_setup(matrix, baseline, candidate, selection)


def alike(image: PlannedImage, cell: Cell, launch: int) -> Played:
    """Both images do the same."""
    return Played()


def planted(**effects: Callable[[int], Played] | Played) -> Script:
    """What the candidate does, by the workload's name; all else is alike. A function of the launch where it varies."""

    def script(image: PlannedImage, cell: Cell, launch: int) -> Played:
        does = effects.get(cell.workload.partition("/")[2]) if image == NEW else None
        if does is None:
            return alike(image, cell, launch)
        return does if isinstance(does, Played) else does(launch)

    return script


@contextmanager
def new_run(results: Path, setup: GateSetup, matrix: Matrix = MATRIX) -> Iterator[Run]:
    plan = Plan(seed=setup.seed, launches=plan_block([setup], 0, [np.ones(len(setup.cells), dtype=bool)]))
    engine = PlayedEngine(alike)
    environments = {image: engine.prepare(image) for image in (setup.baseline, setup.candidate)}
    manifest = describe_run(command=["test"], matrix=matrix, plan=plan, engine={"name": "fake"}, environments=environments, source=SOURCE)
    with create_run(results, "run", {**manifest, GATE: {}}) as run:
        yield run


@dataclass(frozen=True, kw_only=True)
class Gated:
    setup: GateSetup
    measured: Measured
    judged: Judged
    said: tuple[str, ...]
    launches: tuple[tuple[int, str, tuple[str, ...]], ...]
    """(index, image, cells) of every start."""

    @property
    def progress(self) -> Progress:
        return self.measured.progress[0]

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """By the workload's name."""
        return {name_of(report): report.verdict for report in self.judged.cells}

    def report(self, name: str) -> CellReport:
        return next(report for report in self.judged.cells if name_of(report) == name)

    def finding(self, name: str, metric: str = "latency") -> Finding:
        return next(finding for finding in self.report(name).findings if finding.metric == metric)


def name_of(report: CellReport) -> str:
    return report.cell.partition(" ")[0].partition("/")[2]


def go_on(run: Run, setup: GateSetup, engine: PlayedEngine, deadline: float | None = None, matrix: Matrix = MATRIX) -> Gated:
    said: list[str] = []
    environments = {image: engine.prepare(image) for image in (setup.baseline, setup.candidate)}
    budget = Budget(deadline=deadline, clock=lambda: engine.now)
    measured = measure([setup], Settings(matrix=matrix, seed=setup.seed), run, engine, environments, said.append, budget)
    launches = tuple((each.spec.launch, each.spec.image, tuple(cell.id for cell in each.spec.cells)) for each in engine.requests)
    return Gated(setup=setup, measured=measured, judged=judge(setup, measured.progress[0]), said=tuple(said), launches=launches)


def gate(results: Path, script: Script, setup: GateSetup | None = None, deadline: float | None = None, **engine: object) -> Gated:
    """A gate from its first block to its end."""
    chosen = setup or setup_of()
    with new_run(results, chosen) as run:
        return go_on(run, chosen, PlayedEngine(script, **engine), deadline)  # type: ignore[arg-type]


@contextmanager
def again(results: Path) -> Iterator[Run]:
    """The run of ``gate``, as resuming opens it."""
    with open_run(results / "run") as run:
        run.collect()
        yield run


def rows_of(results: Path) -> Path:
    return results / "run" / RESULTS
