"""Run the command as a user does, and read what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
import pandas as pd

from matrix.engines.docker import RUN_LABEL
from tests.conftest import SOURCE

FAULTY = SOURCE / "tests" / "faulty_workloads.py"
EAGER = ("--backend", "eager")
FULL = "full"


def own(*classes: str) -> list[str]:
    """Options that select workloads of tests/faulty_workloads.py."""
    return [option for name in classes for option in ("--only", f"path:{FAULTY}:{name}")]


def command(*arguments: str, config: Path = SOURCE / "matrix.toml", session: str = "cpu") -> list[str]:
    """Quick, but where the arguments say FULL: what these tests are about is not how sure a number is."""
    chosen = [argument for argument in arguments if argument != FULL]
    return [sys.executable, "-m", "matrix", "--config", str(config), "bench", session, *chosen, *([] if FULL in arguments else ["--quick"])]


def bench(
    *arguments: str,
    results: Path,
    variables: Mapping[str, str] | None = None,
    config: Path = SOURCE / "matrix.toml",
    session: str = "cpu",
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(*arguments, config=config, session=session), "--results", str(results)],
        cwd=SOURCE,
        env={**os.environ, **(variables or {})},
        text=True,
        capture_output=True,
        check=False,
        timeout=600,
    )


def start(*arguments: str, results: Path, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command(*arguments), "--results", str(results)],
        cwd=SOURCE,
        env={**os.environ, **(variables or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def containers(engine: docker.DockerClient, results: Path) -> list[str]:
    """Of the runs there: somebody else may be measuring on this engine."""
    found = engine.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True)
    return [each.id for each in found if each.id and Path(each.labels[RUN_LABEL]).is_relative_to(results)]


def only_run(results: Path) -> Path:
    (found,) = results.iterdir()
    return found


def rows(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "results.csv").set_index("cell", drop=False)


def statuses(run: Path) -> dict[str, str]:
    """Status by ``workload backend``, of a run in which that is unique."""
    table = rows(run)
    found = {
        f"{name.partition('/')[2].rpartition(':')[2]} {backend}": status
        for name, backend, status in zip(table["name"], table["backend"], table["status"], strict=True)
    }
    assert len(found) == len(table), "a cell has two rows"
    return found


def wait_for(condition: Callable[[], object], seconds: float = 90.0, what: str = "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what or condition}"
        time.sleep(0.1)


def lines_written(results: Path) -> int:
    """Rows on disk, collected or not."""
    return sum(max(0, path.read_bytes().count(b"\n") - 1) for path in results.glob("*/**/results.csv"))
