"""The experiments beside ``performance``, by real cells in this process: each ends in one row, whatever the workload does."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo
from torch._dynamo.utils import counters, get_compilation_metrics

from harness import catalog, numerics
from harness.cell import Cell, LaunchSpec, Numerics, Sampling
from harness.experiments.coverage import Captured
from harness.journal import Journal, JournalWriter, read_journal
from harness.protocols import NoEvidence, Subject
from harness.records import Status, Warn
from harness.worker import run_cell
from tests.conftest import SOURCE

SAMPLING = Sampling(samples=6, minimum_samples=6, budget_seconds=0.1, width=1.0)
FAULTY = SOURCE / "tests" / "faulty_workloads.py"
MICRO = ("micro/linear_gelu_mlp", "micro/pointwise_chain", "micro/sum_rows")
EXPERIMENTS = sorted(set(catalog.EXPERIMENTS) - {catalog.PERFORMANCE})


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A cell has a process of its own; here it leaves nothing behind."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    torch._dynamo.reset()
    counters.clear()
    torch._dynamo.utils.clear_compilation_metrics()
    yield
    numerics.apply(Numerics())
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def measured(experiment: str, workload: str, folder: Path, **changes: Any) -> Journal:
    """What a cell's process writes down; workload: of the catalog, or a class of the faulty ones."""
    folder.mkdir(exist_ok=True)
    path = None if "/" in workload else str(FAULTY)
    name = workload if path is None else f"path/faulty_workloads:{workload}"
    backend = catalog.EXPERIMENT_BACKENDS.get(experiment, "dynamo:eager")
    cell = Cell(**{"workload": name, "backend": backend, "path": path, **changes})
    spec = LaunchSpec(
        run="r", launch=0, attempt=0, image="i", cells=(cell,), seed=1, timeout_seconds=60, experiment=experiment, sampling=SAMPLING
    )
    run_cell(cell, spec, JournalWriter(folder / "journal", folder / "artifacts"))
    return read_journal(folder / "journal")


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "artifacts" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("workload", MICRO)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_passes_on_what_works(experiment: str, workload: str, tmp_path: Path) -> None:
    journal = measured(experiment, workload, tmp_path)
    assert (journal.status, journal.reason) == (Status.PASS, "")
    assert journal.fields["batch_size"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize(
    ("workload", "status"), [("Raises", Status.EAGER_FAIL_TO_RUN), ("NoInputs", Status.MODEL_FAIL_TO_LOAD), ("Breaks", Status.PASS)]
)
def test_every_experiment_ends_in_the_status_of_what_happened(experiment: str, workload: str, status: str, tmp_path: Path) -> None:
    journal = measured(experiment, workload, tmp_path)
    assert journal.status == status, journal.reason
    assert "planted in forward" in journal.reason or workload != "Raises"


@pytest.mark.parametrize("experiment", ["coverage", "overhead"])
@pytest.mark.parametrize(
    ("workload", "status"),
    [
        ("RaisesWhenCompiled", Status.FAIL_TO_RUN),
        ("WrongWhenCompiled", Status.FAIL_ACCURACY),
        ("TwoRunsDiffer", Status.EAGER_TWO_RUNS_DIFFER),
        ("NothingToCompare", Status.UNSUPPORTED),
    ],
)
def test_what_goes_through_dynamo_is_checked_before_it_is_counted(experiment: str, workload: str, status: str, tmp_path: Path) -> None:
    journal = measured(experiment, workload, tmp_path)
    assert journal.status == status, journal.reason
    assert not {"pct_ops", "pct_time", "speedup", "overhead_seconds"} & journal.fields.keys()


def test_coverage_of_what_is_captured_whole(tmp_path: Path) -> None:
    found: dict[str, Any] = measured("coverage", "micro/pointwise_chain", tmp_path).fields
    assert (found["unique_graphs"], found["graph_calls"], found["graph_breaks"]) == (1, 1, 0)
    assert found["captured_ops"] == found["total_ops"] == 9
    assert found["pct_ops"] == 1
    assert 0 < found["pct_time_low"] <= found["pct_time"] <= found["pct_time_high"]
    assert "speedup" not in found, "there is no speedup of what compiles nothing"


def test_coverage_tells_what_runs_between_graphs(tmp_path: Path) -> None:
    journal = measured("coverage", "Breaks", tmp_path)
    found = journal.fields
    assert (found["unique_graphs"], found["graph_calls"], found["graph_breaks"]) == (2, 2, 1)
    assert (found["captured_ops"], found["total_ops"], found["pct_ops"]) == (2, 4, 0.5)
    assert Warn.GRAPH_BREAKS.value in journal.warnings
    outside = {line["operator"] for line in table(tmp_path, "operators.csv") if line["captured"] == "0"}
    assert outside == {"aten.mul.Tensor", "aten.add.Tensor"}
    assert {sample.variant for sample in journal.samples} == {"backend", "graphs"}


def test_nothing_captured_is_a_finding_of_coverage_and_no_evidence_for_overhead(tmp_path: Path) -> None:
    found = measured("coverage", "NotCompiled", tmp_path)
    assert (found.status, found.fields["unique_graphs"], found.fields["pct_ops"], found.fields["pct_time"]) == (Status.PASS, 0, 0, 0)
    assert (found.fields["captured_ops"], found.fields["total_ops"]) == (0, 1)
    torch._dynamo.reset()
    counters.clear()
    journal = measured("overhead", "NotCompiled", tmp_path / "overhead")
    assert journal.status == Status.FAIL_TO_RUN
    assert "no evidence" in journal.reason


def test_coverage_of_what_dynamo_never_saw_is_not_known(tmp_path: Path) -> None:
    captured = Captured(Cell(workload="w/w", backend="dynamo:eager"), lambda name: tmp_path / name)
    captured.prepare(Subject(model=torch.nn.ReLU(), inputs=(torch.ones(2),)))
    with pytest.raises(NoEvidence, match="looked at no frame"):
        captured.evidence()


def test_in_training_backward_and_optimizer_are_outside_of_the_graphs(tmp_path: Path) -> None:
    journal = measured("coverage", "micro/linear_gelu_mlp", tmp_path, mode="training")
    assert journal.status == Status.PASS, journal.reason
    found: dict[str, Any] = journal.fields
    assert 0 < found["captured_ops"] < found["total_ops"]


def test_graphs_are_timed_as_they_were_called_in_autocast(tmp_path: Path) -> None:
    journal = measured("coverage", "micro/linear_gelu_mlp", tmp_path, precision="amp")
    assert journal.status == Status.PASS, journal.reason
    assert journal.fields["pct_ops"] == 1


def test_overhead_is_the_difference_of_what_was_sampled_in_turns(tmp_path: Path) -> None:
    journal = measured("overhead", "micro/sum_rows", tmp_path)
    found: dict[str, Any] = journal.fields
    assert found["overhead_seconds_low"] <= found["overhead_seconds"] <= found["overhead_seconds_high"]
    assert found["speedup_low"] <= found["speedup"] <= found["speedup_high"]
    assert found["guards"] == sum(each.guard_count or 0 for each in get_compilation_metrics()) > 0
    assert {sample.variant for sample in journal.samples} == {"eager", "backend"}


def test_errors_of_every_precision_are_told_by_output(tmp_path: Path) -> None:
    found: dict[str, Any] = measured("tolerance", "micro/linear_gelu_mlp", tmp_path).fields
    lines = {line["precision"]: line for line in table(tmp_path, "tolerance.csv")}
    assert set(lines) == {"float32", "bfloat16", "float16", "amp"}
    assert {line["status"] for line in lines.values()} == {Status.PASS}
    ordered = [float(lines[precision]["error"]) for precision in ("float32", "float16", "bfloat16")]
    assert 0 < ordered[0] < ordered[1] < ordered[2], "fewer digits, more error"
    assert found["eager_error"] == ordered[0]
    assert found["worst_error"] == max(float(line["error"]) for line in lines.values())
    assert found["worst_max_error"] >= found["worst_error"], "the largest is at least the mean"
    assert found["worst_precision"] in {"bfloat16", "amp"}
    assert not {"speedup", "backend_latency_seconds"} & found.keys()


def test_a_precision_that_does_not_run_has_its_reason_in_the_table(tmp_path: Path) -> None:
    journal = measured("tolerance", "FailsInHalf", tmp_path)
    assert journal.status == Status.PASS, journal.reason
    lines = {line["precision"]: line for line in table(tmp_path, "tolerance.csv")}
    assert (lines["float16"]["status"], lines["float16"]["error"]) == (Status.EAGER_FAIL_TO_RUN, "")
    assert "planted for half" in lines["float16"]["reason"]
    assert lines["bfloat16"]["status"] == Status.PASS


def test_the_cells_own_precision_must_run(tmp_path: Path) -> None:
    journal = measured("tolerance", "FailsInHalf", tmp_path, precision="float16")
    assert (journal.status, "planted for half" in journal.reason) == (Status.EAGER_FAIL_TO_RUN, True)


def test_errors_have_weights_and_inputs_of_float32_for_their_measure(tmp_path: Path) -> None:
    """A cell in half precision must not hide what rounding its weights has cost."""
    half: dict[str, Any] = measured("tolerance", "micro/linear_gelu_mlp", tmp_path / "half", precision="bfloat16").fields
    measured("tolerance", "micro/linear_gelu_mlp", tmp_path / "single")
    (line,) = (line for line in table(tmp_path / "single", "tolerance.csv") if line["precision"] == "bfloat16")
    assert half["eager_error"] == pytest.approx(float(line["error"]))


def test_what_overflows_is_not_finite_and_has_no_number(tmp_path: Path) -> None:
    journal = measured("tolerance", "Overflows", tmp_path)
    assert journal.status == Status.PASS
    assert journal.fields["worst_precision"] == "float16"
    assert "worst_error" not in journal.fields
    assert journal.reason.startswith("in float16, outputs is not finite")


def test_gradients_are_outputs_of_training(tmp_path: Path) -> None:
    measured("tolerance", "micro/linear_gelu_mlp", tmp_path, mode="training")
    outputs = {line["output"].partition("[")[0] for line in table(tmp_path, "tolerance.csv")}
    assert outputs == {"outputs", "gradients", "input gradients"}


def test_random_outputs_have_no_reference_and_so_no_error(tmp_path: Path) -> None:
    journal = measured("tolerance", "Random", tmp_path)
    assert journal.status == Status.UNSUPPORTED
    assert "float64" in journal.reason


def test_nothing_says_that_it_ran_and_no_time(tmp_path: Path) -> None:
    journal = measured("nothing", "micro/sum_rows", tmp_path)
    assert journal.fields["evidence"] == '{"forward_calls_checked": 1}'
    assert journal.samples == []
    assert set(journal.fields) == {"batch_size", "evidence"}
