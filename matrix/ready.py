"""An engine and images that are ready to be started: what every command that measures begins with."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness import catalog
from images.recipe import BuildSettings, Extra, Recipe
from matrix.config import EXTRAS, Image, Matrix
from matrix.engines.engine import Engine, Environment
from matrix.errors import EngineForbidden, EngineMissing, SelectionError
from matrix.plan import Plan, PlannedImage
from matrix.store import is_abandoned

SIZES = "sizes"
"""Folder beside the virtual environments, with what images are compressed."""
ENVIRONMENTS = Path(".nox") / "images"
"""Where the local engine keeps virtual environments, under the checkout."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    engine: Engine
    facts: Mapping[str, str]
    """Of the engine, for the manifest."""
    environments: Mapping[PlannedImage, Environment]


def make_ready(
    plan: Plan,
    images: Iterable[PlannedImage],
    matrix: Matrix,
    engine_name: str,
    options: argparse.Namespace,
    source: Path,
    variables: Mapping[str, str],
) -> Ready:
    """Choose the engine, end what killed commands left on it, and build, pull or install the images.

    plan: what is measured in them says what must be known of them. Raises a UserError that names the next command.
    """
    images = tuple(dict.fromkeys(images))
    _require_mounts(matrix, images)
    environments: Path = options.environments.absolute() if options.environments else source / ENVIRONMENTS
    engine, facts = choose_engine(engine_name, matrix, source, environments, variables)
    for what in engine.reap(is_abandoned):
        print(f"ended {what}, left by a command that was killed")
    return Ready(engine=engine, facts=facts, environments=_prepared(engine, plan, images))


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
    # Two images of one folder differ in how they are run, and are built once.
    name = settings.folder or image.name
    folder = source / "images" / name
    return Recipe(
        name=name,
        version=image.version,
        base=settings.base,
        lock=folder / settings.lock_of(image.version),
        dockerfile=source / "images" / "Dockerfile",
        smoke=folder / "smoke.py",
        extras=tuple(
            Extra(name=extra, lock=folder / f"{extra}.lock", smoke=source / "images" / EXTRAS / f"{extra}.py") for extra in settings.extras
        ),
    )


def build_settings(matrix: Matrix) -> BuildSettings:
    """The configuration's, with absolute paths. SelectionError for a file or folder that is not there."""
    build = matrix.build

    def existing(option: str, text: str | None, *, is_folder: bool = False) -> Path | None:
        if text is None:
            return None
        if not (Path(text).is_dir() if is_folder else Path(text).is_file()):
            raise SelectionError(f"{option} {text}: there is no such {'folder' if is_folder else 'file'}")
        return Path(text).absolute()

    return BuildSettings(
        network=build.network,
        ca_bundle=existing("--ca-bundle", build.ca_bundle),
        pip_config=existing("--pip-config", build.pip_config),
        wheelhouse=existing("--wheelhouse", build.wheelhouse, is_folder=True),
    )


def _require_mounts(matrix: Matrix, images: Iterable[PlannedImage]) -> None:
    for name in dict.fromkeys(image.name for image in images):
        for source in matrix.images[name].container.mounts:
            if not Path(source).exists():
                raise SelectionError(
                    f"images.{name}.container.mounts: there is no {source} on this host\n  next: make it, or take the mount out of matrix.toml"
                )


def _prepared(engine: Engine, plan: Plan, images: tuple[PlannedImage, ...]) -> dict[PlannedImage, Environment]:
    """Images ready to be started, with their sizes where these are among what is measured.

    What one image lacks on this host ends the command before another is built.
    """
    for image in images:
        engine.require(image)
    found = {image: engine.prepare(image) for image in images}
    sized = {launch.image for launch in plan.launches if any(cell.workload == catalog.IMAGE_SIZE for cell in launch.cells)}
    return {
        image: replace(environment, compressed_bytes=engine.compressed_bytes(environment)) if image in sized else environment
        for image, environment in found.items()
    }
