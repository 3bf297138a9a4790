"""The command: exit codes that a release script can go by, files, and the way to go on."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

import matrix.__main__
import matrix.ready
import reports.gate.__main__ as command
from images.errors import BuildFailed
from matrix.engines.engine import LaunchEnd
from matrix.errors import EngineLost, EngineMissing, RunBusy, SelectionError
from matrix.plan import PlannedImage
from matrix.store import open_run
from reports.gate.conditions import caps, conditions_of, machines
from reports.gate.options import choose_sources, duration_seconds, make_parser
from reports.gate.outputs.as_json import read
from reports.gate.report import Decision
from reports.gate.setup import Source, image_of
from tests.conftest import SOURCE
from tests.fake_engine import Played, PlayedEngine, Script
from tests.unit.gate_runs import MATRIX, NEW, OLD, TEXT, alike, planted

BOTH = ("--baseline", "cpu@old", "--candidate", "cpu@new")
GATE = "[gate]\nlooks = [6]\nconfirm = 6\n"
SLOWER = planted(softmax=Played(seconds=1.2e-3))

Run = Callable[..., int]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> PlayedEngine:
    """What every gate of a test measures with."""
    played = PlayedEngine(alike)
    monkeypatch.setattr(matrix.ready, "choose_engine", lambda *arguments: (played, {"name": "fake"}))
    return played


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: PlayedEngine) -> Run:
    """The command with a small configuration, in its own folders."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(command, "interruptible", contextlib.nullcontext)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    config = tmp_path / "matrix.toml"
    config.write_text(f"{TEXT}\n{GATE}")

    def call(*arguments: str, script: Script | None = None) -> int:
        engine.script = script or engine.script
        options = ["--config", str(config), "--results", str(tmp_path / "results"), "-k", "^micro/", *arguments]
        return command.main(options)

    return call


def only_run(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "results").iterdir()
    return found


@pytest.mark.parametrize(
    ("script", "options", "code", "decision"),
    [
        (alike, (), 0, Decision.PASS),
        (SLOWER, (), 1, Decision.REGRESSED),
        (SLOWER, ("--inconclusive", "pass"), 1, Decision.REGRESSED),
        (planted(softmax=Played(noise=0.5)), (), 3, Decision.INCONCLUSIVE),
        (planted(softmax=Played(noise=0.5)), ("--inconclusive", "pass"), 0, Decision.INCONCLUSIVE),
        (planted(softmax=Played(noise=0.5)), ("--inconclusive", "fail"), 3, Decision.INCONCLUSIVE),
    ],
    ids=["pass", "regressed", "regressed though inconclusive passes", "inconclusive", "inconclusive passes", "inconclusive fails"],
)
def test_the_exit_code_is_the_decision(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], script: Script, options: tuple[str, ...], code: int, decision: Decision
) -> None:
    assert run(*BOTH, *options, script=script) == code
    report = read(only_run(tmp_path) / "gate.json")
    assert report.decision == decision
    assert (report.baseline.label, report.candidate.label) == (OLD.label, NEW.label)
    assert (report.machine, report.launches) == ("fake, 2 cores", 2 * report.blocks)
    assert report.run == str(only_run(tmp_path))
    assert decision.upper() in capsys.readouterr().out
    for name in ("gate.md", "gate.junit.xml", "badge.svg", "badge.json", "results.csv", "manifest.json"):
        assert (only_run(tmp_path) / name).exists()


DIED = LaunchEnd(exit_code=139, reason="exit code 139")


@pytest.mark.parametrize("inconclusive", ["pass", "fail"])
@pytest.mark.parametrize(("dead", "code"), [((NEW,), 1), ((OLD,), 4), ((OLD, NEW), 4)], ids=["the candidate", "the baseline", "both"])
def test_launches_that_always_die_are_never_a_pass(
    tmp_path: Path, run: Run, engine: PlayedEngine, dead: tuple[PlannedImage, ...], code: int, inconclusive: str
) -> None:
    engine.ends = lambda image, launch: DIED if image in dead else None
    assert run(*BOTH, "--inconclusive", inconclusive) == code
    root = ElementTree.parse(only_run(tmp_path) / "gate.junit.xml").getroot()
    kind = "failure" if code == 1 else "error"
    assert len(root.findall(f".//testcase/{kind}")) == 6


