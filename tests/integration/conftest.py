"""A real Docker engine with the image in it, or a skip that says what is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from images.errors import UserError
from matrix.engines.docker import connect
from tests.conftest import SOURCE
from tests.integration.command import containers


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    try:
        return connect()
    except UserError as error:
        pytest.skip(f"no Docker engine: {str(error).splitlines()[0]}")


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient, build_options: list[str]) -> str:
    """The reference of the image cpu, built by its own command."""
    done = subprocess.run(
        [sys.executable, "-m", "matrix", "image", "cpu", *build_options], cwd=SOURCE, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture
def no_containers_left(engine: docker.DockerClient, tmp_path: Path) -> Iterator[None]:
    yield
    assert containers(engine, tmp_path) == []
