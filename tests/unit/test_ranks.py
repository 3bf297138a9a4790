"""A cell over two ranks, by launches as a container has them: gloo, on this machine's processors."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cell import Cell, Sampling, Treatment
from harness.files import read_fields
from harness.records import Status
from tests.conftest import SOURCE
from tests.said import spec_of

FAULTY = SOURCE / "tests" / "faulty_workloads.py"


def launched(cell: Cell, folder: Path, *, timeout: float = 100.0, threads: int | None = None, **treatment: object) -> dict[str, str]:
    spec = spec_of(
        cell,
        timeout_seconds=timeout,
        threads=threads,
        sampling=Sampling(samples=6, budget_seconds=0.5, width=1.0),
        treatment=Treatment(**{"distributed": "ddp", **treatment}),  # type: ignore[arg-type]
        measure_ceilings=False,
        warm_up=False,
    )
    (folder / "cells.json").write_text(spec.to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(folder / "cells.json"), "--out", str(folder)]
    done = subprocess.run(command, cwd=SOURCE, text=True, capture_output=True, check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = read_fields(folder / "results.csv")
    return row


def cell(backend: str = "aot_eager", workload: str = "micro/linear_gelu_mlp", mode: str = "training") -> Cell:
    own = "/" not in workload
    return Cell(
        workload=f"path/faulty_workloads:{workload}" if own else workload, backend=backend, mode=mode, path=str(FAULTY) if own else None
    )


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_training_over_two_ranks_is_checked_and_timed(kind: str, tmp_path: Path) -> None:
    row = launched(cell(), tmp_path, distributed=kind)
    assert row["status"] == Status.PASS, row["reason"]
    assert float(row["speedup"]) > 0
    assert float(row["warm_first_call_seconds"]) > 0
    assert int(row["unique_graphs"]) >= 1


def test_ddp_costs_what_one_process_does_not(tmp_path: Path) -> None:
    """The same gradients, and more time: they are exchanged. With a thread each, so that a busy machine slows down both."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    alone, spread = (
        launched(cell("eager"), tmp_path / "one", threads=1, distributed=None),
        launched(cell("eager"), tmp_path / "two", threads=1),
    )
    assert (alone["status"], spread["status"]) == (Status.PASS, Status.PASS)
    assert float(alone["backend_error"]) == pytest.approx(float(spread["backend_error"]), rel=0.5)
    assert float(spread["eager_latency_seconds"]) > float(alone["eager_latency_seconds"])


@pytest.mark.parametrize("workload", ["LosesARank", "HangsARank"])
def test_a_rank_that_is_lost_ends_in_a_row_and_leaves_no_process(workload: str, tmp_path: Path) -> None:
    began = time.monotonic()
    row = launched(cell("eager", workload), tmp_path, timeout=15.0)
    assert time.monotonic() - began < 60
    if workload == "HangsARank":
        assert row["status"] == Status.TIMEOUT
    else:
        assert (row["status"], row["reason"]) == ("crash:exit5", "rank 1: it ended with exit code 5, without a word")
    listed = subprocess.run(["ps", "-eo", "args"], text=True, capture_output=True, check=True).stdout
    assert str(tmp_path) not in listed


@pytest.mark.parametrize(
    ("workload", "status", "reason"),
    [
        ("FailsInARank", Status.EAGER_FAIL_TO_RUN, "rank 1: ValueError (eager): only here"),
        ("FailsInEachRank", Status.EAGER_FAIL_TO_RUN, "ValueError (eager): everywhere"),
        ("CrashesARank", "crash:SIGSEGV", "rank 1: it was ended by SIGSEGV; the log has its last stack"),
        ("TakesTheFirstRankWithIt", "crash:exit7", "rank 1: it ended with exit code 7, without a word"),
        ("LosesARankAndGoesOn", "crash:exit5", "rank 1: it ended with exit code 5, without a word"),
    ],
)
def test_what_a_rank_says_or_how_it_ended_is_the_reason(workload: str, status: str, reason: str, tmp_path: Path) -> None:
    """The last one is the first rank that waits for ever, as NCCL has it: it is ended, long before its time is up."""
    began = time.monotonic()
    row = launched(cell("eager", workload), tmp_path, timeout=100.0)
    assert (row["status"], row["reason"]) == (status, reason)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("workload", "reason"),
    [
        ("FailsInTheLastRank", "rank 3: ValueError (check): only in the last"),
        ("ClosesItsConnectionsAndFails", "rank 3: ValueError (check): in one alone"),
        ("SwallowsWhatBroke", "rank 3: ValueError (check): in one alone"),
        ("ClosesTheConnectionsOfTheFirstRank", "ValueError (time): in one alone"),
    ],
)
def test_of_many_ranks_the_one_that_failed_is_named_and_not_those_that_broke_with_it(workload: str, reason: str, tmp_path: Path) -> None:
    row = launched(cell("eager", workload), tmp_path, ranks=4, threads=1)
    assert (row["status"], row["reason"]) == (Status.FAIL_TO_RUN, reason)


def test_where_only_victims_end_the_reason_says_that_nobody_knows(tmp_path: Path) -> None:
    row = launched(cell("eager", "ClosesItsConnectionsAndStays"), tmp_path, ranks=3, threads=1)
    assert row["status"] == Status.FAIL_TO_RUN
    assert row["reason"].endswith("; no rank says why")


def test_a_rank_that_cannot_say_a_word_is_the_reason_all_the_same(tmp_path: Path) -> None:
    row = launched(cell("eager", "ClosesWhatIsOpenInARank"), tmp_path, ranks=3, threads=1)
    assert row["status"].startswith("crash:")
    assert row["reason"].startswith("rank 1: it ")
    assert row["reason"].endswith("without a word") or "was ended by" in row["reason"]


def test_a_result_that_is_wrong_in_another_rank_alone_says_what_is_wrong(tmp_path: Path) -> None:
    row = launched(cell("aot_eager", "WrongInARank"), tmp_path)
    assert row["status"] == Status.FAIL_ACCURACY
    assert row["reason"].startswith("rank 1: output")


def test_nothing_is_left_in_the_host_s_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    row = launched(cell("eager", "LosesARank"), tmp_path)
    assert row["status"] == "crash:exit5"
    assert not list((tmp_path / "tmp").glob("ranks*"))


def test_ranks_are_of_training_alone(tmp_path: Path) -> None:
    row = launched(dataclasses.replace(cell(), mode="inference"), tmp_path)
    assert (row["status"], row["reason"]) == (Status.UNSUPPORTED, "ddp is of training, and of the experiment performance alone")
