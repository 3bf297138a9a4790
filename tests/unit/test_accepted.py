"""What was agreed to of an image's cells: written from runs, read by gates, and never changed by what nobody measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.records import Row, Status
from matrix.config import SUITES, load_matrix
from matrix.errors import ConfigError
from matrix.plan import Selection, cells_of, choose_image
from reports.accept import DIFFERS, main
from reports.accepted import FOLDER, accepted_for, became, changes, read_accepted, write_accepted
from reports.gate.judge import judge
from reports.gate.procedure import Verdict
from reports.gate.report import Decision
from tests.conftest import SOURCE
from tests.unit.gate_blocks import after, candidates, noisy, setup_with
from tests.unit.page_runs import failed, manifest_of, row, write_run

FAILS = {"status": Status.OOM, "backend_p05_seconds": None}


def accept(folder: Path, *arguments: str) -> int:
    folder.mkdir(exist_ok=True)
    (folder / "matrix.toml").write_text((SOURCE / "matrix.toml").read_text())
    return main([*arguments, "--config", str(folder / "matrix.toml")])


def run_of(folder: Path, *rows: Row) -> str:
    return str(write_run(folder, [replace(each, experiment="performance") for each in rows]))


def test_statuses_are_written_and_a_later_run_is_held_against_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run_of(tmp_path / "first", row("micro/softmax"), failed("micro/sum_all", status=Status.OOM))
    assert accept(tmp_path, first) == 0
    file = tmp_path / "accepted" / "cpu@1.csv"
    assert file.read_text().splitlines()[0] == "cell,status"
    known = read_accepted(file)
    assert sorted(known.values()) == [Status.OOM, Status.PASS]
    assert accept(tmp_path, first, "--check") == 0
    assert "2 cells, as accepted" in capsys.readouterr().out

    second = run_of(tmp_path / "second", failed("micro/softmax", status=Status.TIMEOUT))
    before = file.read_text()
    assert accept(tmp_path, second, "--check") == DIFFERS
    said = capsys.readouterr()
    assert "1 of 1 cell differs" in said.out
    assert "pass -> timeout" in said.out
    assert f"next: mend it, or accept it: nox -s accept -- {second}" in said.err
    assert file.read_text() == before, "who checks changes nothing"

    assert accept(tmp_path, second) == 0
    assert sorted(read_accepted(file).values()) == [Status.OOM, Status.TIMEOUT], "what was not measured stays"


def test_a_file_is_sorted_and_the_same_from_the_same(tmp_path: Path) -> None:
    rows = [row("micro/softmax"), row("micro/layer_norm"), row("micro/sum_all")]
    assert accept(tmp_path / "a", run_of(tmp_path / "one", *rows)) == 0
    assert accept(tmp_path / "b", run_of(tmp_path / "two", *reversed(rows))) == 0
    texts = [(tmp_path / each / "accepted" / "cpu@1.csv").read_text() for each in "ab"]
    assert texts[0] == texts[1]


def test_what_the_engine_lost_says_nothing(tmp_path: Path) -> None:
    rows = [row("micro/softmax"), failed("micro/sum_all", status=Status.INFRA_ERROR)]
    assert accept(tmp_path, run_of(tmp_path / "run", *rows)) == 0
    assert len(read_accepted(tmp_path / "accepted" / "cpu@1.csv")) == 1
    assert accept(tmp_path, run_of(tmp_path / "lost", rows[1])) != 0


def test_of_several_launches_the_most_frequent_failure_counts() -> None:
    assert became([Status.PASS, Status.OOM, Status.TIMEOUT, Status.OOM]) == Status.OOM
    assert became([Status.PASS, Status.PASS]) == Status.PASS
    assert became([]) == ""


def test_each_image_of_a_run_has_its_file(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", row(image="cpu@1"), row(image="cpu@2"))
    assert accept(tmp_path, run) == 0
    assert sorted(path.name for path in (tmp_path / "accepted").iterdir()) == ["cpu@1.csv", "cpu@2.csv"]
    assert accept(tmp_path, run, "--as", "cpu@3") == 2, "which of them?"


def test_an_image_by_reference_needs_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(tmp_path / "run", row(image="docker://registry/cpu:1"))
    assert accept(tmp_path, run) == 2
    assert f"next: nox -s accept -- {run} --as IMAGE@VERSION" in capsys.readouterr().err
    assert accept(tmp_path, run, "--as", "cpu@1") == 0
    assert accepted_for(tmp_path / "accepted", "docker://registry/cpu:2", "cpu@1").file == "accepted/cpu@1.csv"


def test_a_name_that_is_no_images_makes_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert accept(tmp_path, run_of(tmp_path / "run", row()), "--as", "cup@1") == 2
    assert "cup@1 is no image of" in capsys.readouterr().err
    assert not (tmp_path / "accepted").exists()


def test_what_other_settings_made_is_not_expected_of_every_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = load_matrix(SOURCE / "matrix.toml").model_dump(mode="json")
    rows = [replace(row(), experiment="performance")]
    settings: tuple[dict[str, object], ...] = ({}, {"torch_config": {"inductor.fallback_random": True}}, {"distributed": "ddp"})
    for number, changed in enumerate(settings):
        about = manifest_of(["cpu@1"], ["cpu@1"], matrix={**matrix, "run": {**matrix["run"], **changed}})
        run = write_run(tmp_path / f"run-{number}", rows, manifest=about)
        assert accept(tmp_path, str(run)) == (2 if changed else 0)
        said = capsys.readouterr().err
        assert all(name in said for name in changed)
        assert ("next:" in said) == bool(changed)


def test_a_run_that_is_not_there_or_measured_nothing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert accept(tmp_path, str(tmp_path / "nowhere")) != 0
    assert "next:" in capsys.readouterr().err
    assert accept(tmp_path, run_of(tmp_path / "empty")) == 2
    assert not (tmp_path / "accepted").exists()


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "first line"),
        ("name,accuracy\n", 1, "first line"),
        ("cell,status\na,pass\na,OOM\n", 3, "twice"),
        ("cell,status\na,fine\n", 2, "no status"),
        ("cell,status\na\n", 2, "1 fields"),
        ("\udcff", 1, "cannot be read"),
    ],
)
def test_a_file_that_does_not_read_is_named_with_its_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    path = tmp_path / "cpu.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=why) as caught:
        read_accepted(path)
    assert f"cpu.csv:{line}: " in str(caught.value)


def test_ways_of_passing_are_no_change() -> None:
    assert changes({"a": Status.PASS}, {"a": Status.PASS_DUE_TO_SKIP}) == []
    assert [str(each) for each in changes({"a": Status.PASS}, {"a": Status.OOM, "b": Status.PASS})] == ["a: pass -> OOM", "b: new -> pass"]


class TestGate:
    @staticmethod
    def gated(folder: Path, status: str, makes: object) -> object:
        setup = setup_with("a", "b")
        write_accepted(folder / f"{setup.candidate.label}.csv", {setup.ids[0]: status})
        agreed = accepted_for(folder, setup.candidate.label, setup.baseline.label)
        return judge(setup, after(setup, 6, makes, noisy()), accepted=agreed)  # type: ignore[arg-type]

    def test_what_fails_in_both_and_was_accepted_as_passing_has_regressed(self, tmp_path: Path) -> None:
        found = self.gated(tmp_path, Status.PASS, candidates(FAILS, FAILS))
        worst = found.cells[0]  # type: ignore[attr-defined]
        assert found.decision == Decision.REGRESSED  # type: ignore[attr-defined]
        assert worst.verdict == Verdict.REGRESSED
        assert f"{tmp_path.name}/" in worst.findings[0].reason
        assert "has pass, and the candidate failed 6 of 6 launches: OOM" in worst.findings[0].reason

    def test_what_fails_as_accepted_is_as_it_was(self, tmp_path: Path) -> None:
        found = self.gated(tmp_path, Status.OOM, candidates(FAILS, FAILS))
        assert {cell.verdict for cell in found.cells} <= {Verdict.EQUIVALENT, Verdict.INCONCLUSIVE}  # type: ignore[attr-defined]

    def test_what_fails_otherwise_has_regressed(self, tmp_path: Path) -> None:
        found = self.gated(tmp_path, Status.TIMEOUT, candidates(FAILS, FAILS))
        assert found.cells[0].verdict == Verdict.REGRESSED  # type: ignore[attr-defined]

    def test_what_passes_though_it_was_accepted_as_failing_is_said(self, tmp_path: Path) -> None:
        found = self.gated(tmp_path, Status.OOM, noisy())
        assert found.decision != Decision.REGRESSED  # type: ignore[attr-defined]
        assert any("nox -s accept" in note for note in found.notes)  # type: ignore[attr-defined]

    def test_a_new_version_is_held_against_the_one_before(self, tmp_path: Path) -> None:
        setup = setup_with("a")
        write_accepted(tmp_path / f"{setup.baseline.label}.csv", {setup.ids[0]: Status.PASS})
        assert accepted_for(tmp_path, "new@9", setup.baseline.label).statuses == {setup.ids[0]: Status.PASS}
        assert accepted_for(tmp_path, "new@9", "other@1").statuses == {}


@pytest.mark.parametrize("path", sorted((SOURCE / FOLDER).glob("*.csv")), ids=lambda path: path.stem)
def test_what_the_repository_accepts_is_what_its_images_can_run(path: Path) -> None:
    matrix = load_matrix(SOURCE / "matrix.toml", SOURCE / SUITES)
    image = choose_image(path.stem, matrix, "")
    selections = [Selection(suites=suites, modes=("inference", "training")) for suites in ((), *((name,) for name in matrix.suites))]
    planned = {cell.id for selection in selections for cell in cells_of(matrix, image, selection)[0]}
    assert set(read_accepted(path)) <= planned
