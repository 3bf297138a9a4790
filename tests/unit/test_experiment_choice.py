"""Which experiment a run makes: chosen by configuration or command line, told by manifest and rows, and kept when it is resumed."""

from __future__ import annotations

import contextlib
import csv
import json
import subprocess
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import matrix.__main__
import matrix.bench
import matrix.ready
from harness import catalog
from harness.cell import Cell, LaunchSpec
from harness.output import row_of
from harness.records import Status
from matrix.config import Matrix, parse_matrix
from matrix.errors import INTERRUPTED, RunNotFound, SelectionError
from matrix.options import make_parser
from matrix.overrides import with_options
from matrix.plan import PlannedImage, Selection, make_plan
from matrix.provenance import experiment_of
from matrix.runner import Known, Settings, launch_spec
from tests.fake_engine import PlayedEngine
from tests.unit.gate_runs import TEXT
from tests.unit.test_config import GOOD, messages
from tests.unit.test_gate_command import Run, engine, only_run, run

__all__ = ["engine", "run"]

CPU = PlannedImage(name="cpu")
IMAGES = GOOD.replace('suites = ["micro"]', 'suites = ["micro", "image"]') + '\n[suites.image]\nworkloads = ["image/*"]\n'


def matrix_of(experiment: str, source: str = IMAGES) -> Matrix:
    return parse_matrix(source.replace("[run]", f'[run]\nexperiment = "{experiment}"', 1))


def cells(experiment: str, selection: Selection = Selection(), source: str = IMAGES) -> tuple[Cell, ...]:  # noqa: B008  # it is frozen
    return make_plan(matrix_of(experiment, source), (CPU,), selection).launches[0].cells


def test_an_unknown_one_is_named_with_the_nearest() -> None:
    (line,) = messages(GOOD.replace("[run]", '[run]\nexperiment = "covrage"', 1))
    assert line == "matrix.toml:3: run.experiment: unknown experiment 'covrage'; did you mean 'coverage'?"


def test_the_command_line_takes_the_place_of_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = with_options(matrix_of("overhead"), make_parser().parse_args(["bench", "cpu", "--experiment", "coverage"]))
    assert chosen.run.experiment == "coverage"
    assert with_options(matrix_of("overhead"), make_parser().parse_args(["bench", "cpu"])).run.experiment == "overhead"
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_args(["bench", "cpu", "--experiment", "covrage"])
    assert ended.value.code == 2
    assert "did you mean 'coverage'?" in capsys.readouterr().err


def test_it_reaches_the_launch_and_every_row() -> None:
    plan = make_plan(matrix_of("coverage"), (CPU,), Selection())
    spec = launch_spec(plan.launches[0], plan.launches[0].cells, Settings(matrix=matrix_of("coverage"), seed=1), "run", 0, Known())
    assert LaunchSpec.from_json(spec.to_json()).experiment == "coverage"
    assert row_of(spec.cells[0], spec, Status.INFRA_ERROR, "").experiment == "coverage"


@pytest.mark.parametrize("experiment", sorted(catalog.EXPERIMENT_BACKENDS))
def test_what_would_be_the_same_by_every_backend_is_measured_once(experiment: str) -> None:
    found = cells(experiment)
    assert {cell.backend for cell in found} == {catalog.EXPERIMENT_BACKENDS[experiment]}
    assert [cell.workload for cell in found] == [f"micro/{name}" for name in catalog.SUITES["micro"]], "and none of what the image costs"
    why = (
        "sets several backends beside eager"
        if experiment == "baselines"
        else "by inductor it would say the same\n  next: leave --backend out"
    )
    with pytest.raises(SelectionError, match=why):
        cells(experiment, Selection(backends=("inductor",)))


def test_cells_beside_the_axes_are_measured_too() -> None:
    rule = '\n[[include]]\nreason = "half"\nworkload = ["micro/sort"]\nprecision = ["bfloat16"]\n'
    assert [cell.backend for cell in cells("coverage", source=IMAGES + rule) if cell.precision == "bfloat16"] == ["dynamo:eager"]


