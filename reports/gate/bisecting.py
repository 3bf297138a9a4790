"""``--bisect``: build the images in between, and measure each beside the baseline as the gate measures, in a run of its own.

These runs, and the locks of their images, are in the folder ``bisect`` beside the outputs of the comparison that is searched. An image in
between is one more version of the image, so that engines, recipes and labels know nothing of it.
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

from harness.files import read_json
from images.errors import BuildFailed, InstallFailed, UserError
from matrix.config import Matrix
from matrix.errors import SelectionError
from matrix.provenance import GATE, describe_run
from matrix.ready import Ready, make_ready
from matrix.resume import find_begun, ready_again, stated
from matrix.runner import Settings
from matrix.store import MANIFEST, RESULTS, Run, create_run, open_run, write_text
from reports.gate.between import Locks, read_locks, require_measured_now, with_version
from reports.gate.bisect import Trial
from reports.gate.comparisons import Comparisons, outputs_of
from reports.gate.compose import compose
from reports.gate.culprits import MOST_CELLS, choose_cells, judge_again, name_culprits, symptoms_of
from reports.gate.judge import Judged, judge
from reports.gate.measure import Budget, Measured, measure
from reports.gate.outputs.write import write_outputs
from reports.gate.progress import replay
from reports.gate.report import BASELINE, WORST_FIRST, Between, Bisection, Decision, GateReport, Outcome, Symptom
from reports.gate.rows import read_records
from reports.gate.setup import GateSetup
from reports.gate.wording import counted, joined, plain

FOLDER = "bisect"
"""Beside the outputs of a comparison."""
BISECT = "bisect"
"""In the gate's part of the manifest: whether it was asked for. A run that is resumed goes on with it."""


@dataclass(frozen=True, kw_only=True)
class Bisect:
    """What is known before anything is measured."""

    comparisons: Comparisons
    locks: Mapping[str, Locks]
    """By what the candidate is held against: the baseline, and the anchor where images lie between it and the candidate."""
    why_not: str
    """Why there are none; empty where there are, and without an anchor."""
    matrix: Matrix
    options: argparse.Namespace
    source: Path
    variables: Mapping[str, str]
    budget: Budget


def make_bisect(
    comparisons: Comparisons, matrix: Matrix, options: argparse.Namespace, source: Path, variables: Mapping[str, str], budget: Budget
) -> Bisect:
    """Before anything is measured: raises what ``read_locks`` and ``require_measured_now`` raise of the baseline and the candidate.

    The anchor is there for its verdicts first. Where it cannot be searched from, that is said once it would be.
    """
    locks: dict[str, Locks] = {}
    why_not = ""
    for setup in comparisons.setups:
        try:
            require_measured_now({side: comparisons.stored[side] for side in setup.stored})
            locks[setup.against] = read_locks(setup.baseline, setup.candidate, matrix, source)
        except SelectionError as error:
            if setup.against == BASELINE:
                raise
            why_not = str(error).partition("\n")[0]
    return Bisect(
        comparisons=comparisons,
        locks=locks,
        why_not=why_not,
        matrix=matrix,
        options=options,
        source=source,
        variables=variables,
        budget=budget,
    )


def bisected(bisect: Bisect, reports: Sequence[GateReport], run: Run, engine: str) -> list[GateReport]:
    """The reports, by comparison, with what did it in that of the first one that regressed: the baseline's, else the anchor's.

    engine: the one that the gate measured with. The gate's verdicts are on disk before the search begins. Raises what measuring and building
    raise, but for images that cannot be built; what was measured until then is passed over when the run is resumed.
    """
    regressed = [place for place, report in enumerate(reports) if report.decision == Decision.REGRESSED]
    if not regressed:
        decision = min((report.decision for report in reports), key=WORST_FIRST.index)
        print(f"bisect: the decision is {decision}: there is nothing to look for")
        return list(reports)
    setups = bisect.comparisons.setups
    for setup, report in zip(setups, reports, strict=True):
        write_outputs(report, outputs_of(setup, run.directory), None)
    setup, found = setups[regressed[0]], list(reports)
    if setup.against in bisect.locks:
        found[regressed[0]] = _searched(bisect, setup, reports[regressed[0]], run, engine)
    else:
        why_not = f"bisect: only the comparison with the {setup.against} regressed, and there is nothing to search: {bisect.why_not}"
        print(plain(why_not, len(why_not)))
        found[regressed[0]] = _with_notes(reports[regressed[0]], [why_not])
    return found


