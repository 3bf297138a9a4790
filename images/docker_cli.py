"""The command line of Docker or Podman, for what the docker SDK cannot do: BuildKit (docker/docker-py#2230).

Podman's service has no BuildKit, and its own client builds there: it knows the mounts and secrets of the Dockerfile.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.errors import BuilderMissing

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
PODMAN = "Podman Engine"
"""A component in the answer of Podman's ``version``."""
LAST_WITHOUT_BUILDX = 22
"""Up to this major version the client itself speaks BuildKit when DOCKER_BUILDKIT=1; later ones need the buildx plugin."""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A client that can build the Dockerfile."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    options: tuple[str, ...] = ("--progress", "plain")
    """Of the build, for an output that can be shown."""


def clients() -> list[str]:
    """All docker clients on the PATH, in its order: the first may lack buildx where a later one builds."""
    found = (shutil.which("docker", path=folder) for folder in os.get_exec_path())
    return list(dict.fromkeys(str(Path(client)) for client in found if client))


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a client's command to its end; output is text, and the exit code is the caller's to judge."""
    return subprocess.run(
        list(command), env={**os.environ, **(environment or {})}, text=True, capture_output=True, check=False, errors="replace"
    )


def engine_address() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS


def podman_client() -> tuple[str, ...] | None:
    """The command of Podman's client for the engine's address; None where there is no such client, or no Podman behind the address."""
    found = shutil.which("podman")
    if found is None:
        return None
    command = (found, "--url", engine_address())
    return command if run([*command, "version", "--format", "{{.Server.Version}}"]).returncode == 0 else None


def is_podman(client: str) -> bool:
    """Whether the engine that a docker client talks to is Podman, or the client is Podman's own by Docker's name (podman-docker)."""
    if "podman" in run([client, "--version"]).stdout.lower():
        return True
    return PODMAN in run([client, "version", "--format", "{{range .Server.Components}}{{.Name}},{{end}}"]).stdout.split(",")


def find_client() -> tuple[str, ...]:
    """The command of a client that can look at images and pull them. Raises BuilderMissing."""
    found = clients()
    if found:
        return (found[0],)
    podman = podman_client()
    if podman is None:
        raise BuilderMissing(
            "building an image needs the docker client, and none is on the PATH\n"
            "  next: install it (Debian: apt-get install docker.io), or measure without Docker: --engine local"
        )
    return podman


def find_builder() -> Builder:
    """The first client that can build. BuilderMissing says what each one lacks."""
    found = clients()
    if not found or is_podman(found[0]):
        podman = podman_client()
        if podman is not None:
            return Builder(command=(*podman, "build"), environment={}, options=())
        if found:
            raise BuilderMissing(
                f"the engine at {engine_address()} is Podman, which has no BuildKit, and there is no podman client on the PATH to build with\n"
                "  next: install it (Debian: apt-get install podman), name an image that is there (--image docker://REF), or take --engine local"
            )
    lacks = []
    for client in found:
        if run([client, "buildx", "version"]).returncode == 0:
            # --load: a builder in a container of its own would keep the image to itself.
            return Builder(command=(client, "buildx", "build", "--load"), environment={})
        version = run([client, "version", "--format", "{{.Client.Version}}"]).stdout.strip()
        major = version.partition(".")[0]
        if major.isdigit() and int(major) <= LAST_WITHOUT_BUILDX:
            return Builder(command=(client, "build"), environment={"DOCKER_BUILDKIT": "1"})
        lacks.append(f"  {client} is {version or 'of unknown version'} and has no buildx")
    what = "\n".join(lacks) or "  there is no docker client on the PATH"
    raise BuilderMissing(
        f"no Docker client here can build with BuildKit:\n{what}\n"
        "  next: install the buildx plugin (Debian: apt-get install docker-buildx), or take --engine local"
    )
