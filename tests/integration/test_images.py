"""Building, on the real engine: what is built again after which change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from images.build import ensure_image
from images.errors import BuildFailed
from images.recipe import BuildSettings, Extra, Recipe
from tests.conftest import SOURCE

pytestmark = pytest.mark.engine
NAME = "test-layers"


@pytest.fixture
def recipe(engine: docker.DockerClient, image: str, tmp_path: Path) -> Iterator[Recipe]:
    """An image with an environment and nothing in it: it needs no index."""
    lock, smoke = tmp_path / "requirements.lock", tmp_path / "smoke.py"
    lock.write_text("# nothing\n")
    smoke.write_text("print('right')\n")
    base = engine.images.get(image).labels["org.opencontainers.image.base.name"]
    dockerfile = SOURCE / "images" / "Dockerfile"
    yield Recipe(name=NAME, version="", base=base, lock=lock, dockerfile=dockerfile, smoke=smoke)
    for found in engine.images.list(f"benchmatrix/{NAME}"):
        engine.images.remove(str(found.id), force=True)


def layers(engine: docker.DockerClient, reference: str) -> list[str]:
    found: list[str] = engine.images.get(reference).attrs["RootFS"]["Layers"]
    return found


def test_the_same_inputs_are_built_once(engine: docker.DockerClient, recipe: Recipe, tmp_path: Path) -> None:
    first = ensure_image(recipe, BuildSettings(), print)
    assert first.built
    assert ensure_image(recipe, BuildSettings(), print) == replace(first, built=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = replace(recipe, lock=elsewhere / "another.lock", smoke=elsewhere / "another.py")
    shutil.copy(recipe.lock, moved.lock)
    shutil.copy(recipe.smoke, moved.smoke)
    assert not ensure_image(moved, BuildSettings(), print).built, "what the files are called is no input"


def test_a_change_costs_the_layers_from_it_on(engine: docker.DockerClient, recipe: Recipe) -> None:
    base = layers(engine, recipe.base)
    before = layers(engine, ensure_image(recipe, BuildSettings(), print).reference)
    assert before[: len(base)] == base
    compiler, packages = len(base), len(base) + 1
    assert len(before) == packages + 3, "the compiler, the packages, the extras and the smoke test have a layer each"

    recipe.smoke.write_text("print('still right')\n")
    after = layers(engine, ensure_image(recipe, BuildSettings(), print).reference)
    assert after[: packages + 2] == before[: packages + 2], "another smoke test installs nothing"

    extra = Extra(name="none", lock=recipe.lock.with_name("none.lock"), smoke=recipe.lock.with_name("none.py"))
    extra.lock.write_text("# nothing\n")
    extra.smoke.write_text("print('right')\n")
    after = layers(engine, ensure_image(replace(recipe, extras=(extra,)), BuildSettings(), print).reference)
    assert after[: packages + 1] == before[: packages + 1], "an extra installs nothing of the image's own lock again"

    recipe.lock.write_text("# nothing else\n")
    after = layers(engine, ensure_image(recipe, BuildSettings(), print).reference)
    assert after[: compiler + 1] == before[: compiler + 1], "what comes before the lock is kept"
    assert after[packages] != before[packages]


def test_the_program_of_an_extra_imports_the_package_of_its_name(recipe: Recipe) -> None:
    extra = Extra(name="pip", lock=recipe.lock.with_name("pip.lock"), smoke=recipe.lock.with_name("pip.py"))
    extra.lock.write_text("# it is there\n")
    extra.smoke.write_text("import pip\nassert pip.__version__\n")
    assert ensure_image(replace(recipe, extras=(extra,)), BuildSettings(), print).built


def test_a_program_that_fails_is_named_and_not_the_index(recipe: Recipe) -> None:
    recipe.smoke.write_text("import nosuch\n")
    with pytest.raises(
        BuildFailed, match=r"(?s)No module named 'nosuch'.*likely: packages of the lock .* smoke\.py, .*next: mend the lock"
    ):
        ensure_image(recipe, BuildSettings(), print)
