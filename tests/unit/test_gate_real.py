"""The benchmark of real gates: its table and the gates that it draws, from gates on the played engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.config import load_matrix
from reports.gate.report import Decision
from tests.benchmarks.gate_real import SERIES, launches, reports_of, row, show, windows
from tests.unit.test_gate_command import Run, engine, run

__all__ = ["engine", "run"]


def test_gates_are_drawn_from_the_launches_of_an_image_beside_itself(tmp_path: Path, run: Run) -> None:
    for number in range(2):
        assert run("--calibrate", "cpu@old", "--seed", str(number), "--results", str(tmp_path / f"aa-{number}")) == 0
    config = tmp_path / "matrix.toml"
    assert load_matrix(config).gate.looks == (6,)
    stored = launches(tmp_path)
    assert [len(each.rows) for each in stored] == [6] * 4
    drawn = list(windows(stored, 20, config))
    assert [each.decision for each in drawn] == [Decision.PASS] * 20
    assert {len(each.cells) for each in drawn} == {6}


def test_the_table_counts_what_was_named(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--calibrate", "cpu@old", "--results", str(tmp_path / "aa-0")) == 0
    (report,) = reports_of(SERIES[0], tmp_path)
    assert row(SERIES[0], [report])[:4] == ("the image beside itself", "1 of 10", "1 pass", "1 of 1")
    show(tmp_path, tmp_path / "matrix.toml")
    assert "0 of 2 gates of the image beside itself (1 measured, 1 drawn from their launches) blocked" in capsys.readouterr().out