def _searched(bisect: Bisect, setup: GateSetup, report: GateReport, run: Run, engine: str) -> GateReport:
    locks = bisect.locks[setup.against]
    backends = {cell.id: cell.backend for cell in setup.cells}
    regressed = [cell for cell in report.cells if symptoms_of(cell) and cell.cell in backends]
    chosen = choose_cells(regressed, backends, MOST_CELLS)
    differ = counted(len(locks.names), "lock entry differs", "lock entries differ")
    print(f"bisect: from {setup.baseline.label} to {setup.candidate.label} {differ}: {plain(', '.join(locks.names))}")
    notes = []
    if len(chosen) < len(regressed):
        notes.append(
            f"bisect: of {len(regressed)} regressed cells {len(chosen)} were measured in the images in between, "
            "the worst by each metric and backend: what did it to the others may be something else"
        )
    trials = Trials(bisect, setup, report, outputs_of(setup, run.directory) / FOLDER, engine)
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
    return dataclasses.replace(_with_notes(report, notes), bisection=found)


def _with_notes(report: GateReport, notes: Sequence[str]) -> GateReport:
    return dataclasses.replace(report, notes=(*report.notes, *notes))


class Trials:
    """Tries images in between, one after the other, and keeps what became of them."""

    def __init__(self, bisect: Bisect, setup: GateSetup, report: GateReport, folder: Path, engine: str) -> None:
        """setup, report: of the comparison that is searched; folder: for runs and locks; engine: its name."""
        self.images: list[Between] = []
        self.out_of_time = False
        self._bisect = bisect
        self._setup = setup
        self._locks = bisect.locks[setup.against]
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
        packages = tuple(name for name in self._locks.names if name in changed)
        print(f"bisect: image {len(self.images) + 1}, with {', '.join(packages)} of {self._setup.candidate.label}")
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
        name, lock = self._locks.between(changed)
        path = self._folder / f"{name}.lock"
        self._folder.mkdir(exist_ok=True)
        write_text(path, lock)
        matrix = with_version(self._bisect.matrix, self._setup.candidate.name, name, path.absolute())
        # A gate of two images by itself, which knows of no anchor and of nothing that was measured before. The configuration does not have
        # the image in between: there is no command that measures its cells.
        setup = dataclasses.replace(
            self._setup,
            against=BASELINE,
            candidate=dataclasses.replace(self._setup.candidate, version=name),
            cells=tuple(cell for cell in self._setup.cells if cell.id in cells),
            lost={},
            new=(),
            stored={},
            replay=(),
        )
        comparisons = Comparisons(setups=(setup,), stored={})
        # Other cells in the same image are another run.
        directory = self._folder / f"{name}-{hashlib.sha256(' '.join(setup.ids).encode()).hexdigest()[:4]}"
        progress = replay(setup, read_records(directory / RESULTS))
        if progress.wanted.any():
            measured = self._measured(comparisons, matrix, directory)
            (progress,), self.out_of_time = measured.progress, measured.out_of_time
        else:
            print(f"bisect: {directory} is measured already")
        manifest = read_json((directory / MANIFEST).read_text(encoding="utf-8"))
        return judge(setup, progress, caps=comparisons.caps(setup, manifest)), directory

    def _measured(self, comparisons: Comparisons, matrix: Matrix, directory: Path) -> Measured:
        """Build the image, and measure it beside the baseline or go on with that."""
        bisect, budget = self._bisect, self._bisect.budget
        (setup,) = comparisons.setups
        began = budget.clock()
        with contextlib.ExitStack() as stack:
            if (directory / MANIFEST).exists():
                ready = self._ready_again(directory)
                run = stack.enter_context(open_run(directory))
                run.collect()
            else:
                # A command that was killed before it had written down what it was about has measured nothing.
                shutil.rmtree(directory, ignore_errors=True)
                plan = comparisons.first_block()
                ready = make_ready(plan, comparisons.live, matrix, self._engine, bisect.options, bisect.source, bisect.variables)
                manifest = describe_run(
                    command=sys.argv, matrix=matrix, plan=plan, engine=ready.facts, environments=ready.environments, source=bisect.source
                )
                run = stack.enter_context(create_run(self._folder, directory.name, {**manifest, GATE: comparisons.about()}))
            self._longest_build = max(self._longest_build, budget.clock() - began)
            with stated(run) as is_done:
                settings = Settings(matrix=matrix, seed=setup.seed)
                measured = measure(comparisons.setups, settings, run, ready.engine, ready.environments, print, budget)
                if not measured.out_of_time:
                    is_done()
            manifest, (progress,) = run.manifest(), measured.progress
            caps = comparisons.caps(setup, manifest)
            report = compose(
                setup,
                progress,
                judge(setup, progress, caps=caps),
                manifest,
                str(directory),
                seconds=measured.seconds,
                out_of_time=measured.out_of_time,
                caps=caps,
            )
            write_outputs(report, directory, None)
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
        name, _ = self._locks.between(changed)
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
