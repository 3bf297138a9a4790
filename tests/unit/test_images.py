"""Building: the argument lists, the tag as a hash of the inputs, and what stays out of it."""

from __future__ import annotations

import gzip
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from images.build import build_command, stage_context
from images.compressed import compressed_bytes
from images.docker_cli import Builder, find_builder
from images.errors import BuilderMissing, LockMissing
from images.lock import compile_command, is_fresh, packages
from images.recipe import BuildSettings, Extra, Recipe, tag
from images.virtualenv import environment_digest, install_command, install_variables
from matrix.config import load_matrix
from matrix.locks import all_locks
from matrix.plan import PlannedImage, choose_image
from matrix.ready import recipe as recipe_of
from tests.conftest import SOURCE

BUILDER = Builder(command=("docker", "build"), environment={"DOCKER_BUILDKIT": "1"})


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    for name in ("Dockerfile", "smoke.py", "requirements.lock"):
        (tmp_path / name).write_text(name)
    return Recipe(
        name="cpu",
        version="2.13",
        base="python:3.11",
        lock=tmp_path / "requirements.lock",
        dockerfile=tmp_path / "Dockerfile",
        smoke=tmp_path / "smoke.py",
    )


def test_the_same_inputs_have_the_same_tag(recipe: Recipe) -> None:
    assert tag(recipe, "sha256:1") == tag(recipe, "sha256:1")
    assert tag(recipe, "sha256:1").startswith("benchmatrix/cpu:2.13-")


@pytest.fixture
def extra(tmp_path: Path) -> Extra:
    for name in ("models.lock", "models.py"):
        (tmp_path / name).write_text(name)
    return Extra(name="models", lock=tmp_path / "models.lock", smoke=tmp_path / "models.py")


@pytest.mark.parametrize("name", ["Dockerfile", "smoke.py", "requirements.lock"])
def test_every_input_changes_the_tag(recipe: Recipe, name: str) -> None:
    before = tag(recipe, "sha256:1")
    (recipe.lock.parent / name).write_text("changed")
    assert tag(recipe, "sha256:1") != before


@pytest.mark.parametrize("name", ["models.lock", "models.py"])
def test_an_extra_and_every_input_of_it_changes_the_tag(recipe: Recipe, extra: Extra, name: str) -> None:
    with_it = replace(recipe, extras=(extra,))
    before = tag(with_it, "sha256:1")
    assert before != tag(recipe, "sha256:1")
    (recipe.lock.parent / name).write_text("changed")
    assert tag(with_it, "sha256:1") != before


def test_a_missing_lock_of_an_extra_names_the_command_that_makes_it(recipe: Recipe, extra: Extra) -> None:
    extra.lock.unlink()
    with pytest.raises(LockMissing, match="nox -s lock -- cpu/models"):
        tag(replace(recipe, extras=(extra,)), "sha256:1")


def test_the_extras_of_the_configuration_are_the_images() -> None:
    matrix = load_matrix(SOURCE / "matrix.toml")
    recipes = [recipe_of(choose_image(text, matrix, text), matrix, SOURCE) for text in ("inductor-cuda@2.15", "inductor-cuda@2.14")]
    first, second = ([extra.lock for extra in recipe.extras] for recipe in recipes)
    folder = SOURCE / "images" / "inductor-cuda"
    assert first == second == [folder / "huggingface.lock", folder / "timm.lock"], "what an extra adds is the same for every version"
    locks = recipes[0].read_extra_locks()
    assert (locks["huggingface"].count(b"transformers=="), locks["timm"].count(b"timm==")) == (1, 1)


def test_a_lock_of_an_extra_has_what_the_image_does_not_have() -> None:
    """What is installed second leaves what was installed first as it is."""
    for lock in all_locks(load_matrix(SOURCE / "matrix.toml"), SOURCE):
        if lock.beside is not None:
            assert not packages(lock.target.read_text()) & packages(lock.beside.read_text())


