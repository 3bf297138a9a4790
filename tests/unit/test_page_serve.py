"""How it stands with the runs of a page that is served."""

from __future__ import annotations

import fcntl
import json
import time
from pathlib import Path

import pytest

from matrix.store import LOCK, MANIFEST, is_abandoned, open_run
from reports.page import serve
from reports.page.serve import Maker, Standing
from tests.unit.page_runs import manifest_of, row, write_run


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Of a run that has one of two planned rows."""
    monkeypatch.setattr(serve, "REST_SECONDS", 0.0)
    monkeypatch.setattr(serve, "REST_PER_SECOND", 0.0)
    run = write_run(tmp_path / "run", [row()], manifest=manifest_of(["cpu@1"], ["cpu@1"], planned_rows=2))
    (run / LOCK).touch()
    return Maker([run], tmp_path / "report.html", "")


def settled(maker: Maker) -> Standing:
    """What it says when it has made the page of what there is."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = maker.state()
        if not found["making"] and serve.stamp_of(maker._runs) == maker._made:
            return Standing(str(maker.state()["standing"]))
        time.sleep(0.01)
    raise AssertionError("the page is not made")


def test_a_run_goes_on_while_a_command_has_it_open_and_has_ended_when_all_rows_are_there(maker: Maker, tmp_path: Path) -> None:
    with open_run(tmp_path / "run"):
        maker.make()
        assert maker.state()["standing"] == Standing.RUNNING
        write_run(tmp_path / "run", [row("micro/other")])
        assert settled(maker) == Standing.RUNNING, "all rows are there, and its command is not done"
    assert settled(maker) == Standing.ENDED
    assert settled(maker) == Standing.ENDED, "it answers as long as it is asked"


def test_a_run_whose_command_was_killed_is_interrupted_and_its_page_says_so(maker: Maker, tmp_path: Path) -> None:
    manifest = tmp_path / "run" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"state": "running"}))
    with open_run(tmp_path / "run"):
        maker.make()
        assert "Measuring" in maker.output.read_text()
    assert settled(maker) == Standing.INTERRUPTED, "no file of it has changed"
    assert "Measuring" not in maker.output.read_text()
    assert "Not finished" in maker.output.read_text()


def test_what_the_page_does_not_show_yet_is_not_ended(maker: Maker, tmp_path: Path) -> None:
    write_run(tmp_path / "run", [row("micro/other")])
    maker.make()
    assert maker.state()["standing"] == Standing.ENDED
    maker._next = float("inf")
    write_run(tmp_path / "run", [row("micro/third")])
    assert maker.state()["standing"] == Standing.RUNNING


def test_two_that_ask_whether_a_run_is_open_are_not_each_others_command(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [row()])
    (run / LOCK).touch()
    with (run / LOCK).open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert is_abandoned(run)


def test_what_nobody_has_thought_of_is_told_to_the_reader_and_the_page_stays(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maker.make()
    page = maker.output.read_text(encoding="utf-8")

    def fail(*_: object) -> None:
        raise OverflowError("planted")

    monkeypatch.setattr(serve, "build", fail)
    write_run(tmp_path / "run", [row(), row("micro/sort")], manifest=manifest_of(["cpu@1"], ["cpu@1"], planned_rows=2))
    deadline = time.monotonic() + 30
    while not (found := maker.state())["error"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert found["error"] == "the page could not be made: OverflowError: planted"
    assert maker.output.read_text(encoding="utf-8") == page
    assert "planted" in capsys.readouterr().err
