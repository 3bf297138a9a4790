"""Going on with a run: what it was begun with is what it goes on with, and whatever ends it early names the way to go on."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matrix.config import Matrix
from matrix.engines.engine import Environment
from matrix.errors import RunNotFound, SelectionError, of_option
from matrix.options import selection_of
from matrix.overrides import LIMITS, matrix_of, option_of, require_effect, with_options
from matrix.plan import Plan, PlannedImage, Selection, choose_image, make_plan
from matrix.provenance import DONE, INTERRUPTED, RUNNING, harness_digest, plan_of, user_module_digests
from matrix.ready import Ready, make_ready
from matrix.store import Run, open_run


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run that is there, as its manifest has it."""

    directory: Path
    manifest: Mapping[str, Any]
    matrix: Matrix
    plan: Plan


def find_begun(options: argparse.Namespace) -> Begun:
    """The run that ``--resume`` names: a path, or a name under ``--results``. Raises RunNotFound, RunBusy, SelectionError."""
    directory: Path = options.resume if options.resume.exists() else options.results / options.resume
    if not directory.exists():
        raise RunNotFound(f"there is no run {options.resume}\n  next: name one of the directories under {options.results}/")
    # Before the run is opened: what a killed command left running must not write into it any more.
    with open_run(directory.absolute()) as probe:
        manifest = probe.manifest()
    plan = plan_of(manifest)
    begun_with = manifest["engine"]["name"]
    if options.engine not in ("auto", begun_with):
        raise SelectionError(
            f"the run was begun with the engine {begun_with}: rows of two engines do not belong together\n  next: leave --engine out"
        )
    return Begun(directory=directory.absolute(), manifest=manifest, matrix=matrix_of(manifest["matrix"]), plan=plan)


def require_same_options(begun: Begun, options: argparse.Namespace) -> None:
    """Options of measuring that are said again may say what the run was begun with, and nothing else. Raises SelectionError."""
    asked = with_options(begun.matrix, options)
    before, now = begun.matrix.run.model_dump(), asked.run.model_dump()
    changed = {option_of(name): _as_begun(name, before[name]) for name in before if before[name] != now[name]}
    images = tuple(dict.fromkeys(launch.image for launch in begun.plan.launches))
    for name in {image.name for image in images}:
        was, limits = begun.matrix.images[name], asked.images[name]
        changed |= {
            option_of(each): _as_begun(each, getattr(was.container, each))
            for each in LIMITS
            if getattr(was.container, each) != getattr(limits.container, each)
        }
        if was.base != limits.base:
            changed["--base"] = _as_begun("base", was.base)
    if changed:
        raise SelectionError(
            f"{', '.join(changed)}: {begun.directory} was begun {' and '.join(changed.values())}\n  next: leave it out, or start a new run"
        )
    _require_same_images(begun, images, options)
    require_effect(begun.matrix, begun.plan, options)
    selection = selection_of(options)
    if selection == Selection():
        return
    seed = begun.plan.seed if selection.seed is None else selection.seed
    plan = make_plan(begun.matrix, images, dataclasses.replace(selection, seed=seed))
    if _measured(plan) != _measured(begun.plan) or plan.seed != begun.plan.seed:
        raise SelectionError(
            f"{begun.directory} was begun with other cells, launches or another seed than{selection.told or ' these options choose'}\n"
            "  next: leave out what chooses them, or say all of it again that the run was begun with, or start a new run"
        )


def _as_begun(setting: str, value: object) -> str:
    is_without = value is False or value in (None, "", (), [], {})
    return f"without {option_of(setting)}" if is_without else f"with {setting} = {value}"


def _require_same_images(begun: Begun, images: Sequence[PlannedImage], options: argparse.Namespace) -> None:
    was = [image.label for image in images]
    with of_option("--image"):
        for text in getattr(options, "images", ()):
            if choose_image(text, begun.matrix, images[0].name).label not in was:
                raise SelectionError(f"{begun.directory} was begun with {', '.join(was)}\n  next: leave it out, or start a new run")


def _measured(plan: Plan) -> Counter[tuple[str, str]]:
    return Counter((launch.image.label, cell.id) for launch in plan.launches for cell in launch.cells)


def ready_again(begun: Begun, options: argparse.Namespace, source: Path, variables: Mapping[str, str]) -> Ready:
    """The engine and the images of a run that was begun. SelectionError where they, or the instrument, have changed since."""
    images = dict.fromkeys(launch.image for launch in begun.plan.launches)
    ready = make_ready(begun.plan, images, begun.matrix, begun.manifest["engine"]["name"], options, source, variables)
    _require_same(begun.manifest, begun.plan, ready.environments, source)
    return ready


def _require_same(manifest: Mapping[str, Any], plan: Plan, environments: Mapping[PlannedImage, Environment], source: Path) -> None:
    """A run is resumed with the instrument and the images that it was begun with, or not at all."""
    if manifest["harness_sha256"] != harness_digest(source):
        raise SelectionError(
            "the harness has changed since the run was begun: rows of two harnesses do not belong together\n  next: start a new run"
        )
    if manifest["user_modules"] != user_module_digests(plan):
        raise SelectionError("a workload's file has changed since the run was begun\n  next: start a new run")
    digests = {item["label"]: item["digest"] for item in manifest["images"]}
    for image, environment in environments.items():
        if digests[image.label] != environment.digest:
            raise SelectionError(f"the image {image.label} has changed since the run was begun\n  next: start a new run")


@contextlib.contextmanager
def stated(run: Run) -> Iterator[Callable[[], None]]:
    """While this lasts the manifest says that the run is running, whether it is new or goes on; then that it is done, where that was said by a
    call of what this yields, else that it was interrupted.
    """
    states = [INTERRUPTED]
    run.update_manifest(lambda manifest: manifest.update(state=RUNNING))
    try:
        yield lambda: states.append(DONE)
    finally:
        run.update_manifest(lambda manifest: manifest.update(state=states[-1]))


@contextlib.contextmanager
def resumable(run: Run) -> Iterator[None]:
    """Whatever ends a run early, what was measured is taken over and the way to go on is named."""
    try:
        yield
    except BaseException as error:
        # The launch has ended, unless the engine is lost: then it may still write, and the next start takes over.
        if isinstance(error, KeyboardInterrupt):
            run.collect()
        print(f"stopped; {run.kept()} rows are kept\n  next: --resume {run.directory}", file=sys.stderr)
        raise
