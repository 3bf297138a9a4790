"""kill -9 of the command, of the container, of the engine; Ctrl-C: nothing measured is lost, the rest is measured, nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pandas as pd
import pytest

from tests.integration.command import EAGER, bench, containers, lines_written, only_run, own, rows, start, wait_for

pytestmark = [pytest.mark.engine]
CELLS = (*own("Healthy", "Slow"), "--only", "micro/softmax", "--only", "micro/sort", *EAGER)
"""The first is measured at once, the second takes some seconds."""


@pytest.fixture
def options(build_options: list[str], image: str) -> list[str]:
    return ["--engine", "docker", *build_options]


def begin(tmp_path: Path, options: list[str], variables: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A run whose first row is written and whose second cell is being measured."""
    process = start(*options, *CELLS, results=tmp_path, variables=variables)
    wait_for(lambda: lines_written(tmp_path) or process.poll() is not None, what="the first row")
    assert process.poll() is None, process.communicate()[0]
    time.sleep(1)
    return process


def resume(tmp_path: Path, options: list[str], first_started_at: str, variables: dict[str, str] | None = None) -> str:
    """Resume, and check that the first row is the one that was there."""
    done = bench(*options, "--resume", str(only_run(tmp_path)), results=tmp_path, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    table = rows(only_run(tmp_path))
    assert list(table["status"]) == ["pass"] * 4
    assert table["started_at"].iloc[0] == first_started_at
    return done.stdout


def first_row(tmp_path: Path) -> str:
    """When the first row was measured, wherever it is yet."""
    (path,) = (path for path in tmp_path.glob("*/**/results.csv") if path.read_bytes().count(b"\n") > 1)
    return str(pd.read_csv(path)["started_at"].iloc[0])


def test_kill_9_of_the_command(tmp_path: Path, options: list[str], engine: docker.DockerClient) -> None:
    process = begin(tmp_path, options)
    process.kill()
    process.wait()
    assert containers(engine, tmp_path), "the container outlives the command"
    measured = first_row(tmp_path)
    out = resume(tmp_path, options, measured)
    assert "left by a command that was killed" in out
    assert containers(engine, tmp_path) == []


def test_kill_9_of_the_container(tmp_path: Path, options: list[str], engine: docker.DockerClient) -> None:
    process = begin(tmp_path, options)
    engine.containers.get(containers(engine, tmp_path)[0]).kill("SIGKILL")
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 4, out
    table = rows(only_run(tmp_path))
    assert list(table["status"]) == ["pass", "infra_error", "pass", "pass"], out
    assert "137" in table["reason"].iloc[1]
    assert containers(engine, tmp_path) == []
    out = resume(tmp_path, options, str(table["started_at"].iloc[0]))
    assert "3 of 4 rows are there, 1 infra_error" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_the_container_within_5_seconds_and_keeps_what_was_measured(
    tmp_path: Path, options: list[str], engine: docker.DockerClient, number: signal.Signals
) -> None:
    process = begin(tmp_path, options)
    asked = time.monotonic()
    process.send_signal(number)
    process.send_signal(number)
    out = process.communicate(timeout=60)[0]
    assert time.monotonic() - asked < 5
    assert process.returncode == 130, out
    assert containers(engine, tmp_path) == []
    run = only_run(tmp_path)
    assert len(rows(run)) == 1
    assert f"--resume {run}" in out
    if number == signal.SIGINT:
        resume(tmp_path, options, str(rows(run)["started_at"].iloc[0]))


@pytest.fixture
def private_engine(engine: docker.DockerClient, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    """A Docker engine of the test's own, with the image in it: one that may be killed."""
    if os.getuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("takes root and dockerd to start an engine that may be killed")
    private = PrivateEngine(tmp_path_factory.mktemp("engine"))
    private.start()
    save = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
    subprocess.run(["docker", "load"], stdin=save.stdout, env={**os.environ, **private.variables}, check=True, capture_output=True)
    assert save.wait() == 0
    yield private
    private.stop()


class PrivateEngine:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.variables = {"DOCKER_HOST": f"unix://{folder}/docker.sock"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folder = self._folder
        (folder / "docker.sock").unlink(missing_ok=True)
        # Pid files of a killed engine are stale, and name processes that may be zombies for ever where nobody reaps.
        for pid_file in ("docker.pid", "exec/containerd/containerd.pid"):
            (folder / pid_file).unlink(missing_ok=True)
        # Without a bridge of its own it would take away the host engine's: so in a network of its own.
        command = [
            "unshare",
            "--net",
            "dockerd",
            "--host",
            self.variables["DOCKER_HOST"],
            "--data-root",
            f"{folder}/data",
            "--exec-root",
            f"{folder}/exec",
        ]
        command += ["--pidfile", f"{folder}/docker.pid", "--bridge", "none", "--iptables=false", "--ip6tables=false"]
        self._process = subprocess.Popen(command, stdout=(folder / "log").open("ab"), stderr=subprocess.STDOUT, start_new_session=True)
        wait_for(self._answers, 60, f"dockerd: {folder}/log")

    def _answers(self) -> bool:
        done = subprocess.run(["docker", "version"], env={**os.environ, **self.variables}, capture_output=True, check=False)
        return done.returncode == 0

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=60)
        subprocess.run(
            ["sh", "-c", f"umount {self._folder}/data/overlay2/*/merged {self._folder}/exec/netns/* {self._folder}/data 2>/dev/null"],
            check=False,
        )
        shutil.rmtree(self._folder / "data", ignore_errors=True)


def test_kill_9_of_the_engine(tmp_path: Path, image: str, private_engine: PrivateEngine) -> None:
    options = ["--engine", "docker", "--image", f"docker://{image}"]
    process = begin(tmp_path, options, private_engine.variables)
    private_engine.kill()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 4, out
    assert "EngineLost" in out
    assert "--resume" in out
    assert "Traceback" not in out
    measured = first_row(tmp_path)
    private_engine.start()
    resume(tmp_path, options, measured, private_engine.variables)
    client = docker.DockerClient(base_url=private_engine.variables["DOCKER_HOST"])
    assert containers(client, tmp_path) == []
