"""What all tests share: no network unless a test is marked for it, and where the engine is."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_socket

# A busy machine is no failure: nothing here asserts how long anything takes.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

SOURCE = Path(__file__).resolve().parent.parent
OUTSIDE = ("engine", "browser", "local", "gpu")
"""Marks of tests that may talk to something outside of their process."""


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Unit tests reach neither network nor engine: a socket raises."""
    if any(request.node.get_closest_marker(mark) for mark in OUTSIDE):
        yield
        return
    pytest_socket.disable_socket()
    yield
    pytest_socket.enable_socket()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch's operators run in one thread, as many as before again afterwards."""
    torch = importlib.import_module("torch")  # by who asks for it alone: most tests need none
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def build_options() -> list[str]:
    """Options that building and installing need on this host, from BENCHMATRIX_TEST_BUILD: set by .ci/run, empty elsewhere."""
    return os.environ.get("BENCHMATRIX_TEST_BUILD", "").split()


@pytest.fixture(scope="session")
def environment_options() -> list[str]:
    """Where virtual environments are kept between runs of the tests, from BENCHMATRIX_TEST_ENVIRONMENTS; the default elsewhere."""
    folder = os.environ.get("BENCHMATRIX_TEST_ENVIRONMENTS")
    return ["--environments", folder] if folder else []


@pytest.fixture
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium on the PATH (Debian: apt-get install chromium)")
