"""The run directory: collecting is safe to repeat after a kill at any point; one command has a run at a time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import files, output
from harness.cell import Cell, LaunchSpec
from harness.files import append_rows, append_samples, read_fields
from harness.output import row_of
from harness.records import Sample, Status
from matrix import store
from matrix.errors import RunBusy, RunNotFound
from matrix.store import create_run, is_abandoned, latest_run, open_run


def leave(directory: Path, *cells: str) -> None:
    """What a launch leaves."""
    spec = LaunchSpec(run="r", launch=0, attempt=0, image="cpu", cells=(), seed=1, timeout_seconds=1)
    (directory / "logs").mkdir()
    for index, name in enumerate(cells):
        cell = Cell(workload=name, backend="eager")
        log = directory / "logs" / f"{index:04d}.log"
        log.write_text(name)
        samples = [
            Sample(launch=0, attempt=0, cell=cell.id, variant="eager", clock="host", index=i, started_seconds=i, seconds=0.1, calls=1)
            for i in range(3)
        ]
        append_samples(directory / output.SAMPLES, samples)
        append_rows(directory / output.ROWS, [row_of(cell, spec, Status.INFRA_ERROR, "", log=f"logs/{log.name}")])


class Killed(BaseException):
    pass


@pytest.mark.parametrize("point", ["append_samples", "append_rows", "_move", "rmtree"])
@pytest.mark.parametrize("before", [True, False])
def test_a_kill_while_collecting_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, before: bool
) -> None:
    with create_run(tmp_path, "run", {}) as run:
        leave(run.incoming(0, 0), "a/one", "a/two")
        holder: object = {"append_samples": files, "append_rows": files, "_move": store, "rmtree": shutil}[point]
        original: Callable[..., None] = getattr(holder, point)

        def killed(*arguments: object, **keywords: object) -> None:
            if not before:
                original(*arguments, **keywords)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(holder, point, killed)
            with pytest.raises(Killed):
                run.collect()
        run.collect()
        assert [row.name for row in run.rows()] == ["a/one", "a/two"]
        samples = list(read_fields(run.directory / "samples.csv"))
        assert len(samples) == 6
        assert {(fields["cell"], fields["index"]) for fields in samples} == {(row.cell, str(i)) for row in run.rows() for i in range(3)}
        assert [(run.directory / row.log).read_text() for row in run.rows()] == ["a/one", "a/two"]
        assert list((run.directory / "incoming").iterdir()) == []


def test_links_that_a_launch_leaves_are_not_followed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "keys").write_text("secret")
    with create_run(tmp_path, "run", {}) as run:
        directory = run.incoming(0, 0)
        leave(directory, "a/one")
        (directory / "logs" / "folder").symlink_to(home)
        (directory / "logs" / "0001.log").symlink_to(home / "keys")
        (directory / "artifacts").symlink_to(home)
        (directory / output.FACTS).symlink_to(home / "keys")
        run.collect()
        assert (home / "keys").read_text() == "secret"
        assert not any(path.is_symlink() for path in run.directory.rglob("*"))
        assert "secret" not in "".join(path.read_text() for path in run.directory.rglob("*") if path.is_file())


def test_rows_of_another_start_and_second_rows_are_not_taken(tmp_path: Path) -> None:
    cell = Cell(workload="a/b", backend="eager")
    spec = LaunchSpec(run="r", launch=0, attempt=0, image="cpu", cells=(), seed=1, timeout_seconds=1)
    with create_run(tmp_path, "run", {}) as run:
        directory = run.incoming(0, 0)
        forged = [row_of(cell, replace(spec, launch=7), Status.PASS, ""), *[row_of(cell, spec, Status.PASS, text) for text in "12"]]
        append_rows(directory / output.ROWS, forged)
        (directory / output.SAMPLES).write_text("launch,cell\nx,y\n")
        (directory / output.FACTS).write_text("{half")
        run.collect()
        assert [(row.launch, row.reason) for row in run.rows()] == [(0, "1")]


@pytest.mark.parametrize("content", ["{half", "[]", '{"schema": 99}', "{}"])
def test_a_manifest_that_does_not_read_is_an_error_with_the_next_command(tmp_path: Path, content: str) -> None:
    with create_run(tmp_path, "run", {}) as run:
        (run.directory / "manifest.json").write_text(content)
        with pytest.raises(RunNotFound, match="next: start a new run"):
            run.manifest()


def test_one_command_has_a_run_at_a_time(tmp_path: Path) -> None:
    with create_run(tmp_path, "run", {}):
        assert not is_abandoned(tmp_path / "run")
        with pytest.raises(RunBusy, match="another command"), open_run(tmp_path / "run"):
            pass
    assert is_abandoned(tmp_path / "run")
    with open_run(tmp_path / "run"):
        pass


def test_a_directory_that_is_gone_is_abandoned(tmp_path: Path) -> None:
    assert is_abandoned(tmp_path / "never")


def test_what_is_not_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound, match="is not a run"), open_run(tmp_path):
        pass
    with pytest.raises(RunNotFound, match="no run in"):
        latest_run(tmp_path)


def test_a_row_is_added_once(tmp_path: Path) -> None:
    spec = LaunchSpec(run="r", launch=0, attempt=0, image="cpu", cells=(), seed=1, timeout_seconds=1)
    row = row_of(Cell(workload="a/b", backend="eager"), spec, Status.INFRA_ERROR, "once")
    with create_run(tmp_path, "run", {}) as run:
        run.add([row])
        run.add([row])
        assert len(run.rows()) == 1
