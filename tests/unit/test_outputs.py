"""Which files of an earlier run are compared with: from real run directories."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from harness.cell import Cell
from harness.files import append_rows
from harness.output import OUTPUTS, row_of
from harness.records import Status
from matrix.config import Matrix, load_matrix
from matrix.engines.docker import CACHES_MOUNT, OUTPUTS_MOUNT, container_options, inside
from matrix.errors import RunNotFound, SelectionError
from matrix.options import make_parser
from matrix.outputs import kept_outputs
from matrix.overrides import for_gate, with_options
from matrix.plan import Launch, Plan, PlannedImage
from matrix.runner import require_caches
from matrix.store import create_run
from tests.conftest import SOURCE
from tests.said import spec_of
from tests.unit.test_engines import request

CELL, OTHER = Cell(workload="micro/softmax", backend="eager"), Cell(workload="micro/softmax", backend="inductor")


def plan(*images: str, seed: int = 1, cells: tuple[Cell, ...] = (CELL,)) -> Plan:
    return Plan(seed=seed, launches=tuple(Launch(index=i, image=PlannedImage(name=name), cells=cells) for i, name in enumerate(images)))


def earlier(tmp_path: Path, *kept: tuple[str, Cell, str], name: str = "run") -> Path:
    """A run of rows (image, cell, status), each with its outputs."""
    with create_run(tmp_path, name, {"seed": 1}) as run:
        rows = []
        for index, (image, cell, status) in enumerate(kept):
            folder = f"artifacts/000-0/{index:04d}"
            (run.directory / folder).mkdir(parents=True)
            (run.directory / folder / OUTPUTS).write_bytes(b"x")
            rows.append(row_of(cell, spec_of(cell, image=image), status, "", artifacts=folder))
        append_rows(run.directory / "results.csv", rows)
    return tmp_path / name


def comparing(directory: Path | str, *words: str) -> Matrix:
    options = make_parser().parse_args(["bench", "cpu", "--compare-outputs", str(directory), *words])
    return with_options(load_matrix(SOURCE / "matrix.toml"), options)


def test_a_run_by_its_path_or_by_its_name(tmp_path: Path) -> None:
    directory = earlier(tmp_path, ("cpu", CELL, Status.PASS))
    for matrix in (comparing(directory), comparing("run", "--results", str(tmp_path))):
        found = kept_outputs(matrix, plan("cpu"))
        assert found is not None
        assert found.folder == directory / "artifacts"
        assert found.of("cpu", {CELL.id}) == {CELL.id: "000-0/0000/outputs.pt"}
        assert found.of("cpu", {OTHER.id}) == {}
    assert kept_outputs(load_matrix(SOURCE / "matrix.toml"), plan("cpu")) is None


def test_of_another_image_where_there_is_but_one(tmp_path: Path) -> None:
    found = kept_outputs(comparing(earlier(tmp_path, ("docker://old", CELL, Status.PASS))), plan("cpu"))
    assert found is not None
    assert found.of("cpu", {CELL.id})
    both = earlier(tmp_path, ("cpu", CELL, Status.PASS), ("other", CELL, Status.PASS), name="both")
    assert kept_outputs(comparing(both), plan("cpu"))
    with pytest.raises(SelectionError, match="has outputs of cpu, other, and none of third: which are meant"):
        kept_outputs(comparing(both), plan("cpu", "third"))


@pytest.mark.parametrize(
    ("status", "seed", "cells", "text"),
    [
        (Status.PASS, 2, (CELL,), "inputs are drawn from the seed, 2 here and 1 there\n  next: --seed 1"),
        (Status.FAIL_ACCURACY, 1, (CELL,), "it has kept outputs of none of these cells\n  next: measure it with --save-outputs"),
        (Status.PASS, 1, (OTHER,), "it has kept outputs of none of these cells"),
    ],
)
def test_what_does_not_compare_is_told_before_anything_runs(tmp_path: Path, status: str, seed: int, cells: Any, text: str) -> None:
    directory = earlier(tmp_path, ("cpu", CELL, status))
    with pytest.raises(SelectionError) as error:
        kept_outputs(comparing(directory), plan("cpu", seed=seed, cells=cells))
    assert text in str(error.value)


def test_what_is_no_run_and_another_experiment_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound, match="is not a run"):
        kept_outputs(comparing(tmp_path), plan("cpu"))
    with pytest.raises(SelectionError, match="by the experiment performance alone, and this is nothing"):
        kept_outputs(comparing(tmp_path, "--experiment", "nothing"), plan("cpu"))


def test_a_link_is_no_file_of_the_run(tmp_path: Path) -> None:
    directory = earlier(tmp_path, ("cpu", CELL, Status.PASS))
    path = directory / "artifacts" / "000-0" / "0000" / OUTPUTS
    path.unlink()
    path.symlink_to("/etc/hostname")
    with pytest.raises(SelectionError, match="none of these cells"):
        kept_outputs(comparing(directory), plan("cpu"))


def test_a_gate_compares_its_images_itself(tmp_path: Path) -> None:
    assert for_gate(comparing(tmp_path)).run.compare_outputs is None


def test_a_gate_compiles_from_empty_caches(tmp_path: Path) -> None:
    options = make_parser().parse_args(["bench", "cpu", "--keep-caches", str(tmp_path)])
    matrix = with_options(load_matrix(SOURCE / "matrix.toml"), options)
    assert matrix.run.keep_caches == str(tmp_path)
    assert for_gate(matrix).run.keep_caches is None


def test_a_folder_that_keeps_no_caches_is_told_before_anything_is_started(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder in ("/proc/none", str(file), str(file / "below")):
        matrix = with_options(load_matrix(SOURCE / "matrix.toml"), make_parser().parse_args(["bench", "cpu", "--keep-caches", folder]))
        with pytest.raises(SelectionError, match=f"--keep-caches {folder}: .*\n  next: "):
            require_caches(matrix)


def test_a_setting_of_no_compilers_is_told_before_anything_is_started() -> None:
    options = make_parser().parse_args(["bench", "cpu", "--torch-config", "inductr.freezing=true"])
    with pytest.raises(SelectionError, match=r"inductr\.freezing.*did you mean"):
        with_options(load_matrix(SOURCE / "matrix.toml"), options)


def test_a_container_adds_to_the_caches_of_its_own_image(tmp_path: Path) -> None:
    asked = request()
    asked = dataclasses.replace(asked, spec=dataclasses.replace(asked.spec, kept_caches=str(tmp_path)))
    mounts = {mount["Target"]: mount for mount in container_options(asked, tmp_path)["mounts"]}
    assert (mounts[CACHES_MOUNT]["Source"], mounts[CACHES_MOUNT]["ReadOnly"]) == (str(tmp_path), False)
    assert inside(asked).kept_caches == CACHES_MOUNT
    assert CACHES_MOUNT not in {mount["Target"] for mount in container_options(request(), tmp_path)["mounts"]}


def test_a_container_sees_the_artifacts_read_only(tmp_path: Path) -> None:
    asked = request()
    asked = dataclasses.replace(asked, spec=dataclasses.replace(asked.spec, compare_outputs="/runs/1/artifacts", kept_outputs={"c": "f"}))
    mounts = {mount["Target"]: mount for mount in container_options(asked, tmp_path)["mounts"]}
    assert (mounts[OUTPUTS_MOUNT]["Source"], mounts[OUTPUTS_MOUNT]["ReadOnly"]) == ("/runs/1/artifacts", True)
    assert (inside(asked).compare_outputs, inside(asked).kept_outputs) == (OUTPUTS_MOUNT, {"c": "f"})
    assert OUTPUTS_MOUNT not in {mount["Target"] for mount in container_options(request(), tmp_path)["mounts"]}
