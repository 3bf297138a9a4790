"""Images that tests and benchmarks lay on top of another one: not recipes, which have a lock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from images import docker_cli

PLANTED = Path(__file__).resolve().parent / "planted"


def build_derived(folder: Path, reference: str, **arguments: str) -> str:
    """Build a folder with a Dockerfile and its build arguments; the reference. RuntimeError with the build's output."""
    builder = docker_cli.find_builder()
    words = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    done = docker_cli.run([*builder.command, *words, "--tag", reference, str(folder)], builder.environment)
    if done.returncode != 0:
        raise RuntimeError(f"building {reference} failed:\n{done.stdout}{done.stderr}")
    return reference


def build_planted(image: str, planted: Mapping[str, object], reference: str) -> str:
    """The image with something wrong on purpose, as ``tests/planted/planted.py`` reads it."""
    return build_derived(PLANTED, reference, BASE=image, PLANTED=json.dumps(planted))