def test_what_two_extras_have_is_of_one_version() -> None:
    """What is installed last would change what was installed before it."""
    for name, image in load_matrix(SOURCE / "matrix.toml").images.items():
        locked: dict[str, set[str]] = {}
        for extra in image.extras:
            for line in (SOURCE / "images" / (image.folder or name) / f"{extra}.lock").read_text().splitlines():
                if "==" in line and not line.startswith(("#", "-")):
                    package, _, version = line.partition(" ;")[0].partition("==")
                    locked.setdefault(package, set()).add(version)
        assert [package for package, versions in locked.items() if len(versions) > 1] == []


def test_a_base_that_moved_changes_the_tag(recipe: Recipe) -> None:
    assert len({tag(recipe, "sha256:1"), tag(recipe, "sha256:2"), tag(replace(recipe, base="other"), "sha256:1")}) == 3


def test_the_harness_is_no_input_of_an_image(tmp_path: Path) -> None:
    """It is mounted: after a change of it there is nothing to build."""
    for folder in ("images", "harness"):
        shutil.copytree(SOURCE / folder, tmp_path / folder)
    matrix = load_matrix(SOURCE / "matrix.toml")
    found = []
    for text in ("", "# changed\n"):
        (tmp_path / "harness" / "worker.py").write_text(text)
        found.append(tag(recipe_of(PlannedImage(name="cpu"), matrix, tmp_path), "sha256:1"))
    assert found[0] == found[1]


def test_versions_of_an_image_are_images_of_their_own() -> None:
    matrix = load_matrix(SOURCE / "matrix.toml")
    recipes = {text: recipe_of(choose_image(text, matrix, text), matrix, SOURCE) for text in ("inductor-cuda", "inductor-cuda@2.14")}
    assert recipes["inductor-cuda"].lock.name == "2.15.lock", "the first version is the default"
    assert recipes["inductor-cuda@2.14"].lock.name == "2.14.lock"
    tags = {tag(recipe, "sha256:1") for recipe in recipes.values()}
    assert len(tags) == 2
    assert any(found.startswith("benchmatrix/inductor-cuda:2.14-") for found in tags)


def test_podman_is_given_no_option_that_only_buildkit_knows() -> None:
    podman = Builder(command=("podman", "--url", "unix:///p.sock", "build"), environment={}, options=())
    recipe = Recipe(name="cpu", version="", base="python:3.11", lock=Path("l"), dockerfile=Path("d"), smoke=Path("s"))
    command = build_command(podman, recipe, BuildSettings(), "benchmatrix/cpu:abc", Path("/context"))
    assert command[:4] == ["podman", "--url", "unix:///p.sock", "build"]
    assert "--progress" not in command


@pytest.mark.parametrize(
    "says",
    [
        "case $1 in --version) echo Docker version 28.2.2 ;; *) echo 'Podman Engine,Conmon,' ;; esac",  # a Docker client at Podman's socket
        "echo podman version 4.3.1",  # the package podman-docker
    ],
)
def test_podman_without_its_client_is_named_with_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    client = tmp_path / "docker"
    client.write_text(f"#!/bin/sh\n{says}\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///p.sock")
    with pytest.raises(BuilderMissing, match=r"unix:///p.sock is Podman(.|\n)*apt-get install podman"):
        find_builder()


def test_the_build_command_has_every_setting_and_no_secret_as_an_argument() -> None:
    settings = BuildSettings(network="host", ca_bundle=Path("/ca.pem"), pip_config=Path("/pip.conf"))
    recipe = Recipe(name="cpu", version="", base="python:3.11", lock=Path("l"), dockerfile=Path("d"), smoke=Path("s"))
    assert build_command(BUILDER, recipe, settings, "benchmatrix/cpu:abc", Path("/context")) == [
        *("docker", "build", "--file", "/context/Dockerfile", "--tag", "benchmatrix/cpu:abc", "--progress", "plain"),
        *("--build-arg", "BASE=python:3.11"),
        *("--label", "org.opencontainers.image.title=benchmatrix cpu"),
        *("--label", "org.opencontainers.image.version=abc"),
        *("--label", "org.opencontainers.image.base.name=python:3.11"),
        *("--network", "host"),
        *("--secret", "id=ca_bundle,src=/ca.pem"),
        *("--secret", "id=pip_config,src=/pip.conf"),
        "/context",
    ]