def test_performance_measures_what_the_image_costs() -> None:
    assert "image/start" in {cell.workload for cell in cells("performance")}


def test_a_manifest_that_does_not_say_it_is_of_performance() -> None:
    assert experiment_of({}) == experiment_of({"matrix": {"run": {"seed": 1}}}) == experiment_of({"matrix": 3}) == "performance"


Bench = Callable[..., int]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: PlayedEngine) -> Bench:
    """The command, with launches that are played and without a page."""
    config = tmp_path / "matrix.toml"
    config.write_text(TEXT)
    monkeypatch.setattr(matrix.__main__, "interruptible", contextlib.nullcontext)
    no_page = types.SimpleNamespace(run=lambda command, **settings: subprocess.CompletedProcess(command, 0))
    monkeypatch.setattr(matrix.bench, "subprocess", no_page)

    def call(*options: str) -> int:
        chosen = [] if "--resume" in options else ["-k", "softmax"]
        return matrix.__main__.main(["--config", str(config), "bench", "cpu", "--results", str(tmp_path / "results"), *chosen, *options])

    return call


def rows(directory: Path) -> list[dict[str, Any]]:
    with (directory / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_resumed_with_its_own_experiment(
    tmp_path: Path, bench: Bench, engine: PlayedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.stops[0] = (1, KeyboardInterrupt)
    assert bench("--experiment", "overhead", "--mode", "inference", "--mode", "training") == INTERRUPTED
    directory = only_run(tmp_path)
    assert json.loads((directory / "manifest.json").read_text())["matrix"]["run"]["experiment"] == "overhead"
    assert bench("--resume", str(directory), "--experiment", "coverage") == 2
    assert "the run measures overhead" in capsys.readouterr().err
    engine.states.clear()
    assert bench("--resume", str(directory)) == 0
    assert engine.states == {"running"}, "while it goes on, it does"
    assert json.loads((directory / "manifest.json").read_text())["state"] == "done"
    assert [(row["experiment"], row["mode"]) for row in rows(directory)] == [("overhead", "inference"), ("overhead", "training")]


def test_the_gate_judges_performance_alone(tmp_path: Path, bench: Bench, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--experiment", "coverage", "--image", "cpu@new", "--image", "cpu@old") == 0
    directory = only_run(tmp_path)
    assert run("--baseline", f"{directory}#cpu@old", "--candidate", f"{directory}#cpu") == 2
    said = capsys.readouterr().err
    assert f"{directory} measured coverage" in said
    assert "next: " in said


def test_a_gate_is_not_begun_with_another(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "matrix.toml"
    config.write_text(f'[run]\nexperiment = "coverage"\n{config.read_text()}')
    assert run("--baseline", "cpu@old", "--candidate", "cpu@new") == 2
    said = capsys.readouterr().err
    assert "only the experiment performance measures" in said
    assert "next: " in said
    assert not (tmp_path / "results").exists()


def test_every_experiment_is_there() -> None:
    for reference in catalog.EXPERIMENTS.values():
        assert hasattr(catalog.load(reference), "run")
    assert set(catalog.EXPERIMENT_BACKENDS) < set(catalog.EXPERIMENTS)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (("--timeout", "5"), "--timeout: "),
        (("--timeout", "5"), "was begun with timeout_seconds = 77"),
        (("--memory", "123m"), "--memory: "),
        (("--deterministic",), "was begun without --deterministic"),
        (("--quick",), "--quick: "),
        (("--image", "cpu@old"), "--image: "),
        (("--base", "another"), "--base: "),
        (("--tag", "other"), "was begun without --tag"),
        (("--dynamic", "batch"), "--dynamic is of dynamic-shapes"),
        (("-k", "softmax", "--mode", "training"), "other cells, launches or another seed"),
        (("-k", "nothing"), "no cell is left"),
        (("-k", "softmax", "--seed", "0"), "other cells, launches or another seed"),
    ],
)
def test_a_run_is_not_resumed_as_another(
    tmp_path: Path, bench: Bench, engine: PlayedEngine, capsys: pytest.CaptureFixture[str], other: tuple[str, ...], why: str
) -> None:
    engine.stops[0] = (1, KeyboardInterrupt)
    begun = ("--timeout", "77", "--mode", "inference", "--mode", "training")
    assert bench(*begun) == INTERRUPTED
    directory = str(only_run(tmp_path))
    capsys.readouterr()
    assert bench("--resume", directory, *other) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "next: " in said
    assert bench("--resume", directory, "-k", "softmax", *begun) == 0, "the same said again is the same"


def without_seed(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != "seed"}


@pytest.mark.parametrize(
    ("option", "change", "said"),
    [
        ("--resume", lambda manifest: {**manifest, "cells": 3}, "cannot be read (AttributeError"),
        ("--resume", without_seed, "cannot be read (KeyError"),
        ("--resume", lambda _: "[" * 100_000, "does not read"),
        ("--compare-outputs", without_seed, "has no seed"),
        ("--compare-outputs", lambda _: "[" * 100_000, "does not read"),
    ],
)
def test_a_manifest_that_somebody_has_changed_is_told(
    tmp_path: Path,
    bench: Bench,
    engine: PlayedEngine,
    capsys: pytest.CaptureFixture[str],
    option: str,
    change: Callable[[dict[str, Any]], object],
    said: str,
) -> None:
    engine.stops[0] = (1, KeyboardInterrupt)
    assert bench("--mode", "inference", "--mode", "training") == INTERRUPTED
    manifest = only_run(tmp_path) / "manifest.json"
    changed = change(json.loads(manifest.read_text()))
    manifest.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    capsys.readouterr()
    assert bench(option, str(manifest.parent)) == RunNotFound.exit_code
    error = capsys.readouterr().err
    assert said in error
    assert "next: " in error


def test_a_limit_is_compared_of_the_images_that_the_run_has(
    tmp_path: Path, bench: Bench, engine: PlayedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.stops[0] = (1, KeyboardInterrupt)
    config = tmp_path / "matrix.toml"
    config.write_text(f'{config.read_text()}\n[images.cpu.container]\nmemory = "3g"\n')
    assert bench("--mode", "inference", "--mode", "training") == INTERRUPTED
    directory = str(only_run(tmp_path))
    assert bench("--resume", directory, "--memory", "5g") == 2
    assert "was begun with memory = 3g" in capsys.readouterr().err
    assert bench("--resume", directory, "--memory", "3g") == 0


def test_the_plan_of_a_run_that_goes_on_is_what_it_lacks_and_runs_nothing(
    tmp_path: Path, bench: Bench, engine: PlayedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.stops[0] = (1, KeyboardInterrupt)
    assert bench("--mode", "inference", "--mode", "training") == INTERRUPTED
    directory = only_run(tmp_path)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert bench("--resume", str(directory), "--plan") == 0
    said = capsys.readouterr().out
    assert "training" in said
    assert "inference" not in said
    assert "1 rows in 1 launches" in said
    assert before == {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--batch-sizes", "8"), "--batch-sizes is of dynamic-shapes, recompiles"),
        (("--compare", "inductor"), "--compare is of baselines"),
        (("--first-batch-size", "8"), "--first-batch-size is of largest-batch"),
        (("--experiment", "largest-batch", "--batch-size", "8"), "--batch-size: largest-batch tries sizes of its own"),
        (("--ranks", "3"), "nothing is spread over ranks"),
        (("--optimizer", "adam", "--mode", "inference"), "--optimizer is of training"),
        (("--activation-checkpointing", "--mode", "inference"), "--activation-checkpointing is of training"),
    ],
)
def test_an_option_that_nothing_reads_is_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], why: str
) -> None:
    assert bench(*options, "--plan") == 2
    said = capsys.readouterr().err
    assert why in said
    assert "next: " in said
