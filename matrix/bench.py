"""The verbs ``bench`` and ``image``: from options to a run directory and its page."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness import catalog
from harness.records import Status
from images.build import ensure_image
from images.recipe import BuildSettings, Recipe
from matrix.config import Image, Matrix
from matrix.engines.engine import Engine, Environment
from matrix.errors import INCOMPLETE, EngineForbidden, EngineMissing, RunNotFound, SelectionError
from matrix.options import selection_of
from matrix.plan import Plan, PlannedImage, choose_image, make_plan
from matrix.provenance import describe_run, harness_digest, plan_of, user_module_digests
from matrix.runner import Settings, run_plan
from matrix.store import Run, create_run, is_abandoned, open_run

QUICK = {"samples": 6, "interval_width": 1.0, "budget_seconds": 0.5, "energy_seconds": 0.0, "warm_compile": False, "ceilings": False}
"""Of ``[run]``, for ``--quick``."""
SIZES = "sizes"
"""Folder beside them, with what images are compressed."""
ENVIRONMENTS = Path(".nox") / "images"
"""Where the local engine keeps virtual environments, under the checkout."""


def bench(options: argparse.Namespace, matrix: Matrix, source: Path, variables: Mapping[str, str]) -> int:
    """Measure and show. Returns the exit code: 0, or 4 where the engine kept cells from being measured."""
    matrix = _with_options(matrix, options)
    if options.resume is not None:
        return _resume(options, source, variables)
    chosen = tuple(choose_image(text, matrix, options.image) for text in options.images) or (
        choose_image(options.image, matrix, options.image),
    )
    plan = make_plan(matrix, chosen, selection_of(options))
    user_module_digests(plan)
    if options.plan:
        _show(plan)
        return 0
    _require_mounts(matrix, chosen)
    engine, facts = choose_engine(options.engine, matrix, source, _environments(options, source), variables)
    _reap(engine)
    environments = _prepared(engine, plan, chosen)
    name = f"{datetime.datetime.now().astimezone():%Y%m%d-%H%M%S}-{chosen[0].name}-{secrets.token_hex(2)}"
    manifest = describe_run(command=sys.argv, matrix=matrix, plan=plan, engine=facts, environments=environments, source=source)
    with create_run(options.results.absolute(), name, manifest) as run:
        return _measure(plan, matrix, engine, environments, run, source)


def _require_mounts(matrix: Matrix, images: Iterable[PlannedImage]) -> None:
    for name in dict.fromkeys(image.name for image in images):
        for source in matrix.images[name].container.mounts:
            if not Path(source).exists():
                raise SelectionError(
                    f"images.{name}.container.mounts: there is no {source} on this host\n  next: make it, or take the mount out of matrix.toml"
                )


def _prepared(engine: Engine, plan: Plan, images: Iterable[PlannedImage]) -> dict[PlannedImage, Environment]:
    """Images ready to be started, with their sizes where these are among what is measured.

    What one image lacks on this host ends the command before another is built.
    """
    images = tuple(images)
    for image in images:
        engine.require(image)
    found = {image: engine.prepare(image) for image in images}
    sized = {launch.image for launch in plan.launches if any(cell.workload == catalog.IMAGE_SIZE for cell in launch.cells)}
    return {
        image: replace(environment, compressed_bytes=engine.compressed_bytes(environment)) if image in sized else environment
        for image, environment in found.items()
    }


def _resume(options: argparse.Namespace, source: Path, variables: Mapping[str, str]) -> int:
    directory = options.resume if options.resume.exists() else options.results / options.resume
    if not directory.exists():
        raise RunNotFound(f"there is no run {options.resume}\n  next: name one of the directories under {options.results}/")
    # Before the run is opened: what a killed command left running must not write into it any more.
    with open_run(directory.absolute()) as probe:
        manifest = probe.manifest()
    plan = plan_of(manifest)
    matrix = _checked(manifest["matrix"])
    begun_with = manifest["engine"]["name"]
    if options.engine not in ("auto", begun_with):
        raise SelectionError(
            f"the run was begun with the engine {begun_with}: rows of two engines do not belong together\n  next: leave --engine out"
        )
    engine, _ = choose_engine(begun_with, matrix, source, _environments(options, source), variables)
    _reap(engine)
    environments = _prepared(engine, plan, dict.fromkeys(launch.image for launch in plan.launches))
    _require_same(manifest, plan, environments, source)
    with open_run(directory.absolute()) as run:
        run.collect()
        again = run.forget(Status.INFRA_ERROR)
        done = len(run.finished())
        print(
            f"resuming {run.directory}: {done} of {plan.rows} rows are there"
            + (f", {again} infra_error rows are measured again" if again else "")
        )
        return _measure(plan, matrix, engine, environments, run, source)


def _measure(plan: Plan, matrix: Matrix, engine: Engine, environments: Mapping[PlannedImage, Environment], run: Run, source: Path) -> int:
    print(f"run {run.directory}: {plan.rows} rows, {len(plan.launches)} launches, seed {plan.seed}, engine {engine.name}")
    state = "interrupted"
    try:
        with _resumable(run):
            run_plan(plan, Settings(matrix=matrix, seed=plan.seed), engine, environments, run, print)
        state = "done"
    finally:
        run.update_manifest(lambda manifest: manifest.update(state=state))
    incomplete = sum(row.status == Status.INFRA_ERROR for row in run.rows())
    # The page is made by the next command of the house, from the files alone.
    shown = subprocess.run([sys.executable, "-m", "reports", str(run.directory)], cwd=source, check=False).returncode
    if incomplete:
        print(f"{incomplete} cells could not be measured (infra_error)\n  next: --resume {run.directory}", file=sys.stderr)
        return INCOMPLETE
    return shown


@contextlib.contextmanager
def _resumable(run: Run) -> Iterator[None]:
    """Whatever ends a run early, what was measured is taken over and the way to go on is named."""
    try:
        yield
    except BaseException as error:
        # The launch has ended, unless the engine is lost: then it may still write, and the next start takes over.
        if isinstance(error, KeyboardInterrupt):
            run.collect()
        print(f"stopped; {len(run.finished())} rows are kept\n  next: --resume {run.directory}", file=sys.stderr)
        raise


def build_image(options: argparse.Namespace, matrix: Matrix, source: Path) -> int:
    matrix = _with_build_options(matrix, options)
    image = choose_image(options.image, matrix, options.image)
    if image.reference is not None:
        raise SelectionError(f"{image.label} is not built here\n  next: docker pull {image.reference}")
    built = ensure_image(recipe(image, matrix, source), build_settings(matrix))
    print(built.reference)
    return 0


def _environments(options: argparse.Namespace, source: Path) -> Path:
    chosen: Path | None = options.environments
    return chosen.absolute() if chosen else source / ENVIRONMENTS


def choose_engine(
    name: str, matrix: Matrix, source: Path, environments: Path, variables: Mapping[str, str]
) -> tuple[Engine, dict[str, str]]:
    """The engine by name; ``auto`` takes Docker where it answers and may be used. Says which and why."""
    build = build_settings(matrix)

    def recipe_of(image: PlannedImage) -> Recipe:
        return recipe(image, matrix, source)

    def settings_of(image: PlannedImage) -> Image:
        return matrix.images[image.name]

    if name != "local":
        from matrix.engines.docker import DockerEngine, connect, describe

        try:
            client = connect()
        except (EngineMissing, EngineForbidden) as error:
            if name == "docker":
                raise
            why = str(error).partition("\n")[0]
        else:
            product = describe(client)
            asked = "it answers" if name == "auto" else "as asked"
            spoken = f"engine: docker {product.version}" if not product.podman else f"engine: docker, answered by podman {product.version}"
            print(f"{spoken} ({asked})")
            engine = DockerEngine(
                client,
                product=product,
                settings_of=settings_of,
                recipe_of=recipe_of,
                build=build,
                source=source,
                sizes=environments / SIZES,
            )
            return engine, {"name": "docker", **product.manifest()}
    else:
        why = "as asked"
    from matrix.engines.local import LocalEngine

    print(f"engine: local, a virtual environment on this host ({why})")
    path = variables.get("PATH", "/usr/bin:/bin")
    local = LocalEngine(settings_of=settings_of, recipe_of=recipe_of, build=build, environments=environments, source=source, path=path)
    return local, {"name": "local"}


def recipe(image: PlannedImage, matrix: Matrix, source: Path) -> Recipe:
    settings = matrix.images[image.name]
    folder = source / "images" / image.name
    return Recipe(
        name=image.name,
        version=image.version,
        base=settings.base,
        lock=folder / settings.lock_of(image.version),
        dockerfile=source / "images" / "Dockerfile",
        smoke=folder / "smoke.py",
    )


def build_settings(matrix: Matrix) -> BuildSettings:
    """The configuration's, with absolute paths. SelectionError for a file or folder that is not there."""
    build = matrix.build

    def existing(option: str, text: str | None) -> Path | None:
        if text is None:
            return None
        if not Path(text).exists():
            raise SelectionError(f"{option} {text}: there is no such file or folder")
        return Path(text).absolute()

    return BuildSettings(
        network=build.network,
        ca_bundle=existing("--ca-bundle", build.ca_bundle),
        pip_config=existing("--pip-config", build.pip_config),
        wheelhouse=existing("--wheelhouse", build.wheelhouse),
    )


