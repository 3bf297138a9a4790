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
LOCKS = {"old": OLD_LOCK, "mid": OLD_LOCK.replace("torch==1", "torch==2"), "new": NEW_LOCK}
ANCHORED = ("--baseline", "cpu@mid", "--candidate", "cpu@new", "--anchor")
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
        if image.reference is not None:
            return frozenset()
        lock = matrix.ready.recipe(image, self.matrix, Path("/nowhere")).read_lock().decode()
        assert {line.partition("==")[0] for line in lock.splitlines()} == set(NAMES)
        return frozenset(line.partition("==")[0] for line in lock.splitlines() if line.endswith("==2"))

    def prepare(self, image: PlannedImage) -> Environment:
        changed = self.packages(image)
        if image.version.startswith("between-"):
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
    for name, lock in LOCKS.items():
        (tmp_path / f"{name}.lock").write_text(lock)
    versions = ", ".join(f'{name} = "{tmp_path / name}.lock"' for name in LOCKS)
    text = text.replace('new = "new.lock", old = "old.lock"', versions)
    assert versions in text
    config = tmp_path / "matrix.toml"
    config.write_text(f"{text}\n{GATE}")

    def call(*arguments: str) -> int:
        return command.main(["--config", str(config), "--results", str(tmp_path / "results"), "-k", "^micro/", *arguments])

    return call


def only_run(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "results").iterdir()
    return found


def bisection(tmp_path: Path, name: str = "gate.json") -> Bisection:
    found = read(only_run(tmp_path) / name).bisection
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
        # By itself it can be gone on with as any run of the gate; no command of the configuration measures its image.
        assert run("--resume", str(directory)) == 1
        assert {cell.replay for cell in read(directory / "gate.json").cells} == {""}
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


def test_an_image_in_between_that_was_measured_on_two_machines_tells_nothing(tmp_path: Path, run: Run, engine: Packaged) -> None:
    engine.effects = {"torch": {"softmax": SLOW}}
    assert run(*BOTH) == 1
    engine.stops = {len(engine.requests) + 3: (0, KeyboardInterrupt)}
    assert run("--resume", str(only_run(tmp_path)), "--bisect") == 130
    engine.machine = {"cpu": "another", "cores": 64}
    assert run("--resume", str(only_run(tmp_path))) == 1
    found = bisection(tmp_path)
    assert trials(found) == [(NAMES[:2], {Trial.UNDECIDED}), (NAMES[:1], {Trial.GOOD}), (NAMES[:3], {Trial.BAD})]
    assert explained(found) == {("mno", "torch"): {("softmax", "latency")}}
    assert "2 machines" in read(Path(found.images[0].run) / "gate.json").capped


def test_a_search_that_was_asked_for_later_is_gone_on_with_too(tmp_path: Path, run: Run, engine: Packaged) -> None:
    """It was asked for before there was a verdict."""
    engine.effects = {"torch": {"softmax": SLOW}}
    engine.stops = {2: (0, KeyboardInterrupt), 4: (0, KeyboardInterrupt)}
    assert run(*BOTH) == 130
    assert run("--resume", str(only_run(tmp_path)), "--bisect") == 130
    assert run("--resume", str(only_run(tmp_path))) == 1
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


class TestMeasuredBefore:
    """Images are built beside images: rows of earlier runs have nothing in between."""

    @pytest.fixture
    def stored(self, tmp_path: Path, run: Run, engine: Packaged) -> Path:
        """A gate's run that regressed, and beside it the file that was saved of its candidate."""
        engine.effects = {"torch": {"softmax": SLOW}}
        assert run(*BOTH, "--save-baseline", str(tmp_path / "release.json")) == 1
        found = only_run(tmp_path)
        engine.requests.clear()
        return found

    @pytest.mark.parametrize(
        ("options", "side"),
        [
            (("--baseline", "RUN#baseline", "--candidate", "cpu@new"), "baseline"),
            (("--baseline", "FILE", "--candidate", "cpu@new"), "baseline"),
            (("--baseline", "cpu@old", "--candidate", "RUN"), "candidate"),
            (("--baseline", "RUN#baseline", "--candidate", "RUN#candidate"), "baseline"),
            (("--baseline", "FILE", "--candidate", "cpu@new", "--anchor", "cpu@old"), "baseline"),
            (("--baseline", "FILE", "--candidate", "cpu@new", "--plan"), "baseline"),
            (("--candidate", "RUN", "--save-baseline", "OTHER"), "candidate"),
        ],
        ids=str,
    )
    def test_is_refused_before_anything_is_measured(
        self,
        tmp_path: Path,
        stored: Path,
        run: Run,
        engine: Packaged,
        capsys: pytest.CaptureFixture[str],
        options: tuple[str, ...],
        side: str,
    ) -> None:
        places = {"RUN": str(stored), "FILE": str(tmp_path / "release.json"), "OTHER": str(tmp_path / "other.json")}
        named = [places.get(name, name) + mark + which for name, mark, which in (option.partition("#") for option in options)]
        assert run(*named, "--bisect") == 2
        error = capsys.readouterr().err
        assert f"the {side} was measured before: {tmp_path}" in error
        assert "next: nox -s gate -- --baseline NAME@V1 --candidate NAME@V2 --bisect" in error
        assert engine.requests == []
        assert only_run(tmp_path) == stored, "no run is begun"
        assert not (tmp_path / "other.json").exists()

    def test_is_refused_of_a_gate_that_is_resumed(
        self, tmp_path: Path, stored: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str]
    ) -> None:
        engine.effects = {"torch": {"softmax": BROKEN}}
        assert run("--baseline", f"{stored}#baseline", "--candidate", "cpu@new") == 1
        (begun,) = set((tmp_path / "results").iterdir()) - {stored}
        launches = len(engine.requests)
        assert run("--resume", str(begun), "--bisect") == 2
        assert "the baseline was measured before" in capsys.readouterr().err
        assert (len(engine.requests), engine.built) == (launches, [])


