"""Build an image from its recipe with BuildKit, unless it is there already."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from images import docker_cli
from images.docker_cli import Builder
from images.errors import BuildFailed, PullFailed
from images.recipe import BuildSettings, Recipe, tag

LOG_LINES = 40
"""Lines of a failed build's output that the error shows."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Built:
    reference: str
    built: bool
    """False: it was there."""


def build_command(builder: Builder, recipe: Recipe, settings: BuildSettings, reference: str, context: Path) -> list[str]:
    """The argument list of a build. Pure: nothing is looked up."""
    command = [*builder.command, "--file", str(context / "Dockerfile"), "--tag", reference, *builder.options]
    command += ["--build-arg", f"BASE={recipe.base}"]
    labels = {
        "org.opencontainers.image.title": f"benchmatrix {recipe.label}",
        "org.opencontainers.image.version": recipe.version or reference.rpartition(":")[2],
        "org.opencontainers.image.base.name": recipe.base,
    }
    for name, value in labels.items():
        command += ["--label", f"{name}={value}"]
    if settings.network != "default":
        command += ["--network", settings.network]
    for name, path in (("ca_bundle", settings.ca_bundle), ("pip_config", settings.pip_config)):
        if path is not None:
            command += ["--secret", f"id={name},src={path}"]
    return [*command, str(context)]


def stage_context(recipe: Recipe, settings: BuildSettings, context: Path) -> None:
    """Lay out the build context: the recipe's files and the wheelhouse (empty where there is none), and nothing else."""
    shutil.copyfile(recipe.dockerfile, context / "Dockerfile")
    (context / "requirements.lock").write_bytes(recipe.read_lock())
    shutil.copyfile(recipe.smoke, context / "smoke.py")
    extras = context / "extras"
    extras.mkdir()
    locks = recipe.read_extra_locks()
    for extra in recipe.extras:
        (extras / f"{extra.name}.lock").write_bytes(locks[extra.name])
        shutil.copyfile(extra.smoke, extras / f"{extra.name}.py")
    wheelhouse = context / "wheelhouse"
    wheelhouse.mkdir()
    for wheel in sorted(settings.wheelhouse.glob("*.whl")) if settings.wheelhouse else ():
        try:
            os.link(wheel.resolve(), wheelhouse / wheel.name)
        except OSError:  # another file system
            shutil.copyfile(wheel, wheelhouse / wheel.name)


def ensure_image(recipe: Recipe, settings: BuildSettings, say: Say = print) -> Built:
    """The image of this recipe: the one that is there, or a new one.

    Raises BuilderMissing, PullFailed (the base), BuildFailed (with the end of the output), LockMissing.
    """
    client = docker_cli.find_client()
    reference = tag(recipe, _base_digest(client, recipe.base, say))
    if _inspect(client, reference) is not None:
        say(f"image {recipe.label}: {reference} is there")
        return Built(reference=reference, built=False)
    builder = docker_cli.find_builder()
    say(f"image {recipe.label}: building {reference} from {recipe.base} (some minutes)")
    with tempfile.TemporaryDirectory(prefix="benchmatrix-build-") as folder:
        context = Path(folder)
        stage_context(recipe, settings, context)
        done = docker_cli.run(build_command(builder, recipe, settings, reference, context), builder.environment)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-LOG_LINES:])
        raise BuildFailed(
            f"building the image {recipe.label} failed (exit code {done.returncode}); the end of its output:\n{tail}\n"
            f"{_likely(done.stdout + done.stderr)}"
        )
    return Built(reference=reference, built=True)


def _likely(output: str) -> str:
    """Why a build failed, and what to do next, by what it printed."""
    program = re.search(r"^.*failed: /build/(\S+\.py)$", output, re.MULTILINE)
    if program is not None:
        return (
            f"  likely: packages of the lock do not go together: {program[1]}, which does one real operation with them, failed\n"
            "  next: mend the lock (python -m matrix lock NAME), or the program, in images/"
        )
    return (
        "  likely: the package index cannot be reached from the build, or a wheel is missing\n"
        "  next: try --build-network host, --ca-bundle FILE, --pip-config FILE or --wheelhouse DIR; or measure without Docker: --engine local"
    )


def pull(client: Sequence[str], reference: str, say: Say) -> None:
    """Pull an image. PullFailed has the engine's words."""
    say(f"pulling {reference}")
    done = docker_cli.run([*client, "pull", "--quiet", reference])
    if done.returncode != 0:
        raise PullFailed(
            f"the image {reference} is not on this host and cannot be pulled: {done.stderr.strip()}\n"
            "  likely: no network, no such image, or a registry that wants a login\n"
            f"  next: docker pull {reference}; or name another base (--base REF); or measure without Docker: --engine local"
        )


def _base_digest(client: Sequence[str], base: str, say: Say) -> str:
    found = _inspect(client, base)
    if found is None:
        pull(client, base, say)
        found = _inspect(client, base)
    if found is None:
        raise PullFailed(f"{base} was pulled and is not there\n  next: docker image inspect {base}")
    return found


def _inspect(client: Sequence[str], reference: str) -> str | None:
    """The image's id (the hash of its configuration and layers); None where it is not on this host."""
    done = docker_cli.run([*client, "image", "inspect", "--format", "{{.Id}}", reference])
    if done.returncode == 0:
        # Podman's client leaves the name of the hash out; the tag must not depend on who was asked.
        return f"sha256:{done.stdout.strip().removeprefix('sha256:')}"
    if any(words in done.stderr.lower() for words in ("no such image", "image not known")):
        return None
    raise BuildFailed(f"docker image inspect {reference} failed: {done.stderr.strip()}\n  next: nox -s doctor")
