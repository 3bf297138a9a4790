"""``nox -s gate``: from options to a run directory, a report and an exit code."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from matrix.config import Matrix
from matrix.errors import INCOMPLETE, SelectionError
from matrix.options import selection_of
from matrix.overrides import for_gate, with_options
from matrix.provenance import GATE, describe_run, user_module_digests
from matrix.ready import Ready, make_ready
from matrix.resume import find_begun, ready_again, resumable, stated
from matrix.runner import Settings
from matrix.store import Run, create_run, new_name, open_run
from reports.accepted import accepted_for
from reports.gate.baseline_file import write_baseline
from reports.gate.between import require_measured_now
from reports.gate.bisecting import BISECT, Bisect, bisected, make_bisect
from reports.gate.calibration import calibration
from reports.gate.comparisons import Comparisons, comparisons_again, make_comparisons, outputs_of, require_performance
from reports.gate.compose import compose
from reports.gate.ending import KEY as ENDING
from reports.gate.ending import Ending, ending_again, ending_of
from reports.gate.expected import Expected, load_expected
from reports.gate.judge import judge
from reports.gate.measure import Budget, measure
from reports.gate.options import SIDES, choose_sources, replay_of
from reports.gate.outputs.terminal import summary
from reports.gate.outputs.write import MARKDOWN, write_outputs
from reports.gate.report import BASELINE, EXIT_CODES, WORST_FIRST, Decision, GateReport
from reports.gate.setup import GateSetup
from reports.gate.stored import CANDIDATE, Stored, read_run
from reports.gate.wording import counted, plain

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Variable that names the file of a step's summary."""
NO_ENGINE = {"name": "none"}
"""Of a gate whose rows were all measured before."""


def gate(options: argparse.Namespace, matrix: Matrix, source: Path, variables: Mapping[str, str], budget: Budget) -> int:
    """Compare two images, or go on with it. Returns the exit code of the decision; raises a UserError where there is none."""
    if options.resume is not None:
        return _resume(options, source, variables, budget)
    ending = ending_of(options, matrix)
    expected = load_expected(ending.expected_failures, matrix.images, required="expected_failures" in matrix.gate.model_fields_set)
    matrix = with_options(matrix, options)
    require_performance(matrix)
    if not options.quick:
        matrix = for_gate(matrix)
    sources = choose_sources(options, matrix)
    candidate = sources[CANDIDATE]
    if BASELINE not in sources and isinstance(candidate, Stored):
        if options.bisect:
            require_measured_now({CANDIDATE: candidate})
        assert ending.save_baseline is not None  # else there is a baseline
        _save(candidate, ending.save_baseline)
        return 0
    comparisons = make_comparisons(matrix, sources, selection_of(options), replay_of(options))
    bisect = make_bisect(comparisons, matrix, options, source, variables, budget) if options.bisect else None
    plan = comparisons.first_block()
    user_module_digests(plan)
    if options.plan:
        for setup in comparisons.setups:
            _show(setup)
        return 0
    ready = None
    if comparisons.live:
        ready = make_ready(plan, comparisons.live, matrix, options.engine, options, source, variables)
    manifest = describe_run(
        command=sys.argv,
        matrix=matrix,
        plan=plan,
        engine=NO_ENGINE if ready is None else ready.facts,
        environments={} if ready is None else ready.environments,
        source=source,
    )
    name = new_name(f"gate-{comparisons.candidate.name}")
    about = {**comparisons.about(), BISECT: options.bisect, ENDING: ending.as_json()}
    with create_run(options.results.absolute(), name, {**manifest, GATE: about}) as run:
        return _decide(comparisons, matrix, ready, run, ending, expected, variables, budget, bisect)


def _resume(options: argparse.Namespace, source: Path, variables: Mapping[str, str], budget: Budget) -> int:
    begun = find_begun(options)
    try:
        comparisons = comparisons_again(begun)
        ending = ending_again(begun.manifest[GATE], options, begun.matrix)
    except (KeyError, TypeError, AttributeError) as error:
        raise SelectionError(
            f"the manifest of {begun.directory} does not say what the gate compares ({type(error).__name__}: {error})\n  next: start a new gate"
        ) from None
    expected = load_expected(ending.expected_failures, begun.matrix.images)
    images = {name: image.label for setup in comparisons.setups for name, image in setup.sides.items()}
    for name in (*SIDES, "calibrate"):
        if getattr(options, name) not in (None, images.get(name)):
            raise SelectionError(f"the {name} of {begun.directory} is {images.get(name, 'none')}\n  next: leave --{name} out")
    asked = options.bisect or begun.manifest[GATE].get(BISECT)
    bisect = make_bisect(comparisons, begun.matrix, options, source, variables, budget) if asked else None
    ready = ready_again(begun, options, source, variables) if comparisons.live else None
    with open_run(begun.directory) as run:
        run.collect()
        if asked:
            run.update_manifest(lambda manifest: manifest[GATE].update({BISECT: True}))
        finished = len(run.finished())
        rows = f"{counted(finished, 'row')} {'is' if finished == 1 else 'are'}"
        print(f"resuming {run.directory}: {rows} there")
        return _decide(comparisons, begun.matrix, ready, run, ending, expected, variables, budget, bisect)