class TestAnchor:
    """The baseline has torch 2 already: what torch does is seen beside the anchor alone."""

    def test_the_search_is_from_the_baseline_where_both_comparisons_regressed(self, tmp_path: Path, run: Run, engine: Packaged) -> None:
        engine.effects = {"abc": {"softmax": SLOW}, "torch": {"sort": SLOW}}
        assert run(*ANCHORED, "cpu@old", "--bisect") == 1
        directory = only_run(tmp_path)
        found = bisection(tmp_path)
        assert found.entries == ("abc", "mno", "xyz")
        assert explained(found) == {("abc",): {("softmax", "latency")}}
        assert {Path(image.run).parent for image in found.images} == {directory / "bisect"}
        anchored = read(directory / "anchor" / "gate.json")
        assert (anchored.decision, anchored.bisection) == (Decision.REGRESSED, None)
        between = [request.environment.image.label for request in engine.requests if "bisect" in request.directory.parts]
        assert "cpu@mid" in between
        assert {"cpu@old", "cpu@new"}.isdisjoint(between)

    def test_it_is_from_the_anchor_where_only_that_comparison_regressed(
        self, tmp_path: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str]
    ) -> None:
        engine.effects = {"torch": {"sort": SLOW}}
        assert run(*ANCHORED, "cpu@old", "--bisect") == 1
        directory = only_run(tmp_path)
        before = read(directory / "gate.json")
        assert (before.decision, before.bisection) == (Decision.PASS, None)
        found = bisection(tmp_path, "anchor/gate.json")
        assert found.entries == NAMES
        assert explained(found) == {("torch",): {("sort", "latency")}}
        shown = capsys.readouterr().out
        assert "bisect: from cpu@old to cpu@new 4 lock entries differ" in shown
        assert "torch did it: micro/sort (latency)" in shown
        # Each is a gate of two images, and is gone on with as one.
        for image in found.images:
            assert Path(image.run).parent == directory / "anchor" / "bisect"
            assert read(Path(image.run) / "gate.json").baseline.label == "cpu@old"
            run("--resume", image.run)
            assert not (Path(image.run) / "anchor").exists()

    def test_it_goes_on_where_it_was_killed(self, tmp_path: Path, run: Run, engine: Packaged) -> None:
        engine.effects = {"torch": {"sort": SLOW}}
        assert run(*ANCHORED, "cpu@old") == 1
        directory = only_run(tmp_path)
        engine.stops = {len(engine.requests) + 3: (0, EngineLost)}
        assert run("--resume", str(directory), "--bisect") == 4
        # Both verdicts are there already.
        assert read(directory / "anchor" / "gate.json").decision == Decision.REGRESSED
        assert run("--resume", str(directory)) == 1
        found = bisection(tmp_path, "anchor/gate.json")
        assert explained(found) == {("torch",): {("sort", "latency")}}
        launches = len(engine.requests)
        assert run("--resume", str(directory)) == 1
        assert len(engine.requests) == launches
        assert bisection(tmp_path, "anchor/gate.json") == found

    def test_an_anchor_that_is_another_image_cannot_be_searched_from(
        self, tmp_path: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str]
    ) -> None:
        engine.effects = {"torch": {"sort": SLOW}}
        assert run(*ANCHORED, "docker://pinned", "--bisect") == 1
        found = read(only_run(tmp_path) / "anchor" / "gate.json")
        assert (found.decision, found.bisection, engine.built) == (Decision.REGRESSED, None, [])
        (note,) = found.notes
        assert note.startswith("bisect: only the comparison with the anchor regressed")
        assert "docker://pinned was not built from a lock of matrix.toml" in note
        assert note in capsys.readouterr().out

    def test_one_that_was_measured_before_neither(self, tmp_path: Path, run: Run, engine: Packaged) -> None:
        engine.effects = {"torch": {"sort": BROKEN}}
        path = tmp_path / "anchor.json"
        assert run("--calibrate", "cpu@old", "--save-baseline", str(path)) in (0, 3)
        shutil.rmtree(tmp_path / "results")
        assert run(*ANCHORED, str(path), "--bisect") == 1
        found = read(only_run(tmp_path) / "anchor" / "gate.json")
        assert (found.decision, engine.built) == (Decision.REGRESSED, [])
        assert f"the anchor was measured before: {path}" in found.notes[0]

    def test_what_regressed_beside_the_baseline_is_searched_whatever_the_anchor_is(
        self, tmp_path: Path, run: Run, engine: Packaged
    ) -> None:
        engine.effects = {"xyz": {"sort": SLOW}}
        assert run(*ANCHORED, "docker://pinned", "--bisect") == 1
        assert explained(bisection(tmp_path)) == {("xyz",): {("sort", "latency")}}
        assert read(only_run(tmp_path) / "anchor" / "gate.json").notes == ()

    def test_a_baseline_that_is_another_image_is_refused_whatever_the_anchor_is(
        self, tmp_path: Path, run: Run, engine: Packaged, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--baseline", "docker://pinned", "--candidate", "cpu@new", "--anchor", "cpu@old", "--bisect") == 2
        assert "docker://pinned was not built from a lock" in capsys.readouterr().err
        assert engine.requests == []
