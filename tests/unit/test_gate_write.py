"""A gate's files: whole or not at all, and a summary that GitHub takes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from reports.gate.outputs import write
from reports.gate.outputs.as_json import read
from reports.gate.outputs.markdown import COMMENT_BYTES, STEP_SUMMARY_BYTES
from reports.gate.outputs.write import write_outputs
from reports.gate.report import Decision
from tests.unit.gate_samples import EVERYTHING, hostile, large

FILES = {"gate.json", "gate.md", "gate.junit.xml", "badge.svg", "badge.json"}


def test_every_output_is_there_and_says_the_same(tmp_path: Path) -> None:
    assert write_outputs(EVERYTHING, tmp_path, None) == ""
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert read(tmp_path / "gate.json") == EVERYTHING
    assert "Gate: regressed" in (tmp_path / "gate.md").read_text()
    assert ET.parse(tmp_path / "gate.junit.xml").getroot().get("failures") == "2"
    assert "regressed" in (tmp_path / "badge.svg").read_text()
    assert json.loads((tmp_path / "badge.json").read_text())["message"].startswith("regressed")


def test_a_second_gate_replaces_what_the_first_left(tmp_path: Path) -> None:
    write_outputs(EVERYTHING, tmp_path, None)
    write_outputs(dataclasses.replace(EVERYTHING, decision=Decision.PASS), tmp_path, None)
    assert read(tmp_path / "gate.json").decision == Decision.PASS
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_a_writer_that_dies_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_outputs(EVERYTHING, tmp_path, None)
    before = (tmp_path / "gate.json").read_text()

    def killed(path: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_outputs(dataclasses.replace(EVERYTHING, why="another"), tmp_path, None)
    assert (tmp_path / "gate.json").read_text() == before


def test_hostile_and_large_reports_are_written_whole(tmp_path: Path) -> None:
    for found in (hostile(), large(10_000)):
        summary = tmp_path / f"{len(found.cells)}.md"
        assert write_outputs(found, tmp_path, summary) == ""
        ET.parse(tmp_path / "gate.junit.xml")
        assert len(read(tmp_path / "gate.json").cells) == len(found.cells)
        assert (tmp_path / "gate.md").stat().st_size <= COMMENT_BYTES
        assert summary.stat().st_size <= STEP_SUMMARY_BYTES


def test_the_steps_summary_is_appended_to_and_counts_what_is_there(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("of another command")
    assert write_outputs(EVERYTHING, tmp_path, summary) == ""
    assert summary.read_text().startswith("of another command\n\n## ")
    summary.write_text("x" * (STEP_SUMMARY_BYTES - 100_000))
    assert write_outputs(large(10_000), tmp_path, summary) == ""
    assert summary.stat().st_size <= STEP_SUMMARY_BYTES


def test_a_full_summary_is_left_alone_and_said(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("x" * (STEP_SUMMARY_BYTES - 10))
    assert "is full" in write_outputs(EVERYTHING, tmp_path, summary)
    assert summary.stat().st_size == STEP_SUMMARY_BYTES - 10


def test_a_summary_that_cannot_be_written_costs_no_verdict(tmp_path: Path) -> None:
    assert "cannot be written" in write_outputs(EVERYTHING, tmp_path, tmp_path / "nowhere" / "summary.md")
    assert read(tmp_path / write.JSON) == EVERYTHING


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write_outputs(EVERYTHING, tmp_path / "nowhere", None)
