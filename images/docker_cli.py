"""The docker command line, for what the docker SDK cannot do: BuildKit (docker/docker-py#2230)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.errors import BuilderMissing

LAST_WITHOUT_BUILDX = 22
"""Up to this major version the client itself speaks BuildKit when DOCKER_BUILDKIT=1; later ones need the buildx plugin."""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A client that can build with BuildKit."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def clients() -> list[str]:
    """All docker clients on the PATH, in its order: the first may lack buildx where a later one builds."""
    found = (shutil.which("docker", path=folder) for folder in os.get_exec_path())
    return list(dict.fromkeys(str(Path(client)) for client in found if client))


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a client's command to its end; output is text, and the exit code is the caller's to judge."""
    return subprocess.run(
        list(command), env={**os.environ, **(environment or {})}, text=True, capture_output=True, check=False, errors="replace"
    )


def find_builder() -> Builder:
    """The first client that can build. BuilderMissing says what each one lacks."""
    found = clients()
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