def _with_options(matrix: Matrix, options: argparse.Namespace) -> Matrix:
    """The configuration with the command line's changes: what is in force, what the manifest has, and what a resumed run goes by."""
    changed: dict[str, Any] = _with_build_options(matrix, options).model_dump(mode="json")
    if options.quick:
        changed["run"] |= QUICK
    given = {"timeout_seconds": options.timeout, "cache": options.cache, "memory_snapshot": options.memory_snapshot}
    changed["run"] |= {name: value for name, value in given.items() if value is not None}
    limits = {"memory": options.memory, "gpus": options.gpus}
    for image in changed["images"].values():
        image["container"] |= {name: value for name, value in limits.items() if value is not None}
    return _checked(changed)


def _with_build_options(matrix: Matrix, options: argparse.Namespace) -> Matrix:
    changed: dict[str, Any] = matrix.model_dump(mode="json")
    if options.build_network is not None:
        changed["build"]["network"] = options.build_network
    for name in ("ca_bundle", "pip_config", "wheelhouse"):
        path: Path | None = getattr(options, name)
        if path is not None:
            changed["build"][name] = str(path.absolute())
    if options.base is not None:
        for image in changed["images"].values():
            image["base"] = options.base
    return _checked(changed)


def _checked(changed: dict[str, Any]) -> Matrix:
    try:
        return Matrix.model_validate_json(json.dumps(changed), context=changed)
    except ValidationError as error:
        texts = (f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
        raise SelectionError("\n".join(texts)) from None


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


def _reap(engine: Engine) -> None:
    for what in engine.reap(is_abandoned):
        print(f"ended {what}, left by a command that was killed")


def _show(plan: Plan) -> None:
    for label, cells in {launch.image.label: launch.cells for launch in plan.launches}.items():
        print(f"image {label}: {len(cells)} cells")
        for cell in cells:
            print(f"  {cell.id}")
    for item in plan.excluded:
        print(f"excluded from {item.image}: {item.cell}: {item.reason}")
    order = ", ".join(launch.image.label for launch in plan.launches)
    print(f"{plan.rows} rows in {len(plan.launches)} launches: {order} (seed {plan.seed})")
