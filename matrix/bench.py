"""The verbs ``bench`` and ``image``: from options to a run directory and its page."""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from harness import catalog
from harness.choice import nearest
from harness.records import Status
from images.build import ensure_image
from matrix.batch_sizes import unknown_names
from matrix.config import Matrix
from matrix.engines.engine import Engine, Environment
from matrix.errors import INCOMPLETE, SelectionError, of_option
from matrix.options import selection_of
from matrix.outputs import kept_outputs
from matrix.overrides import require_effect, with_build_options, with_options
from matrix.plan import Plan, PlannedImage, Selection, choose_image, make_plan
from matrix.provenance import GATE, describe_run, user_module_digests
from matrix.ready import build_settings, make_ready, recipe
from matrix.resume import find_begun, ready_again, require_same_options, resumable, stated
from matrix.runner import Settings, require_caches, run_plan
from matrix.store import Run, create_run, new_name, open_run

MOST_LAUNCHES_TOLD = 30
MOST_TOLD = 3
"""Lines about one thing."""


def bench(options: argparse.Namespace, matrix: Matrix, source: Path, variables: Mapping[str, str]) -> int:
    """Measure and show. Returns the exit code: 0, or 4 where the engine kept cells from being measured."""
    matrix = with_options(matrix, options)
    if options.resume is not None:
        return _resume(options, source, variables)
    with of_option("--image"):
        named = [choose_image(text, matrix, options.image) for text in options.images]
    chosen = tuple(named or [choose_image(options.image, matrix, options.image)])
    selection = selection_of(options)
    plan = make_plan(matrix, chosen, selection)
    with of_option("--only", is_given=bool(selection.only)):
        user_module_digests(plan)
    require_effect(matrix, plan, options)
    _tell_unknown_sizes(selection, plan)
    if options.plan:
        _show(plan)
        return 0
    # Before anything is built: it says what cannot be compared.
    settings = Settings(matrix=matrix, seed=plan.seed, outputs=kept_outputs(matrix, plan))
    require_caches(matrix)
    _require_results(options.results)
    ready = make_ready(plan, chosen, matrix, options.engine, options, source, variables)
    manifest = describe_run(command=sys.argv, matrix=matrix, plan=plan, engine=ready.facts, environments=ready.environments, source=source)
    with create_run(options.results.absolute(), new_name(chosen[0].name), manifest) as run:
        return _measure(plan, settings, ready.engine, ready.environments, run, source)


def _resume(options: argparse.Namespace, source: Path, variables: Mapping[str, str]) -> int:
    begun = find_begun(options)
    if GATE in begun.manifest:
        raise SelectionError(f"{begun.directory} is a run of the gate\n  next: nox -s gate -- --resume {begun.directory}")
    experiment = begun.matrix.run.experiment
    if options.experiment not in (None, experiment):
        raise SelectionError(
            f"the run measures {experiment}: rows of two experiments do not belong together\n"
            f"  next: leave --experiment out, or start a new run for {options.experiment}"
        )
    require_same_options(begun, options)
    plan = begun.plan
    if options.plan:
        with open_run(begun.directory) as run:
            there = {(row.launch, row.cell) for row in run.rows() if row.status != Status.INFRA_ERROR}
        _show(_remaining(plan, there))
        return 0
    settings = Settings(matrix=begun.matrix, seed=plan.seed, outputs=kept_outputs(begun.matrix, plan))
    require_caches(begun.matrix)
    ready = ready_again(begun, options, source, variables)
    with open_run(begun.directory) as run:
        run.collect()
        again = run.forget(Status.INFRA_ERROR)
        done = len(run.finished())
        print(
            f"resuming {run.directory} of {', '.join(dict.fromkeys(launch.image.label for launch in plan.launches))}: "
            f"{done} of {plan.rows} rows are there" + (f", {again} infra_error rows are measured again" if again else "")
        )
        return _measure(plan, settings, ready.engine, ready.environments, run, source)


def _measure(
    plan: Plan, settings: Settings, engine: Engine, environments: Mapping[PlannedImage, Environment], run: Run, source: Path
) -> int:
    print(f"run {run.directory}: {plan.rows} rows, {len(plan.launches)} launches, seed {plan.seed}, engine {engine.name}")
    with stated(run) as is_done, resumable(run):
        run_plan(plan, settings, engine, environments, run, print)
        is_done()
    incomplete = sum(row.status == Status.INFRA_ERROR for row in run.rows())
    # The page is made by the next command of the house, from the files alone.
    shown = subprocess.run([sys.executable, "-m", "reports", str(run.directory)], cwd=source, check=False).returncode
    if incomplete:
        print(f"{incomplete} cells could not be measured (infra_error)\n  next: --resume {run.directory}", file=sys.stderr)
        return INCOMPLETE
    return shown


def build_image(options: argparse.Namespace, matrix: Matrix, source: Path) -> int:
    matrix = with_build_options(matrix, options)
    image = choose_image(options.image, matrix, options.image)
    if image.reference is not None:
        raise SelectionError(f"{image.label} is not built here\n  next: docker pull {image.reference}")
    built = ensure_image(recipe(image, matrix, source), build_settings(matrix))
    print(built.reference)
    return 0


def _require_results(folder: Path) -> None:
    """Raises SelectionError where no run can be written: before anything is built."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SelectionError(f"--results {folder}: no run can be written there: {error.strerror}\n  next: name another folder") from None


def _tell_unknown_sizes(selection: Selection, plan: Plan) -> None:
    names = unknown_names(selection.found_batch_sizes, (cell for launch in plan.launches for cell in launch.cells))
    for name in names[:MOST_TOLD]:
        print(f"--batch-size-file: no workload is named {name!r}{nearest(name, catalog.workload_names())}", file=sys.stderr)
    if len(names) > MOST_TOLD:
        print(f"--batch-size-file: and {len(names) - MOST_TOLD} more", file=sys.stderr)


def _remaining(plan: Plan, done: Collection[tuple[int, str]]) -> Plan:
    """Without the rows that are there, by launch and cell."""
    launches = (
        dataclasses.replace(launch, cells=tuple(cell for cell in launch.cells if (launch.index, cell.id) not in done))
        for launch in plan.launches
    )
    return dataclasses.replace(plan, launches=tuple(launch for launch in launches if launch.cells))


def _show(plan: Plan) -> None:
    for label, cells in {launch.image.label: launch.cells for launch in plan.launches}.items():
        print(f"image {label}: {len(cells)} cells")
        for cell in cells:
            print(f"  {cell.id}")
    for item in plan.excluded:
        print(f"excluded from {item.image}: {item.cell}: {item.reason}")
    order = [launch.image.label for launch in plan.launches]
    more = f", and {len(order) - MOST_LAUNCHES_TOLD} more" if len(order) > MOST_LAUNCHES_TOLD else ""
    print(f"{plan.rows} rows in {len(order)} launches: {', '.join(order[:MOST_LAUNCHES_TOLD])}{more} (seed {plan.seed})")