def _decide(
    comparisons: Comparisons,
    matrix: Matrix,
    ready: Ready | None,
    run: Run,
    ending: Ending,
    expected: Sequence[Expected],
    variables: Mapping[str, str],
    budget: Budget,
    bisect: Bisect | None,
) -> int:
    """Measure, judge, find what did it where that is asked for, write and show."""
    cells = len({cell for setup in comparisons.setups for cell in setup.ids})
    accepted = [accepted_for(ending.accepted, setup.candidate.label, setup.baseline.label) for setup in comparisons.setups]
    print(f"run {run.directory}: {plain(comparisons.title)}, {counted(cells, 'cell')}, seed {comparisons.seed}")
    with stated(run) as is_done, resumable(run):
        settings = Settings(matrix=matrix, seed=comparisons.seed)
        engine, environments = (None, {}) if ready is None else (ready.engine, ready.environments)
        measured = measure(comparisons.setups, settings, run, engine, environments, print, budget)
        if not measured.out_of_time:
            is_done()
    manifest = run.manifest()
    today = datetime.datetime.now().astimezone().date()
    reports = []
    for setup, progress, agreed in zip(comparisons.setups, measured.progress, accepted, strict=True):
        caps = comparisons.caps(setup, manifest)
        reports.append(
            compose(
                setup,
                progress,
                judge(setup, progress, expected, today, caps, agreed),
                manifest,
                str(run.directory),
                seconds=measured.seconds,
                out_of_time=measured.out_of_time,
                stored=comparisons.stored,
                caps=caps,
            )
        )
    if bisect is not None and ready is not None:
        reports = bisected(bisect, reports, run, ready.engine.name)
    for setup, report in zip(comparisons.setups, reports, strict=True):
        _tell(setup, report, run, variables)
    worst = min((report.decision for report in reports), key=WORST_FIRST.index)
    code = max(report.exit_code(inconclusive_passes=ending.inconclusive_passes) for report in reports if report.decision == worst)
    # Who asked for a file, and did not get it, is not told that all is well.
    saved = _save_asked(comparisons, run, ending, out_of_time=measured.out_of_time)
    return code or saved


def _tell(setup: GateSetup, report: GateReport, run: Run, variables: Mapping[str, str]) -> None:
    """Write a comparison's outputs, and show its summary."""
    directory = outputs_of(setup, run.directory)
    unwritten = write_outputs(report, directory, Path(variables[STEP_SUMMARY]) if variables.get(STEP_SUMMARY) else None)
    print(summary(report, str(directory / MARKDOWN)))
    if setup.baseline == setup.candidate and not setup.stored:
        print(f"\n{calibration(report)}")
    if unwritten:
        print(unwritten, file=sys.stderr)


def _save_asked(comparisons: Comparisons, run: Run, ending: Ending, *, out_of_time: bool) -> int:
    """Write the baseline that was asked for; the exit code of a gate that passes: there is no file for a reason, or none can be written."""
    path = ending.save_baseline
    if path is None:
        return 0
    if out_of_time:
        print(f"no baseline was written to {path}: the time was up before all was measured", file=sys.stderr)
        return EXIT_CODES[Decision.INCONCLUSIVE]
    # Of an image beside itself, both sides are the image.
    itself = comparisons.setups[0].baseline == comparisons.candidate
    which = comparisons.candidate.label if itself else CANDIDATE
    try:
        _save(comparisons.stored.get(CANDIDATE) or read_run(run.directory, which), path)
    except OSError as error:
        # The verdict is not lost for it.
        print(f"the baseline cannot be written: {error}\n  next: --candidate {run.directory} --save-baseline FILE", file=sys.stderr)
        return INCOMPLETE
    return 0


def _save(stored: Stored, path: Path) -> None:
    write_baseline(path.absolute(), stored)
    rows = sum(map(len, stored.rows.values()))
    print(f"baseline {path}: {plain(stored.image.label)}, {counted(rows, 'row')} of {counted(len(stored.cells), 'cell')}")


def _show(setup: GateSetup) -> None:
    print(f"{plain(setup.candidate.label)} beside {plain(setup.baseline.label)}: {counted(len(setup.cells), 'cell')} (seed {setup.seed})")
    for side in setup.stored:
        print(f"{side}: measured before")
    for cell in setup.ids:
        print(f"  {cell}")
    for cell, why in setup.lost.items():
        print(f"lost: {cell}: {why}")
    for cell in setup.new:
        print(f"new: {cell}")
    procedure, cells = setup.procedure, len(setup.cells)
    print(
        f"at least {2 * procedure.looks[0] * cells} rows in {procedure.looks[0]} blocks of two launches, at most "
        f"{2 * (procedure.looks[-1] + procedure.confirm)} launches of a cell whose launches are not void"
    )
