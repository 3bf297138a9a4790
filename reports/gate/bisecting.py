"""``--bisect``: build the images in between, and measure each beside the baseline as the gate measures, in a run of its own.

These runs, and the locks of their images, are in the folder ``bisect`` of the gate's run. An image in between is one more version of the
image, so that engines, recipes and labels know nothing of it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from images.errors import BuildFailed, InstallFailed, UserError
from matrix.config import Matrix
from matrix.errors import SelectionError
from matrix.plan import Plan
from matrix.provenance import GATE, describe_run
from matrix.ready import Ready, make_ready
from matrix.resume import find_begun, ready_again
from matrix.runner import Settings
from matrix.store import MANIFEST, RESULTS, Run, create_run, open_run, write_text
from reports.gate.between import Locks, read_locks, with_version
from reports.gate.bisect import Trial
from reports.gate.blocks import plan_block
from reports.gate.compose import cap_of, compose
from reports.gate.culprits import MOST_CELLS, choose_cells, judge_again, name_culprits, symptoms_of
from reports.gate.judge import Judged, judge
from reports.gate.measure import Budget, Measured, measure
from reports.gate.outputs.write import write_outputs
from reports.gate.progress import replay
from reports.gate.report import Between, Bisection, Decision, GateReport, Outcome, Symptom
from reports.gate.rows import read_records
from reports.gate.setup import BASELINE, CANDIDATE, GateSetup
from reports.gate.wording import counted, joined, plain

FOLDER = "bisect"
"""In the run of the gate."""
BISECT = "bisect"
"""In the gate's part of the manifest: whether it was asked for. A run that is resumed goes on with it."""


@dataclass(frozen=True, kw_only=True)
class Bisect:
    """What is known before anything is measured."""

    setup: GateSetup
    matrix: Matrix
    locks: Locks
    options: argparse.Namespace
    source: Path
    variables: Mapping[str, str]
    budget: Budget


def make_bisect(
    setup: GateSetup, matrix: Matrix, options: argparse.Namespace, source: Path, variables: Mapping[str, str], budget: Budget
) -> Bisect:
    """Before anything is measured: raises what ``read_locks`` raises."""
    locks = read_locks(setup.baseline, setup.candidate, matrix, source)
    return Bisect(setup=setup, matrix=matrix, locks=locks, options=options, source=source, variables=variables, budget=budget)


def bisected(bisect: Bisect | None, report: GateReport, run: Run, engine: str) -> GateReport:
    """The report with what did it, where that was asked for and something regressed. engine: the one that the gate measured with.

    The gate's verdict is on disk before the search begins. Raises what measuring and building raise, but for images that cannot be
    built; what was measured until then is passed over when the run is resumed.
    """
    if bisect is None:
        return report
    if report.decision != Decision.REGRESSED:
        print(f"bisect: the decision is {report.decision}: there is nothing to look for")
        return report
    run.update_manifest(lambda manifest: manifest[GATE].update({BISECT: True}))
    write_outputs(report, run.directory, None)
    setup, locks = bisect.setup, bisect.locks
    backends = {cell.id: cell.backend for cell in setup.cells}
    regressed = [cell for cell in report.cells if symptoms_of(cell) and cell.cell in backends]
    chosen = choose_cells(regressed, backends, MOST_CELLS)
    print(f"bisect: {counted(len(locks.names), 'lock entry differs', 'lock entries differ')}: {plain(', '.join(locks.names))}")
    notes = []
    if len(chosen) < len(regressed):
        notes.append(
            f"bisect: of {len(regressed)} regressed cells {len(chosen)} were measured in the images in between, "
            "the worst by each metric and backend: what did it to the others may be something else"
        )
    trials = Trials(bisect, report, run.directory / FOLDER, engine)
    with _resumable(run):
        culprits = name_culprits(locks.names, [symptom for cell in chosen for symptom in symptoms_of(cell)], trials)
    if trials.out_of_time:
        notes.append("bisect: the time was up before the packages were told apart: the run can be resumed with more")
        print(f"bisect: the time was up\n  next: --resume {run.directory}, with more --max-duration", file=sys.stderr)
    names = {cell.cell for cell in chosen}
    found = Bisection(
        entries=locks.names,
        culprits=culprits,
        images=tuple(trials.images),
        left_out=tuple(cell.cell for cell in report.cells if symptoms_of(cell) and cell.cell not in names),
        finished=not trials.out_of_time,
    )
    return dataclasses.replace(report, bisection=found, notes=(*report.notes, *notes))


