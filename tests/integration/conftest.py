"""A real Docker engine with the image in it, or a skip that says what is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from images.errors import UserError
from matrix.engines.docker import RUN_LABEL, connect
from tests.conftest import SOURCE


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
    """Of this test's runs: somebody else may be measuring on this engine."""
    yield
    found = engine.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True)
    assert [each for each in found if Path(each.labels[RUN_LABEL]).is_relative_to(tmp_path)] == []
