"""Gates whose rows were measured before: runs, baseline files, and an anchor beside a baseline."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cell import Cell
from matrix.plan import PlannedImage, Selection, selected
from reports.gate.baseline_file import BaselineUnreadable, read_baseline, write_baseline
from reports.gate.conditions import ONE_BY_ONE, Conditions, caps
from reports.gate.outputs.as_json import read
from reports.gate.procedure import Verdict
from reports.gate.report import Decision, GateReport
from reports.gate.stored import in_turn, read_run
from tests.fake_engine import Played, PlayedEngine, Script
from tests.unit.gate_runs import MATRIX, NEW, OLD, alike, gate, planted, setup_of
from tests.unit.test_gate_command import BOTH, Run, engine, only_run, run

__all__ = ["engine", "run"]

SLOWER = planted(softmax=Played(seconds=1.2e-3))


def report_of(results: Path, name: str = "gate.json") -> GateReport:
    """Of the newest gate."""
    return read(max(results.glob(f"*/{name}"), key=lambda path: path.stat().st_mtime_ns))


def verdict(report: GateReport, workload: str) -> Verdict:
    return next(cell.verdict for cell in report.cells if cell.cell.startswith(f"micro/{workload} "))


class TestOneRun:
    """Launches that took turns are as good as if they were measured now."""

    def test_both_sides_of_a_gate_s_run_give_its_verdicts_again(self, tmp_path: Path, run: Run, engine: PlayedEngine) -> None:
        assert run(*BOTH, script=SLOWER) == 1
        first, directory = report_of(tmp_path / "results"), only_run(tmp_path)
        launches = len(engine.requests)
        assert run("--baseline", f"{directory}#baseline", "--candidate", f"{directory}#candidate") == 1
        again = report_of(tmp_path / "results")
        assert len(engine.requests) == launches, "nothing is measured"
        assert [(c.cell, c.verdict, c.findings[0].ratio) for c in again.cells] == [
            (c.cell, c.verdict, c.findings[0].ratio) for c in first.cells
        ]
        assert (again.capped, again.launches, again.placebo) == ("", 0, None)
        assert again.machine == first.machine == "fake, 2 cores"
        assert (again.candidate.source, again.candidate.digest) == (str(directory), first.candidate.digest)

    def test_a_name_under_results_is_a_run_and_its_candidate_the_default(self, tmp_path: Path, run: Run) -> None:
        assert run(*BOTH) == 0
        name = only_run(tmp_path).name
        assert run("--baseline", f"{name}#{OLD.label}", "--candidate", name) == 0
        assert report_of(tmp_path / "results").candidate.label == NEW.label

    @pytest.mark.parametrize(("which", "message"), [("#nobody", "has no 'nobody'"), ("#", "pass")])
    def test_an_image_that_is_not_in_the_run_is_named(
        self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], which: str, message: str
    ) -> None:
        assert run(*BOTH) == 0
        code = run("--baseline", f"{only_run(tmp_path)}#baseline", "--candidate", f"{only_run(tmp_path)}{which}")
        assert (code, message if code == 2 else "pass") == (2 if message != "pass" else 0, message)
        if code:
            shown = capsys.readouterr().err
            assert message in shown
            assert "#candidate" in shown


class TestAnotherRun:
    def test_a_stored_baseline_tells_numbers_and_no_verdict_on_time(
        self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(*BOTH) == 0
        stored = only_run(tmp_path)
        assert run("--baseline", f"{stored}#baseline", "--candidate", "cpu@new", script=SLOWER) == 3
        found = report_of(tmp_path / "results")
        assert (found.decision, found.capped) == (Decision.INCONCLUSIVE, ONE_BY_ONE)
        finding = next(cell for cell in found.cells if cell.cell.startswith("micro/softmax ")).findings[0]
        assert finding.verdict == Verdict.INCONCLUSIVE
        assert finding.ratio == pytest.approx(1.2, rel=0.05)
        assert finding.blocks == 6, "as many as there were"
        assert "measure both images now" in capsys.readouterr().out

    def test_what_crashes_is_a_regression_whenever_it_did(self, tmp_path: Path, run: Run) -> None:
        assert run(*BOTH) == 0
        crash = planted(sort=Played(status="crash:SIGSEGV"))
        assert run("--baseline", f"{only_run(tmp_path)}#baseline", "--candidate", "cpu@new", script=crash) == 1
        assert verdict(report_of(tmp_path / "results"), "sort") == Verdict.REGRESSED

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            (lambda manifest: manifest.update(harness_sha256="0" * 64), "another harness"),
            (lambda manifest: manifest["matrix"]["run"].update(tf32=True), "another matrix: run.tf32 (True and False)"),
            (lambda manifest: manifest["starts"][0]["machine"].update(cpu="other"), "launches ran on 2 machines"),
            (lambda manifest: [start["machine"].update(cpu="other") for start in manifest["starts"]], "another machine: other"),
            (
                lambda manifest: [start.update(gpus=[{"name": "H200", "driver": "580"}]) for start in manifest["starts"]],
                "H200 (driver 580)",
            ),
        ],
        ids=["harness", "matrix", "two machines", "machine", "gpu"],
    )
    def test_other_conditions_leave_nothing_to_tell(
        self, tmp_path: Path, run: Run, changed: Callable[[dict[str, object]], object], reason: str
    ) -> None:
        assert run(*BOTH) == 0
        path = only_run(tmp_path) / "manifest.json"
        manifest = json.loads(path.read_text())
        changed(manifest)
        path.write_text(json.dumps(manifest))
        crash = planted(sort=Played(status="crash:SIGSEGV"))
        assert run("--baseline", f"{path.parent}#baseline", "--candidate", "cpu@new", script=crash) == 3
        found = report_of(tmp_path / "results")
        assert reason in found.capped
        assert {cell.verdict for cell in found.cells} == {Verdict.INCONCLUSIVE}

    def test_a_cell_that_only_the_stored_baseline_has_is_lost(self, tmp_path: Path, run: Run) -> None:
        assert run("--baseline", "cpu@old", "--candidate", "cpu@new") == 0
        stored = only_run(tmp_path)
        (tmp_path / "matrix.toml").write_text((tmp_path / "matrix.toml").read_text().replace('"micro/sort", ', ""))
        assert run("--baseline", f"{stored}#baseline", "--candidate", "cpu@new") == 1
        assert report_of(tmp_path / "results").lost_cells == ("micro/sort inductor cpu inference float32 small",)

    def test_a_resumed_gate_wants_the_rows_that_it_was_begun_with(
        self, tmp_path: Path, run: Run, engine: PlayedEngine, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(*BOTH) == 0
        stored = only_run(tmp_path)
        engine.stops = {len(engine.requests) + 3: (2, KeyboardInterrupt)}
        assert run("--baseline", f"{stored}#baseline", "--candidate", "cpu@new") == 130
        (begun,) = set((tmp_path / "results").iterdir()) - {stored}
        assert run("--resume", str(begun)) == 3
        assert report_of(tmp_path / "results").blocks == 6
        rows = (stored / "results.csv").read_text()
        (stored / "results.csv").write_text(rows + rows.splitlines()[-1] + "\n")
        assert run("--resume", str(begun)) == 2
        assert "has changed since" in capsys.readouterr().err


class TestBaselineFile:
    def test_the_candidate_of_one_gate_is_the_baseline_of_the_next(self, tmp_path: Path, run: Run) -> None:
        path = tmp_path / "release.json"
        assert run(*BOTH, "--save-baseline", str(path)) == 0
        assert read_baseline(path).image == NEW
        assert run("--baseline", str(path), "--candidate", "cpu@new", script=planted(sort=Played(status="OOM"))) == 1
        found = report_of(tmp_path / "results")
        assert (found.baseline.label, found.baseline.source) == (NEW.label, str(path))
        assert verdict(found, "sort") == Verdict.REGRESSED
        assert ONE_BY_ONE in found.capped

    def test_an_image_beside_itself_gives_the_rows_of_both_sides(self, tmp_path: Path, run: Run) -> None:
        path = tmp_path / "release.json"
        assert run("--calibrate", "cpu@old", "--save-baseline", str(path)) == 0
        (turns,) = in_turn({"baseline": read_baseline(path)}).values()
        assert len(turns) == 12

    def test_a_run_becomes_a_file_without_measuring(self, tmp_path: Path, run: Run, engine: PlayedEngine) -> None:
        assert run(*BOTH) == 0
        launches, path = len(engine.requests), tmp_path / "release.json"
        assert run("--candidate", str(only_run(tmp_path)), "--save-baseline", str(path)) == 0
        assert len(engine.requests) == launches
        assert read_baseline(path).rows == read_run(only_run(tmp_path), "candidate").rows

    def test_what_is_written_is_read_back(self, tmp_path: Path) -> None:
        gate(tmp_path, SLOWER)
        stored = read_run(tmp_path / "run", "candidate")
        path = tmp_path / "file.json"
        write_baseline(path, stored)
        again = read_baseline(path)
        assert (again.image, again.cells, again.rows, again.conditions) == (stored.image, stored.cells, stored.rows, stored.conditions)
        assert again.side == read_baseline(path).side
        assert again.side.packages == stored.side.packages

    @pytest.mark.parametrize(
        ("pattern", "replacement", "message"),
        [
            (r"^\{", "", "JSON"),
            (r'"benchmatrix_baseline": 1', '"benchmatrix_baseline": 2', "benchmatrix_baseline"),
            (r'"pass"', '"passed"', "what cannot be measured"),
            (r'"backend_p05_seconds"', '"another"', "another version wrote it"),
            (r'\["0", ', "[", "too few or too many"),
            (r'"workload"', '"work"', "work"),
        ],
    )
    def test_what_is_no_baseline_says_why(
        self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], pattern: str, replacement: str, message: str
    ) -> None:
        path = tmp_path / "release.json"
        assert run(*BOTH, "--save-baseline", str(path)) == 0
        path.write_text(re.sub(pattern, replacement, path.read_text(), count=1))
        with pytest.raises(BaselineUnreadable, match=re.escape(message)):
            read_baseline(path)
        assert run("--baseline", str(path), "--candidate", "cpu@new") == 2
        assert "--save-baseline" in capsys.readouterr().err


class TestAnchor:
    ANCHORED = (*BOTH, "--anchor", "docker://pinned")

    def script(self, *, anchor_seconds: float) -> Script:
        def plays(image: PlannedImage, cell: Cell, launch: int) -> Played:
            is_faster = image.reference == "pinned" and cell.workload == "micro/softmax"
            return Played(seconds=anchor_seconds) if is_faster else Played()

        return plays

    def test_creep_is_seen_against_the_anchor_and_not_against_the_release_before(
        self, tmp_path: Path, run: Run, engine: PlayedEngine
    ) -> None:
        assert run(*self.ANCHORED, script=self.script(anchor_seconds=0.9e-3)) == 1
        directory = only_run(tmp_path)
        assert report_of(tmp_path / "results").decision == Decision.PASS
        anchored = read(directory / "anchor" / "gate.json")
        assert (anchored.decision, anchored.baseline.label) == (Decision.REGRESSED, "docker://pinned")
        assert (directory / "anchor" / "gate.md").exists()

    def test_the_candidate_is_launched_once_for_both(self, tmp_path: Path, run: Run, engine: PlayedEngine) -> None:
        assert run(*self.ANCHORED) == 0
        images = [request.environment.image.label for request in engine.requests]
        assert {label: images.count(label) for label in images} == {OLD.label: 6, NEW.label: 6, "docker://pinned": 6}

    def test_only_what_is_undecided_is_measured_on(self, tmp_path: Path, run: Run, engine: PlayedEngine) -> None:
        assert run(*self.ANCHORED, script=self.script(anchor_seconds=0.9e-3)) == 1
        last = [request for request in engine.requests if request.spec.launch >= 18]
        assert {request.environment.image.label for request in last} == {NEW.label, "docker://pinned"}

    def test_a_gate_with_an_anchor_is_resumed(self, tmp_path: Path, run: Run, engine: PlayedEngine) -> None:
        engine.stops = {5: (2, KeyboardInterrupt)}
        assert run(*self.ANCHORED, script=self.script(anchor_seconds=0.9e-3)) == 130
        assert run("--resume", str(only_run(tmp_path))) == 1
        assert read(only_run(tmp_path) / "anchor" / "gate.json").decision == Decision.REGRESSED
        launches = [request.spec.launch for request in engine.requests]
        assert len(set(launches)) == len(launches) - 1

    def test_an_anchor_from_a_file_caps_its_own_comparison_alone(self, tmp_path: Path, run: Run) -> None:
        path = tmp_path / "anchor.json"
        assert run("--calibrate", "cpu@old", "--save-baseline", str(path)) == 0
        assert run(*BOTH, "--anchor", str(path)) == 3
        newest = report_of(tmp_path / "results")
        assert (newest.decision, newest.capped) == (Decision.PASS, "")
        assert report_of(tmp_path / "results", "anchor/gate.json").capped == ONE_BY_ONE

    def test_the_baseline_is_no_anchor(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(*BOTH, "--anchor", "cpu@old") == 2
        assert "the anchor is the baseline" in capsys.readouterr().err


def test_of_one_run_only_blocks_count_that_both_sides_have(tmp_path: Path) -> None:
    gate(tmp_path, alike)
    sides = {side: read_run(tmp_path / "run", side) for side in ("baseline", "candidate")}
    cell = sides["baseline"].cells[0].id
    whole = in_turn(sides)
    rows = {
        block: {name: row for name, row in found.items() if (block, name) != (2, cell)} for block, found in sides["candidate"].rows.items()
    }
    torn = in_turn({**sides, "candidate": dataclasses.replace(sides["candidate"], rows=rows)})
    assert [turn[cell] for turn in torn["baseline"] if cell in turn] == [
        turn[cell] for place, turn in enumerate(whole["baseline"]) if place != 2
    ]
    alone = in_turn({"candidate": sides["candidate"]})
    assert alone["candidate"] == whole["candidate"]


def test_conditions_of_two_runs() -> None:
    one = Conditions(machines=("C",), harness="h", settings={"run.samples": 30})
    assert caps([one, one], interleaved=True) == ()
    (cap,) = caps([one, one], interleaved=False)
    assert not cap.everything


def test_cells_that_are_there_are_selected_as_cells_that_are_planned() -> None:
    cells = setup_of().cells
    assert selected(MATRIX, cells, Selection()) == list(cells)
    assert [cell.workload for cell in selected(MATRIX, cells, Selection(only=("micro/sort",)))] == ["micro/sort"]
    assert selected(MATRIX, cells, Selection(backends=("eager",))) == []
    assert selected(MATRIX, cells, Selection(filter=("sort",), exclude=("micro",))) == []


class TestWhatIsNotCompared:
    def test_rows_beside_themselves(self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(*BOTH, script=SLOWER) == 1
        directory = only_run(tmp_path)
        for which in ("", "#candidate", f"#{NEW.label}"):
            assert run("--baseline", str(directory), "--candidate", f"{directory}{which}") == 2
            assert "RUN#baseline and RUN#candidate" in capsys.readouterr().err

    def test_a_run_and_a_file_in_which_nothing_was_measured(self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "release.json"
        assert run(*BOTH, "--save-baseline", str(path)) == 0
        stored = only_run(tmp_path)
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "rows": []}))
        assert run("--baseline", str(path), "--candidate", "cpu@new") == 2
        assert "it has no row: nothing was measured" in capsys.readouterr().err
        (stored / "results.csv").unlink()
        assert run("--baseline", f"{stored}#baseline", "--candidate", f"{stored}#candidate") == 2
        assert f"{stored} has no row of baseline: nothing was measured" in capsys.readouterr().err

    def test_a_manifest_that_does_not_read_is_named(self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(*BOTH) == 0
        stored = only_run(tmp_path)
        manifest = json.loads((stored / "manifest.json").read_text())
        del manifest["cells"]
        (stored / "manifest.json").write_text(json.dumps(manifest))
        assert run("--baseline", f"{stored}#baseline", "--candidate", "cpu@new") == 2
        assert f"the manifest of the run {stored.name} cannot be read" in capsys.readouterr().err

    def test_a_file_has_one_image(self, tmp_path: Path, run: Run) -> None:
        path = tmp_path / "release.json"
        assert run(*BOTH, "--save-baseline", str(path)) == 0
        assert run("--baseline", f"{path}#candidate", "--candidate", "cpu@new") == 2

    @pytest.mark.parametrize(
        ("pattern", "replacement"),
        [
            (r'"workload": "micro/sort"', '"workload": 7'),
            (r'"batch_size": null', '"batch_size": -7'),
            (r'"size_bytes": [^,]*,', '"size_bytes": -1,'),
            (r'\["0", ', '["-5", '),
            (r'(\["0", [^\n]*\],\n)', r"\1\1"),
            (r'(\["0", "[0-9]+", ")micro/sort', r"\1micro/other"),
        ],
    )
    def test_a_baseline_file_that_no_run_leaves(self, tmp_path: Path, run: Run, pattern: str, replacement: str) -> None:
        path = tmp_path / "release.json"
        assert run(*BOTH, "--save-baseline", str(path)) == 0
        text = path.read_text()
        changed = re.sub(pattern, replacement, text, count=1)
        assert changed != text
        path.write_text(changed)
        assert run("--baseline", str(path), "--candidate", "cpu@new") == 2


class TestEnding:
    """What is said once holds when the gate is resumed."""

    def test_where_a_baseline_cannot_be_saved_is_told_before_anything_is_measured(
        self, tmp_path: Path, run: Run, engine: PlayedEngine
    ) -> None:
        (tmp_path / "other.json").write_text("{}")
        for path in ("no/such/folder.json", str(tmp_path), str(tmp_path / "other.json")):
            assert run(*BOTH, "--save-baseline", path) == 2
        assert engine.requests == []
        assert (tmp_path / "other.json").read_text() == "{}"

    def test_a_killed_gate_keeps_its_wishes(self, tmp_path: Path, run: Run, engine: PlayedEngine) -> None:
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        (folder / "matrix.toml").write_text((tmp_path / "matrix.toml").read_text())
        (folder / "expected_failures.toml").write_text(
            '[[expected]]\nworkload = ["micro/sort"]\nstatus = ["OOM"]\nreason = "known"\nexpires = 9999-12-31\n'
        )
        engine.stops = {3: (2, KeyboardInterrupt)}
        path = tmp_path / "release.json"
        wishes = ("--config", str(folder / "matrix.toml"), "--save-baseline", str(path), "--inconclusive", "pass")
        assert run(*BOTH, *wishes, script=planted(sort=Played(status="OOM"), softmax=Played(noise=0.5))) == 130
        assert run("--resume", str(only_run(tmp_path))) == 0
        assert path.exists()
        assert report_of(tmp_path / "results").decision == Decision.INCONCLUSIVE
        assert run("--resume", str(only_run(tmp_path)), "--inconclusive", "fail") == 3

    @pytest.mark.parametrize("option", ["--anchor", "--calibrate"])
    def test_sides_that_the_run_does_not_have_are_refused(self, tmp_path: Path, run: Run, option: str) -> None:
        assert run(*BOTH) == 0
        assert run("--resume", str(only_run(tmp_path)), option, "other") == 2

    @pytest.mark.parametrize("broken", [{"comparisons": "x"}, {"stored": None}, {"replay": None}, {"ending": None}])
    def test_a_manifest_that_does_not_say_what_is_compared(
        self, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], broken: dict[str, object]
    ) -> None:
        assert run(*BOTH) == 0
        path = only_run(tmp_path) / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["gate"] |= broken
        path.write_text(json.dumps(manifest))
        assert run("--resume", str(only_run(tmp_path))) == 2
        assert "start a new gate" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["[[gate.margin]]\nworkload = ['micro/softmax']\nreason = 'x'\nmargin", "[gate.margins]\nlatency"])
def test_a_margin_that_does_not_say_whether_it_blocks_blocks_as_before(tmp_path: Path, run: Run, where: str) -> None:
    with (tmp_path / "matrix.toml").open("a") as file:
        file.write(f"\n{where} = {{ delta = 0.02, tolerable = 0.05 }}\n")
    assert run(*BOTH, script=SLOWER) == 1
