"""A cell that goes wrong once more, with the compilers' debug output: by real launches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import debug_run
from harness.cell import Cell
from harness.files import read_fields
from harness.process import descendants
from harness.records import ENDS, Status
from matrix.config import load_matrix
from matrix.options import make_parser
from matrix.overrides import with_options
from matrix.runner import processes_per_cell
from tests.conftest import SOURCE
from tests.said import spec_of

FAULTY = str(SOURCE / "tests" / "faulty_workloads.py")
WRONG = "dynamo:relu_accuracy_error_TESTING_ONLY"


def launched(folder: Path, name: str, backend: str, options: Any = (), **settings: Any) -> dict[str, str]:
    """The row of one cell of a real launch."""
    cell = Cell(workload=f"path/faulty_workloads:{name}", path=FAULTY, backend=backend, options=options)
    usual = {"measure_ceilings": False, "warm_compile": False, "warm_up": False}
    (folder / "cells.json").write_text(spec_of(cell, **{**usual, **settings}).to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(folder / "cells.json"), "--out", str(folder)]
    subprocess.run(command, cwd=SOURCE, capture_output=True, check=True)
    (row,) = read_fields(folder / "results.csv")
    return row


def test_what_is_wrong_is_run_once_more_with_its_graphs(tmp_path: Path) -> None:
    row = launched(tmp_path, "WrongSomewhere", WRONG, keep_debug=("fail_accuracy",))
    assert row["status"] == "fail_accuracy"
    assert row["debug"].startswith("debug/: ")
    assert row["debug"].endswith("; run once more, it ended as fail_accuracy")
    folder = tmp_path / row["artifacts"] / "debug"
    assert "def forward(self" in (folder / "log").read_text()
    assert list((folder / "torch_compile_debug").rglob("debug.log"))
    assert not (folder / "caches").exists()
    assert not (folder / "journal.jsonl").exists()
    assert not list(tmp_path.glob("journal-*"))


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++: inductor needs one on a CPU")
def test_of_inductor_its_code_is_there(tmp_path: Path) -> None:
    """In spite of its caches: those of the cell know the graph already."""
    options = (("cpp.inject_relu_bug_TESTING_ONLY", "accuracy"),)
    row = launched(tmp_path, "WrongSomewhere", "inductor", options, keep_debug=("fail_accuracy",), timeout_seconds=200.0)
    assert row["status"] == "fail_accuracy"
    (code,) = (tmp_path / row["artifacts"] / "debug" / "torch_compile_debug").rglob("output_code.py")
    assert "injected" in code.read_text() or "relu" in code.read_text()


def test_a_disk_that_is_full_costs_nothing_but_the_debug_output(tmp_path: Path) -> None:
    """A file where its folder would be."""
    (tmp_path / "artifacts" / "0000").mkdir(parents=True)
    (tmp_path / "artifacts" / "0000" / "debug").write_text("in the way")
    row = launched(tmp_path, "WrongSomewhere", WRONG, keep_debug=("fail_accuracy",))
    assert row["status"] == "fail_accuracy"
    assert row["debug"].startswith("it could not be kept: ")


def test_a_crash_leaves_what_was_written_until_then(tmp_path: Path) -> None:
    row = launched(tmp_path, "Segfault", "eager", keep_debug=("crash",))
    assert row["status"] == "crash:SIGSEGV"
    assert row["debug"].endswith("; run once more, it ended as crash:SIGSEGV")


def test_a_hang_has_its_time_once_more_and_not_longer(tmp_path: Path) -> None:
    # Tests that ran before in this process may have some of their own.
    others = set(descendants(os.getpid()))
    row = launched(tmp_path, "Endless", "eager", keep_debug=("timeout",), timeout_seconds=5.0)
    assert row["status"] == "timeout"
    assert row["debug"].endswith("; run once more, it ended as timeout")
    assert set(descendants(os.getpid())) <= others, "nothing of it is left"


@pytest.mark.parametrize("wanted", [(), ("crash", "OOM")])
def test_another_status_is_not_run_again(tmp_path: Path, wanted: tuple[str, ...]) -> None:
    row = launched(tmp_path, "WrongSomewhere", WRONG, keep_debug=wanted)
    assert (row["status"], row["debug"]) == ("fail_accuracy", "")


def test_too_much_of_it_is_cut_down(tmp_path: Path) -> None:
    sizes = {"log": 3000, "a": 500, "b/c": 900, "d": 100}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * (size - 1) + b"\n")
    (tmp_path / "elsewhere").symlink_to("/etc/hostname")
    assert debug_run.keep_within(tmp_path, most_bytes=1200, most_log_bytes=400) == (
        "debug/: 3 files, 1000 bytes, 1 more left out for their size (left_out.txt)"
    )
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()} == {"log", "a", "d", "left_out.txt"}
    assert (tmp_path / "left_out.txt").read_text() == "b/c 900 bytes\n"
    assert (tmp_path / "log").read_bytes().endswith(b"x\n"), "the end of the log is what tells"


def test_statuses_are_words_of_rows() -> None:
    assert Status.is_among("crash:SIGSEGV", ["crash"])
    assert Status.is_among("crash:SIGSEGV", ["crash:SIGSEGV"])
    assert not Status.is_among("crash:SIGSEGV", ["crash:SIGABRT", "OOM"])
    assert "crash" in ENDS


def test_the_command_line_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    def run_of(*words: str) -> Any:
        return with_options(load_matrix(SOURCE / "matrix.toml"), make_parser().parse_args(["bench", "cpu", *words])).run

    assert run_of().keep_debug == ()
    assert run_of("--keep-debug", "fail_accuracy, crash,crash:SIGABRT").keep_debug == ("fail_accuracy", "crash", "crash:SIGABRT")
    with pytest.raises(SystemExit):
        run_of("--keep-debug", "fail_acuracy")
    assert "no cell ends as 'fail_acuracy'; did you mean 'fail_accuracy'?" in capsys.readouterr().err
    spec = spec_of(Cell(workload="w/w", backend="eager"), keep_debug=("crash",))
    assert processes_per_cell(spec) == 3
    assert json.loads(spec.to_json())["keep_debug"] == ["crash"]
