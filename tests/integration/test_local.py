"""The local engine: the same harness and files in a virtual environment, and the same promises when things die."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from matrix.engines.local import labelled
from tests.integration.command import EAGER, bench, lines_written, only_run, own, rows, start, statuses, wait_for

pytestmark = [pytest.mark.local]
CELLS = (*own("Healthy", "Slow"), "--only", "micro/softmax", *EAGER)


@pytest.fixture
def options(build_options: list[str], environment_options: list[str]) -> list[str]:
    return ["--engine", "local", *build_options, *environment_options]


def begin(tmp_path: Path, options: list[str]) -> subprocess.Popen[str]:
    process = start(*options, *CELLS, results=tmp_path)
    wait_for(lambda: lines_written(tmp_path) or process.poll() is not None, 400, what="the first row")
    assert process.poll() is None, process.communicate()[0]
    return process


def of_run(tmp_path: Path) -> list[int]:
    return labelled(lambda run: run.parent == tmp_path)


def test_what_goes_wrong_has_its_status_here_too(tmp_path: Path, options: list[str]) -> None:
    expected = {
        "Segfault eager": "crash:SIGSEGV",
        "Exit eager": "crash:exit3",
        "Endless eager": "timeout",
        "Raises eager": "eager_fail_to_run",
        "KillsItsLaunch eager": "infra_error",
        "Healthy eager": "pass",
    }
    done = bench(*options, *own(*(name.split()[0] for name in expected)), *EAGER, "--timeout", "8", results=tmp_path)
    assert statuses(only_run(tmp_path)) == expected, done.stdout + done.stderr
    assert "engine: local" in done.stdout
    assert of_run(tmp_path) == []
    assert subprocess.run(["pgrep", "-f", "endless-child"], check=False, capture_output=True).returncode == 1


def test_kill_9_of_the_command_ends_its_launch(tmp_path: Path, options: list[str]) -> None:
    process = begin(tmp_path, options)
    process.kill()
    process.wait()
    wait_for(lambda: not of_run(tmp_path), 10, "the launch's processes to end by themselves")
    done = bench(*options, "--resume", only_run(tmp_path).name, results=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(rows(only_run(tmp_path))["status"]) == ["pass"] * 3
    assert "1 of 3 rows are there" in done.stdout


def test_kill_9_of_the_launch_costs_one_cell(tmp_path: Path, options: list[str]) -> None:
    process = begin(tmp_path, options)
    time.sleep(1)
    (launch,) = (
        pid for pid in of_run(tmp_path) if b"--stop-with-stdin" in Path(f"/proc/{pid}/cmdline").read_bytes() and _parent(pid) == process.pid
    )
    os.kill(launch, signal.SIGKILL)
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 4, out
    assert list(rows(only_run(tmp_path))["status"]) == ["pass", "infra_error", "pass"]
    assert of_run(tmp_path) == []


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_an_interrupt_ends_the_launch_and_keeps_what_was_measured(tmp_path: Path, options: list[str]) -> None:
    process = begin(tmp_path, options)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=60)[0]
    assert time.monotonic() - asked < 5
    assert process.returncode == 130, out
    assert len(rows(only_run(tmp_path))) == 1
    assert of_run(tmp_path) == []


def test_processes_of_a_run_that_nobody_has_open_are_ended_at_the_next_start(tmp_path: Path, options: list[str]) -> None:
    orphan = subprocess.Popen(["sleep", "300"], env={**os.environ, "BENCHMATRIX_RUN": str(tmp_path / "gone")}, start_new_session=True)
    done = bench(*options, "-k", "sum_all eager", results=tmp_path)
    assert orphan.wait(timeout=5) == -signal.SIGKILL
    assert f"ended process {orphan.pid}" in done.stdout


def test_a_folder_that_cannot_be_written_is_no_traceback(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "file").write_text("")
    done = bench(*options, "-k", "sum_all", results=tmp_path / "file")
    assert done.returncode == 2
    assert "--results" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_goes_on_with_the_engine_that_began_it(tmp_path: Path, options: list[str]) -> None:
    bench(*options, "-k", "sum_all eager", results=tmp_path)
    done = bench("--engine", "docker", "--resume", str(only_run(tmp_path)), results=tmp_path)
    assert done.returncode == 2
    assert "begun with the engine local" in done.stderr


def test_an_image_by_reference_needs_docker(tmp_path: Path, options: list[str]) -> None:
    done = bench(*options, "--image", "docker://python:3.11", results=tmp_path)
    assert done.returncode == 2
    assert "--engine docker" in done.stderr