def test_the_context_is_the_inputs_and_the_wheels_and_nothing_else(recipe: Recipe, tmp_path: Path) -> None:
    wheels, context = tmp_path / "wheels", tmp_path / "context"
    wheels.mkdir()
    context.mkdir()
    (wheels / "torch.whl").write_text("wheel")
    (wheels / "secrets.txt").write_text("no wheel")
    stage_context(recipe, BuildSettings(wheelhouse=wheels), context)
    assert sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()) == [
        "Dockerfile",
        "requirements.lock",
        "smoke.py",
        "wheelhouse/torch.whl",
    ]
    assert (context / "extras").is_dir()


def test_extras_are_in_the_context_by_their_names(recipe: Recipe, extra: Extra, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    stage_context(replace(recipe, extras=(extra,)), BuildSettings(), context)
    assert sorted(path.name for path in (context / "extras").iterdir()) == ["models.lock", "models.py"]


def test_a_missing_lock_names_the_command_that_makes_it(recipe: Recipe) -> None:
    recipe.lock.unlink()
    with pytest.raises(LockMissing, match="nox -s lock"):
        recipe.read_lock()


def test_installing_takes_indexes_or_the_wheelhouse() -> None:
    python, lock = Path("/env/bin/python"), Path("/lock")
    assert "--no-index" not in install_command(python, lock, BuildSettings())
    command = install_command(python, lock, BuildSettings(wheelhouse=Path("/wheels")))
    assert command[-5:] == ["--no-index", "--find-links", "/wheels", "--requirement", "/lock"]
    assert install_variables(BuildSettings(pip_config=Path("/p"), ca_bundle=Path("/c"))) == {"PIP_CONFIG_FILE": "/p", "PIP_CERT": "/c"}


def test_another_lock_is_another_environment() -> None:
    assert environment_digest(b"torch==1") != environment_digest(b"torch==2")
    assert environment_digest(b"torch==1") != environment_digest(b"torch==1", b"transformers==5")


def test_wheels_take_the_place_of_extra_indexes_when_locking() -> None:
    with_index = compile_command(Path("r.in"), indexes=["https://index"], find_links=None, constraints=())
    assert with_index[-3:] == ["--extra-index-url", "https://index", "r.in"]
    with_wheels = compile_command(Path("r.in"), indexes=["https://index"], find_links=Path("/w"), constraints=())
    assert "https://index" not in with_wheels


@pytest.mark.parametrize("lock", all_locks(load_matrix(SOURCE / "matrix.toml"), SOURCE), ids=lambda lock: lock.name)
def test_locks_are_fresh(lock: object) -> None:
    from matrix.locks import Lock

    assert isinstance(lock, Lock)
    assert is_fresh(lock.source, lock.target, indexes=lock.indexes, constraints=lock.constraints), f"run: nox -s lock -- {lock.name}"


def test_the_cpu_lock_brings_the_cpu_build() -> None:
    text = (SOURCE / "images" / "cpu" / "requirements.lock").read_text()
    assert "torch==2.13.0+cpu ; sys_platform == 'linux'" in text
    assert "nvidia" not in text
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in text


@pytest.mark.parametrize("chunk", [1000, 1 << 20, 9 << 20])
def test_the_compressed_size_is_gzips(chunk: int) -> None:
    generator = random.Random(0)
    words = [generator.randbytes(generator.randint(2, 20)) for _ in range(2000)]
    data = b"".join(generator.choice(words) for _ in range(800_000))
    chunks = [data[start : start + chunk] for start in range(0, len(data), chunk)]
    assert compressed_bytes(chunks) == pytest.approx(len(gzip.compress(data, 6)), rel=0.01)
    assert compressed_bytes([]) == 0
