"""``nox -s gate``: from options to a run directory, a report and an exit code."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from matrix.config import Matrix
from matrix.errors import SelectionError
from matrix.options import selection_of
from matrix.overrides import with_options
from matrix.plan import Plan
from matrix.provenance import GATE, describe_run, user_module_digests
from matrix.ready import Ready, make_ready
from matrix.resume import Begun, find_begun, ready_again, resumable
from matrix.runner import Settings
from matrix.store import Run, create_run, new_name, open_run
from reports.gate.bisecting import BISECT, Bisect, bisected, make_bisect
from reports.gate.blocks import plan_block
from reports.gate.calibration import calibration
from reports.gate.compose import cap_of, compose
from reports.gate.expected import load_expected
from reports.gate.judge import judge
from reports.gate.measure import Budget, measure
from reports.gate.options import choose_sides
from reports.gate.outputs.terminal import summary
from reports.gate.outputs.write import MARKDOWN, write_outputs
from reports.gate.setup import BASELINE, CANDIDATE, GateSetup, make_setup

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Variable that names the file of a step's summary."""


def gate(options: argparse.Namespace, matrix: Matrix, source: Path, variables: Mapping[str, str], budget: Budget) -> int:
    """Compare two images, or go on with it. Returns the exit code of the decision; raises a UserError where there is none."""
    if options.resume is not None:
        return _resume(options, source, variables, budget)
    matrix = with_options(matrix, options)
    setup = make_setup(matrix, *choose_sides(options, matrix), selection_of(options))
    bisect = make_bisect(setup, matrix, options, source, variables, budget) if options.bisect else None
    # The first block is all there is to plan: what comes after it is decided by its rows.
    plan = Plan(seed=setup.seed, launches=plan_block(setup, 0, np.ones(len(setup.cells), dtype=bool)))
    user_module_digests(plan)
    if options.plan:
        _show(setup)
        return 0
    ready = make_ready(plan, (setup.baseline, setup.candidate), matrix, options.engine, options, source, variables)
    manifest = describe_run(command=sys.argv, matrix=matrix, plan=plan, engine=ready.facts, environments=ready.environments, source=source)
    about = {BASELINE: setup.baseline.label, CANDIDATE: setup.candidate.label, "lost": setup.lost, "new": setup.new, BISECT: options.bisect}
    with create_run(options.results.absolute(), new_name(f"gate-{setup.candidate.name}"), {**manifest, GATE: about}) as run:
        return _decide(setup, matrix, ready, run, options, variables, budget, bisect)


def _resume(options: argparse.Namespace, source: Path, variables: Mapping[str, str], budget: Budget) -> int:
    begun = find_begun(options)
    setup = setup_again(begun)
    for name, image in ((BASELINE, setup.baseline), (CANDIDATE, setup.candidate)):
        if getattr(options, name) not in (None, image.label):
            raise SelectionError(f"the {name} of {begun.directory} is {image.label}\n  next: leave --{name} out")
    asked = options.bisect or begun.manifest[GATE].get(BISECT)
    bisect = make_bisect(setup, begun.matrix, options, source, variables, budget) if asked else None
    ready = ready_again(begun, options, source, variables)
    with open_run(begun.directory) as run:
        run.collect()
        print(f"resuming {run.directory}: {len(run.finished())} rows are there")
        return _decide(setup, begun.matrix, ready, run, options, variables, budget, bisect)


def setup_again(begun: Begun) -> GateSetup:
    """What a run of the gate compares. SelectionError for another run."""
    about = begun.manifest.get(GATE)
    if about is None:
        raise SelectionError(f"{begun.directory} is no run of the gate\n  next: nox -s bench-NAME -- --resume {begun.directory}")
    first = {launch.side: launch for launch in begun.plan.launches[:2]}
    return GateSetup(
        baseline=first[BASELINE].image,
        candidate=first[CANDIDATE].image,
        cells=first[BASELINE].cells,
        lost=about["lost"],
        new=tuple(about["new"]),
        gate=begun.matrix.gate,
        seed=begun.plan.seed,
    )


def _decide(
    setup: GateSetup,
    matrix: Matrix,
    ready: Ready,
    run: Run,
    options: argparse.Namespace,
    variables: Mapping[str, str],
    budget: Budget,
    bisect: Bisect | None,
) -> int:
    """Measure, judge, find what did it where that is asked for, write and show."""
    # Its mistakes are told before hours of measuring, not after.
    expected = load_expected(options.config.absolute().parent / matrix.gate.expected_failures, matrix.images)
    print(f"run {run.directory}: {setup.candidate.label} beside {setup.baseline.label}, {len(setup.cells)} cells, seed {setup.seed}")
    state = "interrupted"
    try:
        with resumable(run):
            settings = Settings(matrix=matrix, seed=setup.seed)
            measured = measure(setup, settings, run, ready.engine, ready.environments, print, budget)
        state = "interrupted" if measured.out_of_time else "done"
    finally:
        run.update_manifest(lambda manifest: manifest.update(state=state))
    manifest = run.manifest()
    capped = cap_of(manifest)
    judged = judge(setup, measured.progress, expected, datetime.datetime.now().astimezone().date(), capped)
    report = compose(setup, measured, judged, manifest, str(run.directory), capped)
    report = bisected(bisect, report, run, ready.engine.name)
    unwritten = write_outputs(report, run.directory, Path(variables[STEP_SUMMARY]) if variables.get(STEP_SUMMARY) else None)
    print(summary(report, str(run.directory / MARKDOWN)))
    if setup.baseline == setup.candidate:
        print(f"\n{calibration(report)}")
    if unwritten:
        print(unwritten, file=sys.stderr)
    if measured.out_of_time:
        print(f"  next: --resume {run.directory}, with more --max-duration", file=sys.stderr)
    return report.exit_code(inconclusive_passes=options.inconclusive == "pass")


def _show(setup: GateSetup) -> None:
    print(f"{setup.candidate.label} beside {setup.baseline.label}: {len(setup.cells)} cells (seed {setup.seed})")
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
