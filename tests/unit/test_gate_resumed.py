"""A gate that has ended says the same when it is resumed, whatever it compares."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cell import Cell
from matrix.plan import PlannedImage
from tests.fake_engine import Played, PlayedEngine
from tests.unit.gate_runs import NEW
from tests.unit.test_gate_command import BOTH, Run, engine, run

__all__ = ["engine", "run"]

SLICES = 8


def in_turns(image: PlannedImage, cell: Cell, launch: int) -> Played:
    """Launches whose levels tell nothing, and whose slices tell all: the candidate's softmax is a fifth slower."""
    if "gather" in cell.id and image == NEW:
        return Played(status="crash:SIGSEGV", reason="signal 11")
    machine = random.Random(f"{launch // 2} {cell.id}")
    slower = 1.2 if image == NEW and "softmax" in cell.id else 1.0
    seconds = " ".join(f"{1e-3 * slower * machine.uniform(1, 2):.6g}" for _ in range(SLICES))
    return Played(noise=0.4, columns={"backend_slice_seconds": seconds})


def live(results: Path, run: Run) -> tuple[str, ...]:
    return BOTH


def both_stored(results: Path, run: Run) -> tuple[str, ...]:
    run(*BOTH)
    (directory,) = results.iterdir()
    return ("--baseline", f"{directory}#baseline", "--candidate", f"{directory}#candidate")


def stored_baseline(results: Path, run: Run) -> tuple[str, ...]:
    return (*both_stored(results, run)[:2], "--candidate", "cpu@new")


def stored_candidate(results: Path, run: Run) -> tuple[str, ...]:
    return ("--baseline", "cpu@old", *both_stored(results, run)[2:])


def baseline_file(results: Path, run: Run) -> tuple[str, ...]:
    path = results.parent / "release.json"
    run("--calibrate", "cpu@old", "--save-baseline", str(path))
    return ("--baseline", str(path), "--candidate", "cpu@new")


def anchor(results: Path, run: Run) -> tuple[str, ...]:
    return (*BOTH, "--anchor", "docker://pinned")


def anchor_file(results: Path, run: Run) -> tuple[str, ...]:
    return (*BOTH, "--anchor", baseline_file(results, run)[1])


def stored_with_an_anchor(results: Path, run: Run) -> tuple[str, ...]:
    return (*both_stored(results, run), "--anchor", "docker://pinned")


KINDS = (live, both_stored, stored_baseline, stored_candidate, baseline_file, anchor, anchor_file, stored_with_an_anchor)


def outputs(directory: Path) -> dict[str, Any]:
    """Every gate.json of a run, but for what a run is called and how long it took."""
    found = {str(path.relative_to(directory)): json.loads(path.read_text()) for path in directory.rglob("gate.json")}
    for content in found.values():
        del content["run"], content["seconds"]
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_gate_that_has_ended_says_the_same_again(
    tmp_path: Path, run: Run, engine: PlayedEngine, kind: Callable[[Path, Run], tuple[str, ...]]
) -> None:
    engine.script = in_turns
    results = tmp_path / "results"
    options = kind(results, run)
    before = set(results.iterdir()) if results.exists() else set()
    code = run(*options)
    (directory,) = set(results.iterdir()) - before
    first, launches = outputs(directory), len(engine.requests)
    assert "gate.json" in first
    assert run("--resume", str(directory)) == code
    assert outputs(directory) == first
    assert len(engine.requests) == launches
