"""What is known of workloads is data: who is not run, who is judged otherwise, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cell import Cell, Terms
from harness.experiments.performance import Performance
from harness.measure.clock import CpuClock
from harness.protocols import Subject, Tolerance
from harness.records import Status
from harness.workloads.loading import load_subject
from matrix.config import Matrix, load_matrix, parse_marks, parse_matrix
from matrix.errors import ConfigError, SelectionError
from matrix.options import make_parser, selection_of
from matrix.plan import PlannedImage, Selection, make_plan
from matrix.rules import terms_of
from tests.conftest import SOURCE
from tests.said import Changing, Said, bench_of, spec_of
from tests.unit.test_config import GOOD

CPU = PlannedImage(name="cpu")


def marked(*texts: str) -> Matrix:
    return parse_matrix(GOOD + "".join(f'\n[[mark]]\nreason = "upstream 123"\n{text}\n' for text in texts))


def cells(matrix: Matrix, **selection: Any) -> list[str]:
    return [cell.id for cell in make_plan(matrix, (CPU,), Selection(filter=("softmax",), **selection)).launches[0].cells]


def test_what_is_skipped_is_not_run_unless_asked_for() -> None:
    matrix = marked('workload = ["micro/soft*"]\nbackend = ["inductor"]\nskip = true')
    assert cells(matrix) == ["micro/softmax eager cpu inference float32 small"]
    assert len(cells(matrix, no_skip=True)) == 2
    (left_out,) = make_plan(matrix, (CPU,), Selection(filter=("softmax",))).excluded
    assert (left_out.cell, left_out.reason) == ("micro/softmax inductor cpu inference float32 small", "upstream 123")


def test_where_marks_leave_nothing_the_reason_is_said() -> None:
    matrix = marked('workload = ["micro/soft*"]\nskip = true')
    with pytest.raises(SelectionError, match=r"(?s)of 2 that are left out, micro/softmax .*: upstream 123\n  next: .*--no-skip"):
        cells(matrix)


def test_what_is_slow_is_left_out_of_a_fast_run() -> None:
    matrix = marked('backend = ["inductor"]\nslow = true')
    assert len(cells(matrix)) == 2
    assert cells(matrix, fast=True) == ["micro/softmax eager cpu inference float32 small"]


def test_the_last_mark_that_says_a_thing_counts() -> None:
    assert len(cells(marked("skip = true", 'backend = ["inductor"]\nskip = false'))) == 1
    matrix = marked(
        'workload = ["micro/*"]\ntolerance = 0.1\nbatch_size = 4',
        'mode = ["training"]\ntolerance = 0.2',
        'device = ["cuda"]\ncosine = true',
    )
    cell = Cell(workload="micro/softmax", backend="eager")
    assert terms_of(matrix.mark, "cpu", cell) == Terms(tolerance=0.1, batch_size=4)
    assert terms_of(matrix.mark, "cpu", replace(cell, mode="training")) == Terms(tolerance=0.2, batch_size=4)
    assert terms_of(matrix.mark, "cpu", replace(cell, device="cuda")) == Terms(tolerance=0.1, batch_size=4, cosine=True)


def test_a_files_marks_come_before_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "matrix.toml").write_text(GOOD + '\n[[mark]]\nreason = "here it runs"\nworkload = ["micro/softmax"]\nskip = false\n')
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "micro.toml").write_text('[[mark]]\nreason = "upstream"\nworkload = ["micro/s*"]\nskip = true\n')
    matrix = load_matrix(tmp_path / "matrix.toml", tmp_path / "suites")
    found = {cell.workload for cell in make_plan(matrix, (CPU,), Selection()).launches[0].cells}
    assert "micro/softmax" in found
    assert "micro/sort" not in found
    assert Matrix.model_validate_json(matrix.model_dump_json(), context=matrix.model_dump()) == matrix, "a manifest holds them"


def test_the_files_that_are_there_can_be_read() -> None:
    assert load_matrix(SOURCE / "matrix.toml", SOURCE / "suites").mark


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'workload = ["micro/sofmax"]\nskip = true',
            "suites/x.toml:3: mark.0.workload.0: no workload matches 'micro/sofmax'; did you mean",
        ),
        (
            'workload = ["micro/softmax"]',
            "suites/x.toml:1: mark.0: the mark says nothing: skip, slow, nondeterministic, tolerance, cosine, larger",
        ),
        ("skipped = true", "suites/x.toml:3: mark.0.skipped: unknown key; did you mean 'skip'"),
        ("tolerance = 2.0", "suites/x.toml:3: mark.0.tolerance: "),
        ("workload = []\nskip = true", "suites/x.toml:3: mark.0.workload: names nothing"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_marks(f'[[mark]]\nreason = "r"\n{text}\n', "suites/x.toml", ["cpu"])
    assert message in str(caught.value)


def test_terms_reach_the_subject() -> None:
    cell = Cell(workload="micro/softmax", backend="eager", mode="training")
    terms = Terms(
        batch_size=3, tolerance=0.25, cosine=True, larger_multiplier_for_smaller_tensors=True, optimizer="adam", nondeterministic=True
    )
    spec = spec_of(cell, terms={cell.id: terms})
    assert type(spec).from_json(spec.to_json()) == spec
    subject = load_subject(cell, spec)
    assert subject.tolerance is not None
    assert (subject.batch_size, subject.optimizer, subject.repeats) == (3, "adam", False)
    assert subject.tolerance == Tolerance(absolute_and_relative=0.25, cosine=True, larger_multiplier_for_smaller_tensors=True)
    assert load_subject(cell, spec, batch_size=5).batch_size == 5
    assert load_subject(replace(cell, batch_size=7), spec_of(cell, terms={})).batch_size == 7
    assert load_subject(cell, spec, precision="bfloat16").tolerance == subject.tolerance, "of the cell, in whatever precision"


class Noise(torch.nn.Module):
    """No two calls agree, whatever the seed."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Noise.calls += 1
        return x * Noise.calls