class Trials:
    """Tries images in between, one after the other, and keeps what became of them."""

    def __init__(self, bisect: Bisect, report: GateReport, folder: Path, engine: str) -> None:
        """report: of the gate; folder: for runs and locks; engine: its name."""
        self.images: list[Between] = []
        self.out_of_time = False
        self._bisect = bisect
        self._cells = {cell.cell: cell for cell in report.cells}
        self._folder = folder
        self._engine = engine
        self._longest_build = 0.0

    def __call__(self, changed: frozenset[str], symptoms: Sequence[Symptom]) -> Mapping[Symptom, Trial]:
        """What becomes of the symptoms; all are undecided once the time is up."""
        budget = self._bisect.budget
        if self.out_of_time or not budget.allows(self._longest_build):
            self.out_of_time = True
            return dict.fromkeys(symptoms, Trial.UNDECIDED)
        packages = tuple(name for name in self._bisect.locks.names if name in changed)
        print(f"bisect: image {len(self.images) + 1}, with {', '.join(packages)} of {self._bisect.setup.candidate.label}")
        try:
            judged, directory = self._judged(changed, dict.fromkeys(symptom.cell for symptom in symptoms))
        except (BuildFailed, InstallFailed) as error:
            outcomes = dict.fromkeys(symptoms, Trial.UNBUILDABLE)
            between = Between(packages=packages, outcomes=_outcomes(outcomes), run="", reason=self._keep(error, changed))
        else:
            now = {cell.cell: cell for cell in judged.cells}
            outcomes = {symptom: judge_again(symptom.metric, self._cells[symptom.cell], now[symptom.cell]) for symptom in symptoms}
            between = Between(packages=packages, outcomes=_outcomes(outcomes), run=str(directory))
        self.images.append(between)
        for outcome in between.outcomes:
            print(f"bisect:   {plain(joined((f'{outcome.cell}, {outcome.metric}: {outcome.trial}', between.reason), ': '))}")
        return outcomes

    def _judged(self, changed: frozenset[str], cells: Mapping[str, None]) -> tuple[Judged, Path]:
        """Verdicts on the cells, and the run that they are from: one that was measured before, as far as it was."""
        bisect = self._bisect
        name, lock = bisect.locks.between(changed)
        path = self._folder / f"{name}.lock"
        self._folder.mkdir(exist_ok=True)
        write_text(path, lock)
        matrix = with_version(bisect.matrix, bisect.setup.candidate.name, name, path.absolute())
        setup = dataclasses.replace(
            bisect.setup,
            candidate=dataclasses.replace(bisect.setup.candidate, version=name),
            cells=tuple(cell for cell in bisect.setup.cells if cell.id in cells),
            lost={},
            new=(),
        )
        # Other cells in the same image are another run.
        directory = self._folder / f"{name}-{hashlib.sha256(' '.join(setup.ids).encode()).hexdigest()[:4]}"
        progress = replay(setup, read_records(directory / RESULTS))
        if progress.wanted.any():
            measured = self._measured(setup, matrix, directory)
            progress, self.out_of_time = measured.progress, measured.out_of_time
        else:
            print(f"bisect: {directory} is measured already")
        return judge(setup, progress), directory

    def _measured(self, setup: GateSetup, matrix: Matrix, directory: Path) -> Measured:
        """Build the image, and measure it beside the baseline or go on with that."""
        bisect, budget = self._bisect, self._bisect.budget
        began = budget.clock()
        with contextlib.ExitStack() as stack:
            if (directory / MANIFEST).exists():
                ready = self._ready_again(directory)
                run = stack.enter_context(open_run(directory))
                run.collect()
            else:
                # A command that was killed before it had written down what it was about has measured nothing.
                shutil.rmtree(directory, ignore_errors=True)
                plan = Plan(seed=setup.seed, launches=plan_block(setup, 0, np.ones(len(setup.cells), dtype=bool)))
                images = (setup.baseline, setup.candidate)
                ready = make_ready(plan, images, matrix, self._engine, bisect.options, bisect.source, bisect.variables)
                manifest = describe_run(
                    command=sys.argv, matrix=matrix, plan=plan, engine=ready.facts, environments=ready.environments, source=bisect.source
                )
                about = {BASELINE: setup.baseline.label, CANDIDATE: setup.candidate.label, "lost": {}, "new": []}
                run = stack.enter_context(create_run(self._folder, directory.name, {**manifest, GATE: about}))
            self._longest_build = max(self._longest_build, budget.clock() - began)
            state = "interrupted"
            try:
                measured = measure(setup, Settings(matrix=matrix, seed=setup.seed), run, ready.engine, ready.environments, print, budget)
                state = "interrupted" if measured.out_of_time else "done"
            finally:
                run.update_manifest(lambda manifest: manifest.update(state=state))
            manifest = run.manifest()
            capped = cap_of(manifest)
            judged = judge(setup, measured.progress, capped=capped)
            write_outputs(compose(setup, measured, judged, manifest, str(directory), capped), directory, None)
        return measured

    def _ready_again(self, directory: Path) -> Ready:
        bisect = self._bisect
        options = argparse.Namespace(**{**vars(bisect.options), "resume": directory, "engine": self._engine})
        begun = find_begun(options)
        try:
            return ready_again(begun, options, bisect.source, bisect.variables)
        except SelectionError as error:
            raise SelectionError(
                f"{directory} cannot be gone on with: {str(error).partition(chr(10))[0]}\n"
                "  next: remove it, so that this image is measured anew, and resume the gate's run again"
            ) from None

    def _keep(self, error: UserError, changed: frozenset[str]) -> str:
        """The line of a build's output that says most, of all that is kept beside the image's lock."""
        name, _ = self._bisect.locks.between(changed)
        write_text(self._folder / f"{name}.build.log", f"{error}\n")
        lines = str(error).splitlines()
        return plain(next((line for line in lines if "ERROR:" in line), lines[0]))


def _outcomes(trials: Mapping[Symptom, Trial]) -> tuple[Outcome, ...]:
    return tuple(Outcome(cell=symptom.cell, metric=symptom.metric, trial=trial) for symptom, trial in trials.items())


@contextlib.contextmanager
def _resumable(run: Run) -> Iterator[None]:
    try:
        yield
    except BaseException:
        print(
            f"stopped; the verdict is in {run.directory}, and what was measured is kept\n  next: --resume {run.directory}",
            file=sys.stderr,
        )
        raise
