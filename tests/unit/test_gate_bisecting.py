"""``--bisect``, by the command on the played engine: locks, runs and files are real, and the numbers are a script's."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import matrix.ready
import reports.gate.__main__ as command
import reports.gate.bisecting as bisecting
from harness.cell import Cell
from images.errors import BuildFailed
from matrix.config import Matrix
from matrix.engines.engine import Environment
from matrix.errors import EngineLost
from matrix.plan import PlannedImage
from reports.gate.bisect import Trial
from reports.gate.outputs.as_json import read
from reports.gate.report import Bisection, Decision
from tests.fake_engine import Played, PlayedEngine
from tests.unit.gate_runs import TEXT, alike

BOTH = ("--baseline", "cpu@old", "--candidate", "cpu@new")
GATE = "[gate]\nlooks = [6]\nconfirm = 6\n"
NAMES = ("abc", "mno", "torch", "xyz")
OLD_LOCK = "".join(f"{name}==1\n" for name in NAMES)
NEW_LOCK = "".join(f"{name}==2\n" for name in NAMES)
SLOW, BROKEN = Played(seconds=1.2e-3), Played(status="crash:SIGSEGV", reason="it died")

Run = Callable[..., int]


@dataclass
class Packaged(PlayedEngine):
    """Its images have the packages of their locks, and what those do."""

    effects: Mapping[str, Mapping[str, Played]] = field(default_factory=dict)
    """Package -> workload -> what its version 2 does there."""
    unfit: Callable[[frozenset[str]], bool] = lambda packages: False
    """Which images, by the packages of version 2, cannot be built."""
    matrix: Matrix | None = None
    made: str = ""
    """Part of the digests of images in between."""
    built: list[frozenset[str]] = field(default_factory=list)
    """In between."""

    def packages(self, image: PlannedImage) -> frozenset[str]:
        assert self.matrix is not None
        lock = matrix.ready.recipe(image, self.matrix, Path("/nowhere")).read_lock().decode()
        assert {line.partition("==")[0] for line in lock.splitlines()} == set(NAMES)
        return frozenset(line.partition("==")[0] for line in lock.splitlines() if line.endswith("==2"))

    def prepare(self, image: PlannedImage) -> Environment:
        changed = self.packages(image)
        if 0 < len(changed) < len(NAMES):
            if self.unfit(changed):
                raise BuildFailed("building failed; the end of its output:\n#9 ERROR: Cannot install abc and torch\n#9 more")
            self.built.append(changed)
            return dataclasses.replace(super().prepare(image), digest=f"sha256:{image.label}{self.made}")
        return super().prepare(image)

    def plays(self, image: PlannedImage, cell: Cell, launch: int) -> Played:
        name = cell.workload.partition("/")[2]
        changed = self.packages(image)
        return next(
            (does[name] for package, does in self.effects.items() if package in changed and name in does), alike(image, cell, launch)
        )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Packaged:
    played = Packaged(alike)
    played.script = played.plays

    def choose(name: str, configured: Matrix, *arguments: object) -> tuple[Packaged, dict[str, str]]:
        played.matrix = configured
        return played, {"name": "fake"}

    monkeypatch.setattr(matrix.ready, "choose_engine", choose)
    return played


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Packaged) -> Run:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(command, "interruptible", contextlib.nullcontext)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    text = TEXT
    for name, lock in (("old", OLD_LOCK), ("new", NEW_LOCK)):
        (tmp_path / f"{name}.lock").write_text(lock)
        text = text.replace(f"{name}.lock", str(tmp_path / f"{name}.lock"))
    config = tmp_path / "matrix.toml"
    config.write_text(f"{text}\n{GATE}")

    def call(*arguments: str) -> int:
        return command.main(["--config", str(config), "--results", str(tmp_path / "results"), "-k", "^micro/", *arguments])

    return call


def only_run(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "results").iterdir()
    return found


def bisection(tmp_path: Path) -> Bisection:
    found = read(only_run(tmp_path) / "gate.json").bisection
    assert found is not None
    return found


def explained(found: Bisection) -> dict[tuple[str, ...], set[tuple[str, str]]]:
    return {
        culprit.packages: {(symptom.cell.partition(" ")[0].partition("/")[2], symptom.metric) for symptom in culprit.explains}
        for culprit in found.culprits
    }


def trials(found: Bisection) -> list[tuple[tuple[str, ...], set[Trial]]]:
    return [(image.packages, {outcome.trial for outcome in image.outcomes}) for image in found.images]


def test_the_package_that_did_it_is_named(tmp_path: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str]) -> None:
    engine.effects = {"torch": {"softmax": Played(seconds=1.3e-3), "sort": SLOW}}
    assert run(*BOTH, "--bisect") == 1
    found = bisection(tmp_path)
    assert found.entries == NAMES
    assert explained(found) == {("torch",): {("softmax", "latency"), ("sort", "latency")}}
    assert trials(found) == [(NAMES[:2], {Trial.GOOD}), (NAMES[:3], {Trial.BAD})]
    assert (found.finished, found.left_out) == (True, ())
    assert engine.built == [frozenset(NAMES[:2]), frozenset(NAMES[:3])]
    # Beside the baseline, only the cells that regressed, and never the candidate again.
    gate = read(only_run(tmp_path) / "gate.json").launches
    between = engine.requests[gate:]
    assert {request.spec.image for request in between} == {"cpu@old", *(f"cpu@{Path(image.run).name[:-5]}" for image in found.images)}
    assert {cell.workload for request in between for cell in request.spec.cells} == {"micro/softmax", "micro/sort"}
    shown = capsys.readouterr().out
    assert "torch did it: micro/softmax (latency), micro/sort (latency)" in shown
    assert "Which package did it" in (only_run(tmp_path) / "gate.md").read_text()
    assert "torch did it (latency)" in (only_run(tmp_path) / "gate.junit.xml").read_text()


def test_every_trial_is_a_run_of_its_own(tmp_path: Path, run: Run, engine: Packaged) -> None:
    engine.effects = {"abc": {"softmax": SLOW}}
    assert run(*BOTH, "--bisect") == 1
    images = bisection(tmp_path).images
    assert len(images) == 2
    for image in images:
        directory = Path(image.run)
        assert directory.parent == only_run(tmp_path) / "bisect"
        assert read(directory / "gate.json").decision == Decision.REGRESSED
        assert (directory / "results.csv").exists()
        # By itself it can be gone on with as any run of the gate.
        assert run("--resume", str(directory)) == 1
    assert len(list((only_run(tmp_path) / "bisect").glob("*.lock"))) == 2


def test_cells_that_regress_by_other_packages_have_their_own_culprits(tmp_path: Path, run: Run, engine: Packaged) -> None:
    engine.effects = {"abc": {"softmax": SLOW, "gather": BROKEN}, "xyz": {"sort": SLOW}}
    assert run(*BOTH, "--bisect") == 1
    found = bisection(tmp_path)
    assert explained(found) == {("abc",): {("softmax", "latency"), ("gather", "status")}, ("xyz",): {("sort", "latency")}}
    assert [culprit.packages for culprit in found.culprits] == [("abc",), ("xyz",)]
    # Once they part, each image is measured with those cells alone that it can tell something of.
    assert [len(image.outcomes) for image in found.images] == [3, 2, 1]


def test_images_that_cannot_be_built_are_passed_over(tmp_path: Path, run: Run, engine: Packaged) -> None:
    """The first two pin each other: they are named together."""
    engine.effects = {"abc": {"softmax": SLOW}}
    engine.unfit = lambda packages: ("abc" in packages) != ("mno" in packages)
    assert run(*BOTH, "--bisect") == 1
    found = bisection(tmp_path)
    assert explained(found) == {("abc", "mno"): {("softmax", "latency")}}
    assert trials(found) == [(NAMES[:2], {Trial.BAD}), (NAMES[:1], {Trial.UNBUILDABLE})]
    assert found.images[1].run == ""
    assert found.images[1].reason == "#9 ERROR: Cannot install abc and torch"
    (log,) = (only_run(tmp_path) / "bisect").glob("*.build.log")
    assert "#9 more" in log.read_text()


def test_what_stays_undecided_is_said(tmp_path: Path, run: Run, engine: Packaged) -> None:
    """In between, the cell fails otherwise than in the candidate."""
    engine.effects = {"torch": {"softmax": BROKEN}, "abc": {"softmax": Played(status="fail_to_run")}}
    assert run(*BOTH, "--bisect") == 1
    found = bisection(tmp_path)
    assert explained(found) == {("abc", "mno", "torch"): {("softmax", "status")}}
    assert trials(found) == [(NAMES[:2], {Trial.UNDECIDED}), (NAMES[:1], {Trial.UNDECIDED}), (NAMES[:3], {Trial.BAD})]


def test_nothing_is_looked_for_where_nothing_regressed(
    tmp_path: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*BOTH, "--bisect") == 0
    assert read(only_run(tmp_path) / "gate.json").bisection is None
    assert engine.built == []
    assert "bisect: the decision is pass" in capsys.readouterr().out


def test_a_gate_that_is_there_can_be_bisected(tmp_path: Path, run: Run, engine: Packaged) -> None:
    engine.effects = {"mno": {"sort": BROKEN}}
    assert run(*BOTH) == 1
    assert read(only_run(tmp_path) / "gate.json").bisection is None
    launches = len(engine.requests)
    assert run("--resume", str(only_run(tmp_path)), "--bisect") == 1
    assert explained(bisection(tmp_path)) == {("mno",): {("sort", "status")}}
    assert {request.spec.image for request in engine.requests[launches:]}.isdisjoint({"cpu@new"})


@pytest.mark.parametrize(("exception", "code"), [(EngineLost, 4), (KeyboardInterrupt, 130)])
def test_a_bisection_that_was_killed_goes_on_where_it_was(
    tmp_path: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str], exception: type[BaseException], code: int
) -> None:
    engine.effects = {"torch": {"softmax": SLOW}}
    assert run(*BOTH, "--bisect") == 1
    whole = bisection(tmp_path)
    launches = len(engine.requests)
    first = read(only_run(tmp_path) / "gate.json").launches
    engine.requests.clear()
    results = tmp_path / "results"
    results.rename(tmp_path / "whole")
    # In the second image, in the middle of a launch.
    engine.stops = {launches - 3: (0, exception)}
    assert run(*BOTH, "--bisect") == code
    directory = only_run(tmp_path)
    assert f"--resume {directory}" in capsys.readouterr().err
    # The verdict is there already.
    assert read(directory / "gate.json").decision == Decision.REGRESSED
    engine.built.clear()
    assert run("--resume", str(directory)) == 1
    found = bisection(tmp_path)
    assert trials(found) == trials(whole)
    assert explained(found) == explained(whole)
    assert len(engine.requests) == launches + 1
    assert launches > first
    # The first image was measured: it is not even built again.
    assert engine.built == [frozenset(NAMES[:3])]
    # All of it is there: nothing is started.
    assert run("--resume", str(directory)) == 1
    assert len(engine.requests) == launches + 1
    assert bisection(tmp_path) == found


def test_an_image_in_between_that_was_made_anew_is_not_mixed_with_the_old_one(
    tmp_path: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.effects = {"torch": {"softmax": SLOW}}
    assert run(*BOTH) == 1
    directory = only_run(tmp_path)
    engine.stops = {len(engine.requests) + 3: (0, KeyboardInterrupt)}
    assert run("--resume", str(directory), "--bisect") == 130
    engine.made = "again"
    assert run("--resume", str(directory)) == 2
    (trial,) = (path.parent for path in directory.glob("bisect/*/manifest.json"))
    assert f"{trial} cannot be gone on with: the image cpu@between" in capsys.readouterr().err
    shutil.rmtree(trial)
    assert run("--resume", str(directory)) == 1
    assert explained(bisection(tmp_path)) == {("torch",): {("softmax", "latency")}}


def test_the_time_is_kept(
    tmp_path: Path, run: Run, engine: Packaged, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.effects = {"torch": {"softmax": SLOW}}
    assert run(*BOTH) == 1
    directory = only_run(tmp_path)
    assert run("--resume", str(directory), "--bisect", "--max-duration", "0.001s") == 1
    found = bisection(tmp_path)
    assert (found.finished, found.images, engine.built) == (False, (), [])
    assert explained(found) == {NAMES: {("softmax", "latency")}}
    assert "bisect: the time was up" in read(directory / "gate.json").notes[0]
    assert f"next: --resume {directory}, with more --max-duration" in capsys.readouterr().err
    assert run("--resume", str(directory)) == 1
    assert explained(bisection(tmp_path)) == {("torch",): {("softmax", "latency")}}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--baseline", "cpu@old", "--candidate", "docker://new"), "docker://new was not built from a lock"),
        (("--baseline", "cpu@old", "--candidate", "other"), "two images"),
        (("--calibrate", "cpu@old"), "compared with itself"),
    ],
)
def test_what_cannot_be_bisected_is_told_before_anything_is_measured(
    tmp_path: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], says: str
) -> None:
    assert run(*options, "--bisect") == 2
    error = capsys.readouterr().err
    assert says in error
    assert "next: " in error
    assert engine.requests == []
    assert not (tmp_path / "results").exists()


def test_of_many_regressed_cells_some_are_tried_and_the_others_named(
    tmp_path: Path, run: Run, engine: Packaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bisecting, "MOST_CELLS", 2)
    engine.effects = {"torch": {"softmax": SLOW, "sort": Played(seconds=1.3e-3), "gather": BROKEN}}
    assert run(*BOTH, "--bisect") == 1
    found = bisection(tmp_path)
    assert explained(found) == {("torch",): {("gather", "status"), ("sort", "latency")}}
    assert [cell.partition(" ")[0] for cell in found.left_out] == ["micro/softmax"]
    assert "of 3 regressed cells 2 were measured" in read(only_run(tmp_path) / "gate.json").notes[0]