def test_an_image_is_held_against_itself_where_that_is_asked_for(run: Run) -> None:
    assert run("--calibrate", "cpu@old") == 0


def test_a_plan_measures_nothing(tmp_path: Path, run: Run, engine: PlayedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--baseline", "cpu", "--candidate", "other", "--plan") == 0
    shown = capsys.readouterr().out
    assert "micro/softmax inductor cpu inference float32 small" in shown
    assert "new: micro/softmax eager" in shown
    assert "at least 72 rows in 6 blocks" in shown
    assert engine.requests == []
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--baseline IMAGE --candidate IMAGE"),
        (("--baseline", "cpu"), "--baseline IMAGE --candidate IMAGE"),
        (("--baseline", "cpu", "--candidate", "cpo"), "did you mean 'cpu'"),
        (("--baseline", "cpu@3", "--candidate", "cpu"), "no version '3'"),
        (("--baseline", "cpu@", "--candidate", "cpu@old"), "'cpu@' names no version"),
        (("--baseline", "", "--candidate", "cpu"), "--baseline is empty"),
        (("--baseline", "cpu@old", "--candidate", "cpu@old"), "--calibrate cpu@old"),
        (("--baseline", "cpu", "--candidate", "cpu@new"), "the baseline is the candidate: cpu@new"),
        ((*BOTH, "--anchor", "cpu@new"), "the anchor is the candidate: cpu@new"),
        (("--baseline", "docker://a", "--candidate", "docker://b"), "--image NAME"),
        (
            (*BOTH, "-k", "no such cell", "-x", "micro"),
            "no cell in common with --filter '^micro/', --filter 'no such cell', --exclude 'micro'",
        ),
        ((*BOTH, "--memory", "3"), "--memory '3': '3' is not a size"),
        (("--resume", "nowhere"), "there is no run nowhere"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_usage(
    run: Run, engine: PlayedEngine, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert run(*options) == 2
    assert message in capsys.readouterr().err
    assert engine.requests == []


def test_mistakes_in_the_expected_failures_are_told_before_anything_is_measured(
    tmp_path: Path, run: Run, engine: PlayedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "expected_failures.toml").write_text('[[expected]]\nreason = "x"\n')
    assert run(*BOTH) == 2
    assert "expected_failures.toml:1" in capsys.readouterr().err
    assert engine.requests == []


def test_expected_failures_are_those_beside_the_configuration(tmp_path: Path, run: Run) -> None:
    (tmp_path / "expected_failures.toml").write_text(
        '[[expected]]\nworkload = ["micro/sort"]\nstatus = ["OOM"]\nreason = "known"\nexpires = 9999-12-31\n'
    )
    assert run(*BOTH, script=planted(sort=Played(status="OOM"))) == 0
    assert run(*BOTH, script=planted(gather=Played(status="OOM"))) == 1


@pytest.mark.parametrize("plan", [(), ("--plan",)], ids=["measured", "planned"])
def test_expected_failures_are_read_before_anything_is_made_ready(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], plan: tuple[str, ...]
) -> None:
    monkeypatch.setattr(matrix.ready, "choose_engine", lambda *arguments: pytest.fail("an engine is looked for"))
    (tmp_path / "expected_failures.toml").write_text('[[expected]]\nreason = "x"\n')
    assert run(*BOTH, *plan) == 2
    assert not (tmp_path / "results").exists()
    (tmp_path / "expected_failures.toml").unlink()
    (tmp_path / "matrix.toml").write_text(f'{TEXT}\n{GATE}expected_failures = "known.toml"\n')
    assert run(*BOTH, *plan) == 2
    assert f"there is no {tmp_path}/known.toml, which [gate] names" in capsys.readouterr().err


def test_a_baseline_that_was_asked_for_and_not_written_is_no_success(tmp_path: Path, run: Run) -> None:
    saving = ("--save-baseline", str(tmp_path / "release.json"), "--inconclusive", "pass")
    assert run(*BOTH, "--max-duration", "0.001s", *saving) == 3
    assert run("--resume", str(only_run(tmp_path)), "--max-duration", "1h") == 0
    assert (tmp_path / "release.json").exists()


@pytest.mark.parametrize(
    ("redirected", "said"), [(">&-", ""), (">/dev/full", "standard output cannot be written any more"), ("2>&-", None)]
)
def test_a_standard_output_that_takes_nothing_changes_no_exit_code(tmp_path: Path, run: Run, redirected: str, said: str | None) -> None:
    """A whole process: what Python does with it at its end counts too."""
    assert run(*BOTH, script=SLOWER) == 1
    stored, results = only_run(tmp_path), tmp_path / "again"
    words = [sys.executable, "-m", "reports.gate", "--config", str(tmp_path / "matrix.toml"), "--results", str(results)]
    words += ["--baseline", f"{stored}#baseline", "--candidate", f"{stored}#candidate"]
    done = subprocess.run(["/bin/sh", "-c", f"{shlex.join(words)} {redirected}"], cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert said is None or said in done.stderr
    (directory,) = results.iterdir()
    assert read(directory / "gate.json").decision == Decision.REGRESSED


@pytest.mark.parametrize("error", [EngineMissing, BuildFailed, OSError, ZeroDivisionError])
def test_what_is_no_answer_is_never_the_exit_code_of_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: type[Exception]
) -> None:
    """Python itself would end with 1 for what nobody foresaw: as if the candidate had regressed."""

    def fails(*arguments: object) -> None:
        raise error("planted")

    monkeypatch.setattr(matrix.ready, "choose_engine", fails)
    assert run(*BOTH) == 4
    assert "planted" in capsys.readouterr().err


def test_a_run_that_another_command_writes_is_usage(run: Run, tmp_path: Path) -> None:
    assert run(*BOTH) == 0
    with open_run(only_run(tmp_path)):
        assert run("--resume", str(only_run(tmp_path))) == 2
    assert command.exit_code_of(RunBusy("")) == 2


@pytest.mark.parametrize(("exception", "code"), [(EngineLost, 4), (KeyboardInterrupt, 130)])
def test_what_ends_early_names_the_way_to_go_on(
    tmp_path: Path,
    run: Run,
    engine: PlayedEngine,
    capsys: pytest.CaptureFixture[str],
    exception: type[BaseException],
    code: int,
) -> None:
    engine.stops = {3: (2, exception)}
    assert run(*BOTH, "--seed", "5", script=SLOWER) == code
    directory = only_run(tmp_path)
    said = capsys.readouterr().err
    assert f"--resume {directory}" in said
    assert "stopped; 20 rows are kept" in said
    manifest = json.loads((directory / "manifest.json").read_text())
    assert (manifest["state"], manifest["seed"]) == ("interrupted", 5)
    assert not (directory / "gate.json").exists()
    engine.states.clear()
    assert run("--resume", directory.name) == 1
    assert engine.states == {"running"}, "while it goes on, it does"
    assert json.loads((directory / "manifest.json").read_text())["state"] == "done"
    resumed = read(directory / "gate.json")
    assert [cell.cell.partition(" ")[0] for cell in resumed.cells if cell.verdict == "regressed"] == ["micro/softmax"]
    assert resumed.seed == 5
    launches = [request.spec.launch for request in engine.requests]
    assert sorted(set(launches)) == list(range(resumed.launches))
    assert len(launches) == resumed.launches + 1


def test_a_resumed_gate_compares_what_it_was_begun_with(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*BOTH) == 0
    directory = only_run(tmp_path)
    assert run("--resume", str(directory), "--candidate", "other") == 2
    assert "the candidate of" in capsys.readouterr().err
    assert run("--resume", str(directory), *BOTH) == 0


def test_runs_of_the_gate_and_of_bench_are_resumed_by_their_own_command(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*BOTH) == 0
    directory = only_run(tmp_path)
    monkeypatch.setattr(matrix.__main__, "interruptible", contextlib.nullcontext)
    options = ["--config", str(tmp_path / "matrix.toml"), "bench", "cpu", "--resume", str(directory)]
    assert matrix.__main__.main(options) == SelectionError.exit_code
    assert "nox -s gate -- --resume" in capsys.readouterr().err
    manifest = json.loads((directory / "manifest.json").read_text())
    del manifest["gate"]
    (directory / "manifest.json").write_text(json.dumps(manifest))
    assert run("--resume", str(directory)) == 2
    assert "is no run of the gate" in capsys.readouterr().err


def test_lost_cells_are_lost_after_resuming_too(tmp_path: Path, run: Run) -> None:
    sides = ("--baseline", "other", "--candidate", "cpu")
    assert run(*sides) == 1
    report = read(only_run(tmp_path) / "gate.json")
    assert len(report.lost_cells) == 6
    assert all("eager" in cell for cell in report.lost_cells)
    assert run("--resume", str(only_run(tmp_path))) == 1
    assert read(only_run(tmp_path) / "gate.json").cells == report.cells


def test_no_time_left_is_inconclusive_and_can_be_gone_on_with(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    baseline = tmp_path / "release.json"
    assert run(*BOTH, "--max-duration", "0.001s", "--save-baseline", str(baseline)) == 3
    said = capsys.readouterr()
    assert (said.out + said.err).count("next: --resume") == 1
    assert f"no baseline was written to {baseline}: the time was up before all was measured" in said.err
    assert not baseline.exists()
    assert "next: --resume " in said.out
    assert "mend what the reasons name" not in said.out
    report = read(only_run(tmp_path) / "gate.json")
    assert report.blocks == 0
    assert report.notes == ("the time was up with 6 cells undecided: the run can be resumed with more",)
    assert run("--resume", str(only_run(tmp_path)), "--max-duration", "1h") == 0


def test_a_run_on_two_machines_is_no_pass(tmp_path: Path, run: Run, engine: PlayedEngine) -> None:
    engine.stops = {4: (0, KeyboardInterrupt)}
    assert run(*BOTH) == 130
    engine.machine = {"cpu": "another", "cores": 64}
    assert run("--resume", str(only_run(tmp_path))) == 3
    report = read(only_run(tmp_path) / "gate.json")
    assert report.capped == report.why == "launches ran on 2 machines: fake, 2 cores; another, 64 cores"


def test_a_step_of_github_s_has_the_summary(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert run(*BOTH, script=SLOWER) == 1
    assert "micro/softmax" in (tmp_path / "summary.md").read_text()


def parsed(*arguments: str) -> argparse.Namespace:
    return make_parser().parse_args(arguments)


def images(sources: Mapping[str, Source]) -> list[PlannedImage]:
    return [image_of(source) for source in sources.values()]


def test_an_image_reference_borrows_the_settings_of_the_other_side() -> None:
    baseline, candidate = images(choose_sources(parsed("--baseline", "cpu@old", "--candidate", "docker://registry/new"), MATRIX))
    assert (baseline.label, candidate.label, candidate.name) == ("cpu@old", "docker://registry/new", "cpu")
    baseline, candidate = images(
        choose_sources(parsed("--baseline", "docker://a", "--candidate", "docker://b", "--image", "other"), MATRIX)
    )
    assert (baseline.name, candidate.name, baseline.label) == ("other", "other", "docker://a")


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("2h", 7200), ("3600s", 3600), ("1h30m", 5400), ("1.5h", 5400)])
def test_times_as_people_write_them(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "m", "0s", "-1h", "1h ", "200h", "1d", "h1", "1h30"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration_seconds(text)


def test_machines_of_a_run() -> None:
    gpu = {"name": "H200", "driver": "570"}
    starts = [{"machine": {"cpu": "C", "cores": 8}}, {"machine": {"cpu": "C", "cores": 8}, "gpus": [gpu]}, {}]
    assert machines({"starts": starts}) == ("C, 8 cores + H200 (driver 570)",)
    assert caps([conditions_of({"starts": starts}, "cpu")], interleaved=True) == ()
    other = {"machine": {"cpu": "C", "cores": 8}, "gpus": [{"name": "H200", "driver": "580"}]}
    (cap,) = caps([conditions_of({"starts": [*starts, other]}, "cpu")], interleaved=True)
    assert "2 machines" in cap.reason
    assert cap.everything
    assert machines({}) == ()
