"""What a process said survives it, torn or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.journal import JournalWriter, read_journal
from harness.launch import outcome
from harness.process import Ended
from harness.records import Taken, Warn


def test_everything_said_is_read(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j", tmp_path / "artifacts")
    writer.phase("eager")
    writer.set(speedup=2.0, batch_size=None)
    writer.warn(Warn.RECOMPILED)
    writer.warn(Warn.RECOMPILED)
    writer.samples([Taken("eager", "host", 0.25, 0.5, 3, "contended")])
    writer.artifact("note").write_text("kept")
    writer.finish("pass")
    journal = read_journal(tmp_path / "j")
    assert (journal.phase, journal.fields, journal.status) == ("eager", {"speedup": 2.0}, "pass")
    assert journal.warnings == ["recompiled"]
    assert journal.samples == [Taken("eager", "host", 0.25, 0.5, 3, "contended")]
    assert (tmp_path / "artifacts" / "note").read_text() == "kept"


def test_a_torn_line_and_infinite_numbers_are_passed_over(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j", tmp_path / "artifacts")
    writer.set(speedup=1.5, backend_error=float("inf"), eager_error=float("nan"))
    with (tmp_path / "j").open("a") as file:
        file.write('[1]\n{"status": "pa')
    journal = read_journal(tmp_path / "j")
    assert journal.fields == {"speedup": 1.5}
    assert journal.status is None


def test_a_column_that_does_not_exist_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no such column: speedip"):
        JournalWriter(tmp_path / "j", tmp_path / "artifacts").set(speedip=1)


def ended(**how: object) -> Ended:
    return Ended(wall_seconds=1.0, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"signal": 11}, "crash:SIGSEGV"),
        ({"signal": 9}, "crash:SIGKILL"),
        ({"signal": 9, "out_of_memory": True}, "OOM"),
        ({"signal": 9, "timed_out": True}, "timeout"),
        ({"exit_code": 3}, "crash:exit3"),
        ({"exit_code": 0}, "crash:exit0"),
    ],
)
def test_a_silent_end_has_a_status_and_names_its_phase(tmp_path: Path, how: dict[str, object], status: str) -> None:
    JournalWriter(tmp_path / "j", tmp_path / "artifacts").phase("first call")
    found, reason = outcome(read_journal(tmp_path / "j"), ended(**how), 5.0)
    assert found == status
    assert "'first call'" in reason


@pytest.mark.parametrize("phase", ["memory", "energy", "transfer", "graph"])
def test_what_dies_after_it_was_timed_has_passed(tmp_path: Path, phase: str) -> None:
    writer = JournalWriter(tmp_path / "j", tmp_path / "artifacts")
    writer.set(speedup=2.0)
    writer.phase(phase)
    journal = read_journal(tmp_path / "j")
    status, reason = outcome(journal, ended(signal=11), 5.0)
    assert status == "pass"
    assert journal.warnings == ["costs_incomplete"]
    assert f"during {phase!r}: killed by SIGSEGV" in reason


def test_a_fork_that_comes_back_says_nothing(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j", tmp_path / "artifacts")
    if (pid := os.fork()) == 0:
        writer.set(speedup=9.0)
        os._exit(0)
    os.waitpid(pid, 0)
    writer.set(speedup=2.0)
    assert read_journal(tmp_path / "j").fields == {"speedup": 2.0}
    assert len((tmp_path / "j").read_text().splitlines()) == 1
