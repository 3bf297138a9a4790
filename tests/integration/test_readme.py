"""The README's first command, on a fresh clone in a fresh environment, with each engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from matrix.engines.local import labelled
from matrix.store import is_abandoned
from tests.conftest import SOURCE
from tests.integration.command import lines_written, only_run, own, rows, wait_for

FILTER = ("-k", "softmax|sum_all", "--backend", "eager", "--backend", "inductor")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone, and an environment with nothing but nox in it."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run(["git", "clone", "--quiet", str(SOURCE), str(folder / "clone")], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    subprocess.run([str(folder / "venv" / "bin" / "pip"), "install", "--quiet", "nox"], check=True)
    return folder


def nox(fresh: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(fresh / "venv" / "bin" / "nox"), *arguments],
        cwd=fresh / "clone",
        env={**os.environ, **variables},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.local
def test_without_an_engine(fresh: Path, tmp_path: Path, build_options: list[str]) -> None:
    arguments = ("-s", "bench-cpu", "--", *FILTER, "--results", str(tmp_path), *build_options)
    done = nox(fresh, *arguments, DOCKER_HOST=f"unix://{fresh}/nothing.sock")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "engine: local, a virtual environment on this host (no Docker engine answers at" in done.stdout
    assert list(rows(only_run(tmp_path))["status"]) == ["pass"] * 4


@pytest.mark.engine
def test_with_an_engine(fresh: Path, tmp_path: Path, build_options: list[str], engine: docker.DockerClient) -> None:
    done = nox(fresh, "-s", "bench-cpu", "--", "--quick", "-k", "softmax eager|sum_all eager", "--results", str(tmp_path), *build_options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "engine: docker" in done.stdout
    assert list(rows(only_run(tmp_path))["status"]) == ["pass"] * 2
    assert "geomean" in done.stdout
    assert "report.html" in done.stdout
    accepted = nox(fresh, "-s", "accept", "--", str(only_run(tmp_path)), "--check")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert "cpu: 2 cells, as accepted" in accepted.stdout


@pytest.mark.local
def test_the_list_the_help_and_the_plan(fresh: Path) -> None:
    listed = nox(fresh, "-l").stdout
    for session in ("bench-cpu", "image-cpu", "report", "tests", "lint", "lock", "doctor", "overhead"):
        (line,) = (line for line in listed.splitlines() if line[2:].startswith((f"{session} ", f"{session} [")))
        assert "->" in line, "a session without a description"
    assert "--engine" in nox(fresh, "-s", "bench-cpu", "--", "--help").stdout
    plan = nox(fresh, "-s", "bench-cpu", "--", "--plan", "-k", "softmax (eager|inductor) ")
    assert "2 rows in 1 launches" in plan.stdout
    assert not (fresh / "clone" / "results").exists()


@pytest.mark.local
def test_kill_9_of_nox_leaves_nothing_running(fresh: Path, tmp_path: Path, build_options: list[str]) -> None:
    selected = [*own("Healthy", "Slow"), "--backend", "eager", "--engine", "local", "--quick", "--results", str(tmp_path)]
    command = [str(fresh / "venv" / "bin" / "nox"), "-s", "bench-cpu", "--", *selected, *build_options]
    with (tmp_path.parent / "out").open("w") as out:
        process = subprocess.Popen(command, cwd=fresh / "clone", stdout=out, stderr=out)
    wait_for(lambda: lines_written(tmp_path) or process.poll() is not None, 400, "the first row")
    assert process.poll() is None, (tmp_path.parent / "out").read_text()
    process.kill()
    process.wait()
    wait_for(lambda: not labelled(lambda run: run.parent == tmp_path), 20, "the launch to end")
    wait_for(lambda: is_abandoned(only_run(tmp_path)), 20, "the command to end")
    assert len(rows(only_run(tmp_path))) == 1


@pytest.mark.local
def test_mistakes_in_the_configuration_end_with_2(fresh: Path) -> None:
    file = fresh / "clone" / "matrix.toml"
    original = file.read_text()
    try:
        file.write_text(original.replace("launches = 1", "launchs = 1").replace('["micro"]', '["mikro"]'))
        done = nox(fresh, "-s", "bench-cpu", "--", "--plan")
        assert done.returncode == 2
        assert "matrix.toml:5: run.launchs: unknown key; did you mean 'launches'?" in done.stdout + done.stderr
        file.write_text("[run\n")
        assert "bench-cpu" in nox(fresh, "-l").stdout
        for content, message in (
            ("[run\n", "matrix.toml:1: not TOML"),
            ("images = [1]\n", "matrix.toml:1: images:"),
            ("", "matrix.toml:1: images: missing"),
        ):
            file.write_text(content)
            done = nox(fresh, "-s", "bench-cpu", "--", "--plan")
            assert done.returncode == 2
            assert message in done.stdout + done.stderr
            assert "Traceback" not in done.stdout + done.stderr
    finally:
        file.write_text(original)