def judged(tmp_path: Path, change: Any = None, *, repeats: bool) -> tuple[str, Said]:
    cell, said = Cell(workload="w/noise", backend="eager"), Said(tmp_path)
    subject = Subject(model=Noise(), inputs=(torch.rand(8, 8),), repeats=repeats)
    bench = bench_of(cell, subject, Changing(change), CpuClock("cold"), said)
    terms = {} if repeats else {cell.id: Terms(nondeterministic=True, reason="it counts its calls")}
    sampling = replace(bench.spec.sampling, samples=6, budget_seconds=0.1, energy_seconds=0.0)
    return Performance().run(replace(bench, spec=replace(bench.spec, terms=terms, sampling=sampling))), said


def test_what_no_two_runs_agree_in_is_timed_and_not_called_right(tmp_path: Path) -> None:
    status, _ = judged(tmp_path, repeats=True)
    assert status == Status.EAGER_TWO_RUNS_DIFFER
    status, said = judged(tmp_path, repeats=False)
    assert status == Status.PASS_DUE_TO_SKIP
    assert said.fields["speedup"] > 0
    assert (said.fields["compared_by"], said.fields["reason"]) == ("form", "it counts its calls")


def test_its_form_is_compared_all_the_same(tmp_path: Path) -> None:
    status, said = judged(tmp_path, lambda y: y[:4], repeats=False)
    assert status == Status.FAIL_ACCURACY
    assert "shape" in said.fields["reason"]


def selection(*arguments: str) -> Selection:
    return selection_of(make_parser().parse_args(["bench", "cpu", *arguments]))


def test_batch_sizes_come_from_a_run_or_from_lines(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(
        "dev,name,batch_size,mode,precision,status,largest_batch_size\n"
        "cpu,micro/softmax,96,inference,float32,pass,96\ncpu,micro/softmax,48,training,float32,pass,48\ncpu,micro/sort,,inference,float32,OOM,\n"
    )
    lines = tmp_path / "sizes.txt"
    lines.write_text("softmax,16\nmicro/sort,8\n")
    matrix = parse_matrix(GOOD)

    def planned(path: Path, *more: str) -> set[str]:
        plan = make_plan(matrix, (CPU,), selection("--batch-size-file", str(path), "-k", "(softmax|sort) eager", *more))
        return {cell.id for cell in plan.launches[0].cells}

    of_run = {"micro/softmax eager cpu inference float32 small batch=96", "micro/sort eager cpu inference float32 small"}
    assert planned(tmp_path) == planned(tmp_path / "results.csv") == of_run
    assert "micro/softmax eager cpu training float32 small batch=48" in planned(tmp_path, "--mode", "training")
    assert planned(lines) == {
        f"micro/{name} eager cpu inference float32 small batch={size}" for name, size in (("softmax", 16), ("sort", 8))
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), ("softmax\n", "1:"), ("softmax,none\n", "1:"), ("softmax,0\n", "1:"), ("name,largest_batch_size\nmicro/softmax,\n", "")],
)
def test_a_file_without_batch_sizes_is_refused(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "sizes.txt").write_text(text)
    with pytest.raises(SelectionError, match=rf"sizes\.txt:{line} .*\n  next: --experiment largest-batch"):
        selection("--batch-size-file", str(tmp_path / "sizes.txt"))
    with pytest.raises(SelectionError, match="cannot be read"):
        selection("--batch-size-file", str(tmp_path / "absent.txt"))


def test_two_sizes_of_one_workload_are_refused_in_lines_and_the_smaller_one_fits_in_runs(tmp_path: Path) -> None:
    lines = tmp_path / "sizes.txt"
    lines.write_text("softmax,16\nsoftmax,16\nsoftmax,8\n")
    with pytest.raises(SelectionError, match=r"two sizes of softmax, 16 and 8\n  next: "):
        selection("--batch-size-file", str(lines))
    rows = "".join(f"cpu,micro/softmax,inference,float32,pass,{size}\n" for size in (96, 64, 80))
    (tmp_path / "results.csv").write_text("dev,name,mode,precision,status,largest_batch_size\n" + rows)
    assert [each.batch_size for each in selection("--batch-size-file", str(tmp_path)).found_batch_sizes] == [64]


def test_a_file_of_batch_sizes_that_is_of_no_cell_is_refused(tmp_path: Path) -> None:
    lines = tmp_path / "sizes.txt"
    lines.write_text("sort,8\nsfotmax,16\n")
    asked = ("--batch-size-file", str(lines), "-k")
    assert make_plan(parse_matrix(GOOD), (CPU,), selection(*asked, "sort eager")).launches[0].cells[0].batch_size == 8
    with pytest.raises(SelectionError, match=r"sizes of sort, sfotmax, and no cell here is of these\n  next: .*--plan"):
        make_plan(parse_matrix(GOOD), (CPU,), selection(*asked, "softmax eager"))
